"""paho-mqtt: network thread by loop_start(), callbacks, publish() and its info objects."""

from __future__ import annotations

import itertools
import sys
import threading

import paho.mqtt.client as mqtt
from common import HOST, Job, parse_job


def connected_client(job: Job) -> mqtt.Client:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    client.max_inflight_messages_set(job.window)
    up = threading.Event()
    client.on_connect = lambda *_: up.set()
    if job.cafile:
        client.tls_set_context(job.tls)
    client.connect(HOST, job.port)
    client.loop_start()
    if not up.wait(10):
        job.report("no CONNACK within 10 s")
    return client


def receive(job: Job) -> None:
    tally, count = job.tally, job.count
    client = connected_client(job)

    def on_message(_client: object, _data: object, _message: object) -> None:
        tally.n += 1
        if tally.n == count:
            job.finish_now()

    answered = threading.Event()
    client.on_subscribe = lambda *_: answered.set()
    for some in job.others:
        answered.clear()
        for other in some:
            client.message_callback_add(other, lambda *_: None)
        client.subscribe([(other, job.qos) for other in some])
        answered.wait()
    # Where there are several filters, this is how paho tells their messages apart.
    if job.others:
        client.message_callback_add(job.topic, on_message)
    client.on_message = on_message
    job.start()
    client.subscribe(job.topic, job.qos)
    threading.Event().wait()


def publish(job: Job) -> None:
    client = connected_client(job)
    topics, payload, qos = job.each_topic(), job.payload, job.qos
    job.start()
    if qos == 0:
        for topic in topics:
            client.publish(topic, payload)
    else:
        for _ in range(0, job.count, job.window):
            for topic in itertools.islice(topics, job.window):
                info = client.publish(topic, payload, qos)
            info.wait_for_publish()
    job.finish_now()


if __name__ == "__main__":
    the_job = parse_job()
    try:
        (receive if the_job.mode == "receive" else publish)(the_job)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs in the table
        the_job.report(f"{type(error).__name__}: {error}")
    sys.exit(1)
