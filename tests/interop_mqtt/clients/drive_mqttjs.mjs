// MQTT.js: events. Called as the Python drivers are, see scenario.py.

import mqtt from "mqtt";

const [port, level, task, transport] = process.argv.slice(2);
const lasts = task === "sleep" || task === "wake";
const echo = [0, 1, 2].map((qos) => [`interop/echo/${qos}`, `hello ${qos}`, qos, false]);
const numbers = Array.from({ length: 100 }, (_, n) => ["interop/n", `${n}`, 2, false]);
const messages =
  { echo: [["kept/mqttjs", "mqttjs", 1, true], ...echo], numbers }[task] ?? [];
const expected = { echo: 4, numbers: 101, wake: 2 }[task] ?? 0;
const seen = [];
const client = mqtt.connect(`${transport === "ws" ? "ws" : "mqtt"}://127.0.0.1:${port}`, {
  clientId: lasts ? "mqttjs-lasting" : "mqttjs",
  clean: !lasts,
  properties: level === "5" && lasts ? { sessionExpiryInterval: 3600 } : undefined,
  protocolVersion: Number(level),
  reconnectPeriod: 0,
  will: { topic: "interop/will", payload: Buffer.from("gone"), qos: 1, retain: false },
});
const limit = setTimeout(() => process.exit(1), 10000);

function leave() {
  clearTimeout(limit);
  client.end(false, {}, () => console.log(JSON.stringify(seen)));
}

client.on("message", (topic, payload, packet) => {
  seen.push({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain });
  if (seen.length === expected) leave();
});
client.on("connect", async () => {
  if (task !== "wake") {
    await client.subscribeAsync(lasts ? "missed/mqttjs/#" : "interop/#", { qos: 2 });
  }
  if (task === "vanish") {
    console.log("connected");
    process.kill(process.pid, "SIGKILL");
  }
  for (const [topic, payload, qos, retain] of messages) {
    await client.publishAsync(topic, payload, { qos, retain });
  }
  if (task === "sleep") leave();
});
