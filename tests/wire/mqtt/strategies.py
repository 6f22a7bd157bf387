"""Hypothesis strategies for every MQTT packet that may be sent."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from structiot.mqtt.wire.properties import (
    AckProperties,
    AuthProperties,
    ConnackProperties,
    ConnectProperties,
    DisconnectProperties,
    PublishProperties,
    SubscribeProperties,
    UnsubscribeProperties,
    WillProperties,
)
from structiot.mqtt.wire.reasons import ALLOWED_REASONS, ConnectReturnCode, ReasonCode
from structiot.mqtt.wire.topics import filter_fault

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
TOPIC = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1
)
LEVEL = st.sampled_from(["", "a", "b", "+", "$share", "$SYS", "\u00e9"])
FILTER = st.builds(
    lambda levels, ending: "/".join(levels) + ending,
    st.lists(LEVEL, min_size=1, max_size=4),
    st.sampled_from(["", "/#"]),
).filter(lambda text: filter_fault(text) is None)
DATA = st.binary(max_size=40)
UINT16 = st.integers(0, 0xFFFF)
UINT32 = st.integers(0, 0xFFFF_FFFF)
COUNT16 = st.integers(1, 0xFFFF)
COUNT32 = st.integers(1, 0xFFFF_FFFF)
SUBSCRIPTION_ID = st.integers(1, 268_435_455)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "payload_format": st.integers(0, 1),
    "message_expiry_s": UINT32,
    "content_type": TEXT,
    "response_topic": TOPIC,
    "correlation_data": DATA,
    "subscription_id": SUBSCRIPTION_ID,
    "session_expiry_s": UINT32,
    "assigned_client_id": TEXT,
    "server_keep_alive_s": UINT16,
    "authentication_method": TEXT,
    "authentication_data": DATA,
    "request_problem_information": st.booleans(),
    "will_delay_s": UINT32,
    "request_response_information": st.booleans(),
    "response_information": TEXT,
    "server_reference": TEXT,
    "reason_string": TEXT,
    "receive_maximum": COUNT16,
    "topic_alias_maximum": UINT16,
    "topic_alias": COUNT16,
    "maximum_qos": st.integers(0, 1),
    "retain_available": st.booleans(),
    "maximum_packet_bytes": COUNT32,
    "wildcard_subscription_available": st.booleans(),
    "subscription_ids_available": st.booleans(),
    "shared_subscription_available": st.booleans(),
}


def properties_of(cls: type) -> st.SearchStrategy[Any]:
    """Any allowed values of one class of properties."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name in cls.__dataclass_fields__:  # type: ignore[attr-defined]
        if name == "user_properties":
            fields[name] = PAIRS
        elif name == "subscription_ids":
            fields[name] = st.lists(SUBSCRIPTION_ID, max_size=3).map(tuple)
        else:
            fields[name] = st.none() | VALUES[name]
    return st.builds(cls, **fields).filter(_has_method)


def _has_method(properties: Any) -> bool:
    if getattr(properties, "authentication_data", None) is None:
        return True
    return properties.authentication_method is not None


def _if_v5(version: int, cls: type) -> st.SearchStrategy[Any]:
    return properties_of(cls) if version == 5 else st.just(cls())


def _reason(packet_type: int, version: int) -> st.SearchStrategy[ReasonCode]:
    if version == 4:
        return st.just(ReasonCode.SUCCESS)
    return st.sampled_from(list(ALLOWED_REASONS[packet_type].values()))


def _wills(version: int) -> st.SearchStrategy[Will]:
    return st.builds(
        Will,
        topic=TOPIC,
        payload=DATA,
        qos=st.integers(0, 2),
        retain=st.booleans(),
        properties=_if_v5(version, WillProperties),
    )


def _connects(version: int) -> st.SearchStrategy[Connect]:
    return st.builds(
        Connect,
        client_id=TEXT,
        clean_start=st.booleans(),
        keep_alive_s=UINT16,
        username=st.none() | TEXT,
        password=st.none() | DATA,
        will=st.none() | _wills(version),
        version=st.just(version),
        properties=_if_v5(version, ConnectProperties),
    ).filter(_is_connect_of_3_1_1 if version == 4 else lambda _: True)


def _is_connect_of_3_1_1(packet: Connect) -> bool:
    has_right_login = packet.password is None or packet.username is not None
    return has_right_login and (packet.clean_start or packet.client_id != "")


def _connacks(version: int) -> st.SearchStrategy[Connack]:
    reasons: st.SearchStrategy[Any] = _reason(2, version)
    if version == 4:
        reasons = st.sampled_from(list(ConnectReturnCode))
    return st.builds(
        Connack,
        session_present=st.booleans(),
        reason=reasons,
        properties=_if_v5(version, ConnackProperties),
    ).filter(lambda packet: not (packet.session_present and packet.reason))


def messages(version: int, *, from_server: bool) -> st.SearchStrategy[Message]:
    """Any PUBLISH that this side may send."""
    properties: st.SearchStrategy[Any] = st.none()
    if version == 5:
        properties = st.none() | properties_of(PublishProperties).filter(
            lambda given: (
                given != PublishProperties()
                and (from_server or not given.subscription_ids)
            )
        )

    def build(  # noqa: PLR0917 - one argument for each strategy below
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        dup: bool,
        packet_id: int,
        given: PublishProperties | None,
        is_aliased: bool,
    ) -> Message:
        if is_aliased and given is not None and given.topic_alias is not None:
            topic = ""
        return Message(
            topic,
            payload,
            qos=qos,
            retain=retain,
            dup=dup and qos > 0,
            packet_id=packet_id if qos else 0,
            properties=given,
        )

    return st.builds(
        build,
        TOPIC,
        st.binary(max_size=300),
        st.integers(0, 2),
        st.booleans(),
        st.booleans(),
        COUNT16,
        properties,
        st.booleans(),
    )


def _requests(version: int) -> st.SearchStrategy[SubscriptionRequest]:
    if version == 4:
        return st.builds(
            SubscriptionRequest, topic_filter=FILTER, qos=st.integers(0, 2)
        )
    return st.builds(
        SubscriptionRequest,
        topic_filter=FILTER,
        qos=st.integers(0, 2),
        no_local=st.booleans(),
        retain_as_published=st.booleans(),
        retain_handling=st.integers(0, 2),
    ).filter(lambda r: not (r.no_local and r.topic_filter.startswith("$share/")))


def _acks(version: int) -> list[st.SearchStrategy[Any]]:
    return [
        st.builds(
            cls,
            packet_id=COUNT16,
            reason=_reason(number, version),
            properties=_if_v5(version, AckProperties),
        )
        for number, cls in ((4, Puback), (5, Pubrec), (6, Pubrel), (7, Pubcomp))
    ]


def _codes(packet_type: int, version: int) -> st.SearchStrategy[Any]:
    if version == 5:
        return st.lists(_reason(packet_type, 5), min_size=1, max_size=4).map(tuple)
    if packet_type == 11:
        return st.just(())
    codes = st.sampled_from([ReasonCode(code) for code in (0, 1, 2, 0x80)])
    return st.lists(codes, min_size=1, max_size=4).map(tuple)


def packets_for_server(version: int) -> st.SearchStrategy[Packet]:
    """Any packet that a client may send; CONNECT not included."""
    kinds: list[st.SearchStrategy[Any]] = [
        messages(version, from_server=False),
        *_acks(version),
        st.builds(
            Subscribe,
            packet_id=COUNT16,
            subscriptions=st.lists(_requests(version), min_size=1, max_size=3).map(
                tuple
            ),
            properties=_if_v5(version, SubscribeProperties),
        ),
        st.builds(
            Unsubscribe,
            packet_id=COUNT16,
            topic_filters=st.lists(FILTER, min_size=1, max_size=3).map(tuple),
            properties=_if_v5(version, UnsubscribeProperties),
        ),
        st.just(Pingreq()),
        st.builds(
            Disconnect,
            reason=_reason(14, version),
            properties=_if_v5(version, DisconnectProperties),
        ),
    ]
    return st.one_of(kinds + _auths(version))


def packets_for_client(version: int) -> st.SearchStrategy[Packet]:
    """Any packet that a server may send."""
    kinds: list[st.SearchStrategy[Any]] = [
        _connacks(version),
        messages(version, from_server=True),
        *_acks(version),
        *[
            st.builds(
                cls,
                packet_id=COUNT16,
                reasons=_codes(number, version),
                properties=_if_v5(version, AckProperties),
            )
            for number, cls in ((9, Suback), (11, Unsuback))
        ],
        st.just(Pingresp()),
    ]
    if version == 5:
        properties = properties_of(DisconnectProperties).filter(
            lambda given: given.session_expiry_s is None
        )
        kinds.append(
            st.builds(Disconnect, reason=_reason(14, 5), properties=properties)
        )
    return st.one_of(kinds + _auths(version))


def connects(version: int) -> st.SearchStrategy[Packet]:
    """Any CONNECT."""
    return _connects(version)


def _auths(version: int) -> list[st.SearchStrategy[Any]]:
    if version == 4:
        return []
    properties = properties_of(AuthProperties)
    return [st.builds(Auth, reason=_reason(15, 5), properties=properties)]
