"""paho-mqtt: callbacks, a network thread."""

from __future__ import annotations

import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from scenario import HOST, LASTS_S, LIMIT_S, WILL_PAYLOAD, WILL_TOPIC, Job, die

job = Job("paho")
ready, complete = threading.Event(), threading.Event()


def on_connect(client, userdata, flags, reason, properties):
    if job.subscribes:
        client.subscribe(job.filter, qos=2)
    else:
        ready.set()


def on_subscribe(client, userdata, mid, reasons, properties):
    ready.set()


def on_message(client, userdata, message):
    job.take(message.topic, message.payload, message.qos, message.retain)
    if job.is_complete:
        complete.set()


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    job.client_id,
    clean_session=None if job.is_v5 else not job.lasts,
    protocol=mqtt.MQTTProtocolVersion(job.level),
    transport=job.transport,
)
client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_message = on_message
client.will_set(WILL_TOPIC, WILL_PAYLOAD, qos=1)
if job.is_v5:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = LASTS_S if job.lasts else 0
    client.connect(HOST, job.port, clean_start=not job.lasts, properties=properties)
else:
    client.connect(HOST, job.port)
client.loop_start()
assert ready.wait(LIMIT_S)
if job.task == "vanish":
    die()
for topic, payload, qos, retain in job.publishes:
    client.publish(topic, payload, qos, retain).wait_for_publish(LIMIT_S)
if job.expected:
    complete.wait(LIMIT_S)
client.disconnect()
client.loop_stop()
job.report()
