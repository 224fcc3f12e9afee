// Ask, read the prediction, tell the outcome, read the incident: kafka-clients and Avro, topics in Avro.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class WithKafkaClients {
    static final String KAFKA = System.getenv("KAFKA_BOOTSTRAP");
    static final String PREFIX = System.getenv().getOrDefault("LEADLINE_PREFIX", "leadline");
    static final Path SCHEMAS = Path.of(System.getenv().getOrDefault("LEADLINE_SCHEMAS", "schemas"));
    static final String MODEL = System.getenv("MODEL");
    static final String ORDER = "order-" + UUID.randomUUID();

    /** Reads the records of one class, also those that an older release wrote. */
    static BinaryMessageDecoder<GenericRecord> decoder(String name) throws IOException {
        var decoder = new BinaryMessageDecoder<GenericRecord>(GenericData.get(), schema(SCHEMAS.resolve(name + ".avsc")));
        try (var released = Files.newDirectoryStream(SCHEMAS.resolve("released"), name + "-*.avsc")) {
            for (var path : released) decoder.addSchema(schema(path));
        }
        return decoder;
    }

    static Schema schema(Path path) throws IOException {
        return new Schema.Parser().parse(path.toFile());
    }

    static void send(KafkaProducer<String, String> producer, String topic, String json) throws Exception {
        producer.send(new ProducerRecord<>(PREFIX + "." + topic, ORDER, json)).get();
    }

    public static void main(String[] arguments) throws Exception {
        var decoders = Map.of(PREFIX + ".predictions", decoder("prediction"), PREFIX + ".alerts", decoder("alert"));
        Map<String, Object> reading = Map.of(
            "bootstrap.servers", KAFKA, "group.id", "with-kafka-clients",
            "auto.offset.reset", "earliest", "isolation.level", "read_committed");
        try (var producer = new KafkaProducer<>(
                Map.of("bootstrap.servers", KAFKA), new StringSerializer(), new StringSerializer());
            var consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.copyOf(decoders.keySet()));
            send(producer, "prediction-requests", """
                {"request_id": "%s", "model": "%s", "event_time": "%s", "features": {"amount": 250.0}}
                """.formatted(ORDER, MODEL, Instant.now()));
            while (true) {
                for (var message : consumer.poll(Duration.ofSeconds(1))) {
                    var record = decoders.get(message.topic()).decode(message.value());
                    if (record.hasField("score") && record.get("request_id").toString().equals(ORDER)) {
                        print("prediction", ORDER, record.get("model_version"), record.get("score"));
                        send(producer, "outcomes", """
                            {"request_id": "%s", "outcome": 1, "outcome_time": "%s"}
                            """.formatted(ORDER, Instant.now()));
                        print("outcome", ORDER, 1);
                    } else if (record.hasField("alert_id") && record.get("model").toString().equals(MODEL)) {
                        print("incident", record.get("alert_id"), record.get("state"), record.get("kind"), record.get("severity"));
                        return;
                    }
                }
            }
        }
    }

    static void print(Object... words) {
        System.out.println(String.join(" ", java.util.Arrays.stream(words).map(String::valueOf).toList()));
    }
}
