"""paho-mqtt: network thread by loop_start(), publish() in the main thread, a callback."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import paho.mqtt.client as mqtt
from common import HOST, parse, serve_thread


def main() -> None:
    args = parse()
    topic, payload, qos = args.topic, args.payload, args.qos
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    up, subscribed = threading.Event(), threading.Event()
    arrived: SimpleQueue[None] = SimpleQueue()
    client.on_connect = lambda *_: up.set()
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda *_: arrived.put(None)
    client.connect(HOST, args.port)
    client.loop_start()
    up.wait(10)
    if args.kind == "publish":
        serve_thread(lambda: client.publish(topic, payload, qos).wait_for_publish())
    client.subscribe(topic, qos)
    subscribed.wait(10)

    def there_and_back() -> None:
        client.publish(topic, payload, qos)
        arrived.get()

    serve_thread(there_and_back)


main()
