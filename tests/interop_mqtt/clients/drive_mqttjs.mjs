// MQTT.js: events. Called as the Python drivers are, see scenario.py.

import mqtt from "mqtt";

const [port, level, task, transport] = process.argv.slice(2);
const messages =
  task === "numbers"
    ? Array.from({ length: 100 }, (_, number) => ["interop/n", `${number}`, 2])
    : [0, 1, 2].map((qos) => [`interop/echo/${qos}`, `hello ${qos}`, qos]);
const seen = [];
const client = mqtt.connect(`${transport === "ws" ? "ws" : "mqtt"}://127.0.0.1:${port}`, {
  clientId: "mqttjs",
  protocolVersion: Number(level),
  reconnectPeriod: 0,
  will: { topic: "interop/will", payload: Buffer.from("gone"), qos: 1, retain: false },
});
const limit = setTimeout(() => process.exit(1), 10000);

client.on("message", (topic, payload, packet) => {
  seen.push({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain });
  if (seen.length > messages.length) {
    clearTimeout(limit);
    client.end(false, {}, () => console.log(JSON.stringify(seen)));
  }
});
client.on("connect", async () => {
  await client.subscribeAsync("interop/#", { qos: 2 });
  if (task === "vanish") {
    console.log("connected");
    process.kill(process.pid, "SIGKILL");
  }
  for (const [topic, payload, qos] of messages) {
    await client.publishAsync(topic, payload, { qos });
  }
});
