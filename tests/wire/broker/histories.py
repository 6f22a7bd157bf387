"""Any history at all of two clients and a broker that is written down."""

from __future__ import annotations

from typing import Any

from structiot.mqtt.wire.flows.flow import RELEASED
from structiot.mqtt.wire.messages import Puback, Pubcomp, Pubrec, Pubrel, Will
from structiot.mqtt.wire.properties import WillProperties
from tests.wire.broker.clients import ScriptedClient, lasting
from tests.wire.broker.paper import KeptHouse

NAMES = ("one", "two")
STEPS: dict[str, tuple[Any, ...]] = {
    "connect": ("lasting", "lasting", "lasting", "clean", "with a will"),
    "lose": (None,),
    "leave": (None,),
    "subscribe": (0, 1, 2),
    "unsubscribe": (None,),
    "publish": (0, 1, 2, 2),
    "take": (None,),
    "answer": (1, 2, 3),
    "retain": (True, True, False),
    "restart": (None,),
    "wait": (1, 10, 40),
}
WEIGHTS = (3, 2, 1, 3, 1, 8, 2, 6, 1, 1, 1)


class History:
    """Two clients of one broker, and one step after the other."""

    def __init__(self) -> None:
        self.house = KeptHouse(inflight=2, queued=4)
        self.clients: dict[str, ScriptedClient] = {}

    def step(self, what: str, name: Any, how: Any) -> None:
        client = self.clients.get(name)
        if what == "connect":
            options = {} if how == "clean" else lasting(5, 60)
            if how == "with a will":
                properties = WillProperties(will_delay_s=5)
                options["will"] = Will(
                    topic="a/will", qos=1, payload=b"w", properties=properties
                )
            self.clients[name] = self.house.client(name, 5, **options)
        elif what == "restart":
            self.house.commit()
            self.house.restart()
            self.clients.clear()
        elif what == "wait":
            self.house.pass_time(how)
        elif what == "retain":
            self.house.publish(f"a/{name}", b"kept" if how else b"", retain=True)
        elif client is not None and client.session is not None:
            self.client_step(client, what, name, how)

    def client_step(
        self, client: ScriptedClient, what: str, name: str, how: Any
    ) -> None:
        if what == "lose":
            client.lose()
        elif what == "leave":
            client.disconnect()
        elif what == "subscribe":
            client.subscribe("a/#", qos=how)
        elif what == "unsubscribe":
            client.unsubscribe("a/#")
        elif what == "publish":
            properties = {"message_expiry_s": 30}
            payload = b"%d" % how
            client.publish(
                f"a/{name}", payload, qos=how, packet_id=9, properties=properties
            )
        elif what == "take":
            client.send(Pubrel(packet_id=9))
        elif what == "answer":
            self.answer(client, how)

    def answer(self, client: ScriptedClient, packet_id: int) -> None:
        flow = client.session and client.session.outgoing.inflight.get(packet_id)
        if not flow:
            return
        if flow.flags & 2:
            client.send(Puback(packet_id=packet_id))
        elif flow.stage == RELEASED:
            client.send(Pubcomp(packet_id=packet_id))
        else:
            client.send(Pubrec(packet_id=packet_id))
