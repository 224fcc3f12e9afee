package peers;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.avro.Schema;

/** What the benchmark says in the environment, and the line that it waits for. */
final class Bench {
    static final String BOOTSTRAP = System.getenv("KAFKA_BOOTSTRAP");
    static final String PREFIX = System.getenv("LEADLINE_PREFIX");
    static final String JOB = System.getenv("LEADLINE_BENCH_JOB");
    static final boolean LATENCY = "1".equals(System.getenv("LEADLINE_BENCH_LATENCY"));
    static final Path STATE = Path.of(System.getenv("LEADLINE_STATE")).toAbsolutePath();

    private static final AtomicBoolean STARTED = new AtomicBoolean();

    private Bench() {}

    static String topic(String topic) {
        return PREFIX + "." + topic;
    }

    static Model model() throws IOException {
        return Model.read(Path.of(System.getenv("LEADLINE_BENCH_MODEL")));
    }

    /** Stops early where the project's schemas are no longer those that {@link Records} is written for. */
    static void checkSchemas() throws IOException {
        checkSchema("prediction_request", Records.Request.FIELDS);
        checkSchema("prediction", Records.Prediction.FIELDS);
        checkSchema("outcome", Records.Outcome.FIELDS);
    }

    private static void checkSchema(String name, List<String> fields) throws IOException {
        Path file = Path.of(System.getenv("LEADLINE_BENCH_SCHEMAS"), name + ".avsc");
        List<String> found = new Schema.Parser().parse(file.toFile()).getFields().stream().map(Schema.Field::name).toList();
        if (!found.equals(fields)) {
            throw new IllegalStateException(file + " has " + found + ", not " + fields);
        }
    }

    /** The reader of an input: with its first record the line is told. */
    static <T> Wire.Reader<T> input(Wire.Reader<T> reader) {
        return in -> {
            if (!STARTED.get() && STARTED.compareAndSet(false, true)) {
                System.out.println("leadline-bench: first record");
            }
            return reader.read(in);
        };
    }
}
