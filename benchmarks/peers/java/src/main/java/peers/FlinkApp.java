package peers;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.KafkaSinkBuilder;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import peers.Records.Count;
import peers.Records.Outcome;
import peers.Records.Pair;
import peers.Records.Prediction;
import peers.Records.Request;

/** The jobs in Flink's DataStream API, in a local cluster within this process; it goes on from its newest checkpoint. */
public final class FlinkApp {
    private FlinkApp() {}

    public static void main(String[] args) throws Exception {
        Bench.checkSchemas();
        StreamExecutionEnvironment flink = StreamExecutionEnvironment.getExecutionEnvironment(settings());
        flink.setParallelism(1);
        if (!Bench.JOB.equals("join")) {
            scoring(flink, Bench.model());
        }
        if (!Bench.JOB.equals("scoring")) {
            join(flink);
        }
        flink.execute(Bench.JOB);
    }

    private static Configuration settings() throws IOException {
        Path checkpoints = Files.createDirectories(Bench.STATE.resolve("checkpoints"));
        Configuration settings = new Configuration();
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        settings.set(PipelineOptions.GENERIC_TYPES, false); // no Kryo: all types are POJOs
        settings.set(StateBackendOptions.STATE_BACKEND, "rocksdb");
        settings.set(CoreOptions.TMP_DIRS, Files.createDirectories(Bench.STATE.resolve("flink")).toString());
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(10));
        settings.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, checkpoints.toUri().toString());
        settings.set(
                CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION,
                ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
        newest(checkpoints).ifPresent(found -> settings.set(StateRecoveryOptions.SAVEPOINT_PATH, found.toUri().toString()));
        if (Bench.LATENCY) {
            settings.set(ExecutionOptions.BUFFER_TIMEOUT, Duration.ZERO);
        }
        return settings;
    }

    private static Optional<Path> newest(Path checkpoints) throws IOException {
        try (Stream<Path> files = Files.find(checkpoints, 3, (path, about) -> path.endsWith("_metadata"))) {
            return files.max(Comparator.comparing(path -> path.toFile().lastModified())).map(Path::getParent);
        }
    }

    private static void scoring(StreamExecutionEnvironment flink, Model model) {
        source(flink, "prediction-requests", Request.class, Request::read)
                .map(model::predict)
                .returns(Prediction.class)
                .uid("score")
                .sinkTo(sink("predictions", made -> made.requestId, Wire::write))
                .uid("predictions-sink");
    }

    private static void join(StreamExecutionEnvironment flink) {
        KeyedStream<Prediction, String> predictions =
                source(flink, "predictions", Prediction.class, Prediction::read).keyBy(made -> made.requestId);
        KeyedStream<Outcome, String> outcomes =
                source(flink, "outcomes", Outcome.class, Outcome::read).keyBy(given -> given.requestId);
        SingleOutputStreamOperator<Tuple2<String, Pair>> matches =
                predictions.connect(outcomes).process(new Join()).uid("join");
        matches.sinkTo(sink("matches", match -> match.f0, match -> Wire.write(match.f1))).uid("matches-sink");
        matches.keyBy(match -> match.f1.window())
                .process(new Counts())
                .uid("counts")
                .sinkTo(sink("counts", count -> count.f0, count -> count.f1.toJson(count.f0).getBytes(UTF_8)))
                .uid("counts-sink");
    }

    private static <T> DataStream<T> source(StreamExecutionEnvironment flink, String topic, Class<T> type, Wire.Reader<T> reader) {
        KafkaSource<T> source = KafkaSource.<T>builder()
                .setBootstrapServers(Bench.BOOTSTRAP)
                .setGroupId(Bench.topic("flink"))
                .setTopics(Bench.topic(topic))
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setValueOnlyDeserializer(new Input<>(type, Bench.input(reader)))
                .build();
        return flink.fromSource(source, WatermarkStrategy.noWatermarks(), topic).uid(topic);
    }

    private static <T> KafkaSink<T> sink(String topic, Part<T, String> key, Part<T, byte[]> value) {
        String topicName = Bench.topic(topic);
        KafkaSinkBuilder<T> sink = KafkaSink.<T>builder()
                .setBootstrapServers(Bench.BOOTSTRAP)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer((record, context, timeMs) ->
                        new ProducerRecord<>(topicName, key.of(record).getBytes(UTF_8), value.of(record)));
        if (Bench.LATENCY) {
            sink.setProperty(ProducerConfig.LINGER_MS_CONFIG, "0");
        }
        return sink.build();
    }

    /** The key or the value of a record that goes out. */
    private interface Part<T, P> extends Serializable {
        P of(T record);
    }

    /** Input records to POJOs. */
    private static final class Input<T> extends AbstractDeserializationSchema<T> {
        private final Wire.Reader<T> reader;

        Input(Class<T> type, Wire.Reader<T> reader) {
            super(type);
            this.reader = reader;
        }

        @Override
        public T deserialize(byte[] record) {
            return Wire.read(record, reader);
        }
    }

    /** Predictions and outcomes to matches, by request id. */
    private static final class Join extends KeyedCoProcessFunction<String, Prediction, Outcome, Tuple2<String, Pair>> {
        private transient ValueState<Pair> pairs;

        @Override
        public void open(OpenContext context) {
            pairs = getRuntimeContext().getState(new ValueStateDescriptor<>("pairs", Pair.class));
        }

        @Override
        public void processElement1(Prediction made, Context context, Collector<Tuple2<String, Pair>> out) throws IOException {
            Pair pair = pair();
            if (pair.add(made)) {
                keep(context.getCurrentKey(), pair, out);
            }
        }

        @Override
        public void processElement2(Outcome given, Context context, Collector<Tuple2<String, Pair>> out) throws IOException {
            Pair pair = pair();
            if (pair.add(given)) {
                keep(context.getCurrentKey(), pair, out);
            }
        }

        private Pair pair() throws IOException {
            Pair held = pairs.value();
            return held == null ? new Pair() : held;
        }

        private void keep(String requestId, Pair pair, Collector<Tuple2<String, Pair>> out) throws IOException {
            pairs.update(pair);
            if (pair.matched()) {
                out.collect(Tuple2.of(requestId, pair));
            }
        }
    }

    /** Matches to running counts, by window; each is told a second after it has changed. */
    private static final class Counts extends KeyedProcessFunction<String, Tuple2<String, Pair>, Tuple2<String, Count>> {
        private transient ValueState<Count> counts;
        private transient ValueState<Boolean> changed;

        @Override
        public void open(OpenContext context) {
            counts = getRuntimeContext().getState(new ValueStateDescriptor<>("counts", Count.class));
            changed = getRuntimeContext().getState(new ValueStateDescriptor<>("changed", Boolean.class));
        }

        @Override
        public void processElement(Tuple2<String, Pair> match, Context context, Collector<Tuple2<String, Count>> out)
                throws IOException {
            Count held = counts.value();
            Count count = held == null ? new Count() : held;
            count.add(match.f1);
            counts.update(count);
            if (changed.value() == null) {
                changed.update(true);
                context.timerService().registerProcessingTimeTimer(context.timerService().currentProcessingTime() + 1000);
            }
        }

        @Override
        public void onTimer(long timeMs, OnTimerContext context, Collector<Tuple2<String, Count>> out) throws IOException {
            changed.clear();
            out.collect(Tuple2.of(context.getCurrentKey(), counts.value()));
        }
    }
}
