package peers;

import java.io.IOException;
import java.time.Duration;
import java.util.HashSet;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import peers.Records.Count;
import peers.Records.Outcome;
import peers.Records.Pair;
import peers.Records.Prediction;
import peers.Records.Request;

/** The jobs in Kafka Streams: scoring in its DSL, the join as a processor with two stores, the loop of both. At least once, one stream thread. */
public final class KafkaStreamsApp {
    private KafkaStreamsApp() {}

    public static void main(String[] args) throws IOException {
        Bench.checkSchemas();
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, Bench.topic("streams"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, Bench.BOOTSTRAP);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Bench.STATE.resolve("streams").toString());
        if (Bench.LATENCY) {
            settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), "0");
        }
        Topology job =
                switch (Bench.JOB) {
                    case "join" -> join(new Topology());
                    case "loop" -> join(scoring(Bench.model()));
                    default -> scoring(Bench.model());
                };
        KafkaStreams streams = new KafkaStreams(job, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
        streams.start();
    }

    private static Topology scoring(Model model) {
        StreamsBuilder builder = new StreamsBuilder();
        Serde<Request> requests = serde(Bench.input(Request::read));
        builder.stream(Bench.topic("prediction-requests"), Consumed.with(Serdes.String(), requests))
                .mapValues(model::predict)
                .to(Bench.topic("predictions"), Produced.with(Serdes.String(), serde(Prediction::read)));
        return builder.build();
    }

    private static Topology join(Topology topology) {
        Serde<String> text = Serdes.String();
        Deserializer<Prediction> predictions = serde(Bench.input(Prediction::read)).deserializer();
        Deserializer<Outcome> outcomes = serde(Bench.input(Outcome::read)).deserializer();
        return topology
                .addSource("predictions", text.deserializer(), predictions, Bench.topic("predictions"))
                .addSource("outcomes", text.deserializer(), outcomes, Bench.topic("outcomes"))
                .addProcessor("join", Join::new, "predictions", "outcomes")
                .addStateStore(store("pairs-store", Pair::read), "join")
                .addStateStore(store("counts-store", Count::read).withCachingEnabled(), "join")
                .addSink("matches", Bench.topic("matches"), text.serializer(), serde(Pair::read).serializer(), "join")
                .addSink("counts", Bench.topic("counts"), text.serializer(), text.serializer(), "join");
    }

    private static <T> Serde<T> serde(Wire.Reader<T> reader) {
        return Serdes.serdeFrom((topic, record) -> Wire.write((Wire.Writable) record), (topic, bytes) -> Wire.read(bytes, reader));
    }

    private static <T extends Wire.Writable> StoreBuilder<KeyValueStore<String, T>> store(String name, Wire.Reader<T> reader) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.String(), serde(reader));
    }

    /** Predictions and outcomes of one partition to matches, and once a second to the counts that have changed. */
    private static final class Join implements Processor<String, Object, String, Object> {
        private final Set<String> changed = new HashSet<>();
        private ProcessorContext<String, Object> context;
        private KeyValueStore<String, Pair> pairs;
        private KeyValueStore<String, Count> counts;

        @Override
        public void init(ProcessorContext<String, Object> given) {
            context = given;
            pairs = context.getStateStore("pairs-store");
            counts = context.getStateStore("counts-store");
            try (KeyValueIterator<String, Count> known = counts.all()) {
                known.forEachRemaining(each -> changed.add(each.key)); // after a crash: perhaps not yet told
            }
            context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, this::tell);
        }

        @Override
        public void process(Record<String, Object> record) {
            Pair held = pairs.get(record.key());
            Pair pair = held == null ? new Pair() : held;
            boolean news = record.value() instanceof Prediction made ? pair.add(made) : pair.add((Outcome) record.value());
            if (news) {
                pairs.put(record.key(), pair);
            }
            if (news && pair.matched()) {
                context.forward(record.withValue(pair), "matches");
                count(pair);
            }
        }

        private void count(Pair match) {
            String window = match.window();
            Count held = counts.get(window);
            Count count = held == null ? new Count() : held;
            count.add(match);
            counts.put(window, count);
            changed.add(window);
        }

        private void tell(long nowMs) {
            for (String window : changed) {
                String key = window + "|" + context.taskId().partition();
                context.forward(new Record<>(key, counts.get(window).toJson(window), nowMs), "counts");
            }
            changed.clear();
        }
    }
}
