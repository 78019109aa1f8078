// What a JavaScript team writes: the envelope by `cloudevents`, Kafka by `kafkajs`.
//
//   node main.mjs publish <bootstrap servers> <topic>   stdin: {"mode": "binary" | "structured", "event": {…}} a line
//   node main.mjs read <bootstrap servers> <topic>      stdout: one CloudEvent in JSON a line, all that stands there now
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import { CloudEvent, Kafka as Binding } from "cloudevents";
import { Kafka, logLevel } from "kafkajs";

async function publish(kafka, topic) {
  const messages = [];
  for await (const line of createInterface({ input: process.stdin })) {
    const { mode, event } = JSON.parse(line);
    // The binding makes `partitionkey` the record's key, which in our contracts is the subject.
    const made = Binding[mode](new CloudEvent({ ...event, partitionkey: event.subject }));
    const value = typeof made.value === "string" ? made.value : JSON.stringify(made.value);
    // It also gives attributes that the event does not have, as undefined, which Kafka's client can't send.
    const headers = Object.fromEntries(Object.entries(made.headers).filter(([, text]) => text !== undefined));
    messages.push({ key: made.key, value, headers });
  }
  const producer = kafka.producer({ allowAutoTopicCreation: false, idempotent: true });
  await producer.connect();
  await producer.send({ topic, messages, acks: -1 });
  await producer.disconnect();
}

async function read(kafka, topic) {
  const admin = kafka.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  const left = new Map(ends.map(({ partition, low, high }) => [partition, BigInt(high) - BigInt(low)]));
  for (const [partition, count] of left) if (count === 0n) left.delete(partition);
  if (left.size === 0) return;

  const consumer = kafka.consumer({ groupId: `foreign-javascript-${randomUUID()}`, maxWaitTimeInMs: 200 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    const eachMessage = async ({ partition, message }) => {
      const last = left.get(partition);
      if (last === undefined) return;
      console.log(JSON.stringify(eventOf(message)));
      if (last === 1n) left.delete(partition);
      else left.set(partition, last - 1n);
      if (left.size === 0) resolve();
    };
    consumer.run({ autoCommit: false, eachMessage }).catch(reject);
  });
  await consumer.disconnect();
}

function eventOf({ key, value, headers }) {
  // kafkajs gives bytes, the binding wants text.
  const texts = Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, bytes.toString()]));
  return Binding.toEvent({ key: key.toString(), value: value.toString(), headers: texts }).toJSON();
}

const [command, servers, topic] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "foreign-javascript", brokers: servers.split(","), logLevel: logLevel.ERROR });
await { publish, read }[command](kafka, topic);
