// Ask, read the prediction, tell the outcome, read the incident: kafkajs and avsc, topics in Avro.
// `leadline asyncapi > leadline.json` writes the schemas, each with the ten bytes that its records begin with.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import avro from "avsc";
import { Kafka, logLevel } from "kafkajs";

const prefix = process.env.LEADLINE_PREFIX ?? "leadline";
const model = process.env.MODEL;
const order = `order-${randomUUID()}`;
const types = new Map();
for (const message of Object.values(JSON.parse(readFileSync("leadline.json", "utf8")).components.messages)) {
  if (message.payload) types.set(message["x-single-object-head"], avro.Type.forSchema(message.payload.schema));
}

function read(value) {
  const type = types.get(value.toString("hex", 0, 10));
  if (!type) throw new Error(`no schema begins with ${value.toString("hex", 0, 10)}: write leadline.json anew`);
  return type.fromBuffer(value.subarray(10)); // times are milliseconds since the epoch
}

const kafka = new Kafka({ brokers: process.env.KAFKA_BOOTSTRAP.split(","), logLevel: logLevel.WARN });
const producer = kafka.producer();
const consumer = kafka.consumer({ groupId: "with-kafkajs", readUncommitted: false });
const send = (topic, record) =>
  producer.send({ topic: `${prefix}.${topic}`, messages: [{ key: order, value: JSON.stringify(record) }] });
const now = () => new Date().toISOString();
const topics = [`${prefix}.predictions`, `${prefix}.alerts`];

async function eachMessage({ message }) {
  const record = read(message.value);
  if (record.request_id === order) {
    console.log("prediction", order, record.model_version, record.score);
    await send("outcomes", { request_id: order, outcome: 1, outcome_time: now() });
    console.log("outcome", order, 1);
  } else if (record.alert_id && record.model === model) {
    console.log("incident", record.alert_id, record.state, record.kind, record.severity);
    setImmediate(() => Promise.all([consumer.disconnect(), producer.disconnect()]));
  }
}

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics, fromBeginning: true });
await consumer.run({ eachMessage });
await send("prediction-requests", { request_id: order, model, event_time: now(), features: { amount: 250.0 } });
