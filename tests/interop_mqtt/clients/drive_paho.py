"""paho-mqtt: callbacks, a network thread."""

from __future__ import annotations

import threading

import paho.mqtt.client as mqtt
from scenario import FILTER, HOST, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die

job = Job()
subscribed, complete = threading.Event(), threading.Event()


def on_connect(client, userdata, flags, reason, properties):
    client.subscribe(FILTER, qos=2)


def on_subscribe(client, userdata, mid, reasons, properties):
    subscribed.set()


def on_message(client, userdata, message):
    job.take(message.topic, message.payload, message.qos, message.retain)
    if job.is_complete:
        complete.set()


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    "paho",
    protocol=mqtt.MQTTProtocolVersion(job.level),
    transport=job.transport,
)
client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_message = on_message
client.will_set(WILL_TOPIC, WILL_PAYLOAD, qos=1)
client.connect(HOST, job.port)
client.loop_start()
assert subscribed.wait(LIMIT_S)
if job.task == "vanish":
    die()
for topic, payload, qos in job.messages:
    client.publish(topic, payload, qos=qos).wait_for_publish(LIMIT_S)
complete.wait(LIMIT_S)
client.disconnect()
client.loop_stop()
job.report()
