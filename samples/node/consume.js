// Print predictions, live metrics and alerts as they come, by kafkajs and avsc.
// `leadline asyncapi > leadline.json` writes the schemas, each with the ten bytes that its records begin with.
import { readFileSync } from "node:fs";
import avro from "avsc";
import { Kafka, logLevel } from "kafkajs";

const prefix = process.env.LEADLINE_PREFIX ?? "leadline";
const contract = JSON.parse(readFileSync(process.argv[2] ?? "leadline.json", "utf8"));
const types = new Map();
for (const message of Object.values(contract.components.messages)) {
  if (message.payload) {
    types.set(message["x-single-object-head"], [message.name, avro.Type.forSchema(message.payload.schema)]);
  }
}

function read(value) {
  const known = types.get(value.toString("hex", 0, 10));
  if (!known) throw new Error(`no schema begins with ${value.toString("hex", 0, 10)}: write leadline.json anew`);
  const [name, type] = known;
  return [name, type.fromBuffer(value.subarray(10))]; // times are milliseconds since the epoch
}

const kafka = new Kafka({ brokers: process.env.KAFKA_BOOTSTRAP.split(","), logLevel: logLevel.WARN });
const consumer = kafka.consumer({ groupId: "my-node-service", readUncommitted: false });
process.once("SIGINT", () => consumer.disconnect());
await consumer.connect();
await consumer.subscribe({
  topics: ["predictions", "metrics", "alerts"].map((topic) => `${prefix}.${topic}`),
  fromBeginning: true,
});
await consumer.run({
  eachMessage: async ({ message }) => {
    const [name, record] = read(message.value);
    if (name === "Prediction") {
      console.log("prediction", record.request_id, record.model_version, record.score);
    } else if (name === "WindowMetrics" && record.accuracy) {
      const { value, low, high } = record.accuracy;
      console.log("accuracy", new Date(record.window_start).toISOString(), record.segment, value, low, high);
    } else if (name === "Alert") {
      console.log("alert", record.alert_id, record.state, record.kind, JSON.stringify(record.evidence));
    }
  },
});
