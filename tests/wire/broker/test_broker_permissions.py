"""What is denied, received, and read from files: row L1 of the conformance table."""

from __future__ import annotations

from pathlib import Path

import pytest

from structiot.errors import ConfigError, UsageError
from structiot.mqtt.broker import Permission, Permissions
from structiot.mqtt.wire.messages import Message, Puback, Will
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, lasting

NOT_AUTHORIZED = int(ReasonCode.NOT_AUTHORIZED)
versions = pytest.mark.parametrize("version", [4, 5])


def acl(tmp_path: Path, text: str) -> Permissions:
    path = tmp_path / "acl"
    path.write_text(text)
    return Permissions.read(path)


# -- questions


def test_l1_a_denial_goes_before_what_allows():
    permissions = Permissions(
        [
            Permission(publish=["a/#"], subscribe=["a/#"]),
            Permission(deny_publish=["a/b"], deny_subscribe=["a/c/#"]),
        ]
    )
    assert permissions.may_publish(None, "c", "a/c")
    assert not permissions.may_publish(None, "c", "a/b")
    assert permissions.may_subscribe(None, "c", "a/b")
    assert not permissions.may_subscribe(None, "c", "a/c/+")
    # A wider one is granted; what is denied is left out of it.
    assert permissions.may_subscribe(None, "c", "a/#")
    assert not permissions.may_receive(None, "c", "a/c/x")
    assert permissions.may_receive(None, "c", "a/b")


def test_l1_what_is_said_of_a_user_goes_before_what_is_said_of_everybody():
    permissions = Permissions(
        [
            Permission(publish=["a/#"], deny_publish=["a/b"]),
            Permission(user="ann", publish=["a/b"]),
            Permission(user="bob", deny_publish=["a/c"]),
        ]
    )
    assert permissions.may_publish("ann", "c", "a/b")
    assert permissions.may_publish("ann", "c", "a/c")
    assert not permissions.may_publish("bob", "c", "a/b")
    assert not permissions.may_publish("bob", "c", "a/c")


def test_l1_receiving_may_be_told_apart_from_subscribing():
    permissions = Permissions(
        [
            Permission(subscribe=["#"], receive=["a/+"]),
            Permission(user="ann", subscribe=["b"], deny_receive=["a/x"]),
        ]
    )
    assert permissions.may_subscribe("bob", "c", "b/#")
    assert permissions.may_receive("bob", "c", "a/x")
    assert not permissions.may_receive("bob", "c", "b")
    assert permissions.may_receive("ann", "c", "b")
    assert permissions.may_receive("ann", "c", "a/y")
    assert not permissions.may_receive("ann", "c", "a/x")


def test_l1_the_anonymous_may_have_entries_of_their_own():
    permissions = Permissions([Permission(anonymous=True, publish=["a"])])
    assert permissions.may_publish(None, "c", "a")
    assert not permissions.may_publish("ann", "c", "a")
    with pytest.raises(UsageError, match="anonymous has no user"):
        Permission(anonymous=True, user="ann")


@pytest.mark.parametrize("name", ["+", "a/b", "$x"])
def test_l1_no_name_slips_through_a_denial(name: str):
    permissions = Permissions([Permission(publish=["#"], deny_publish=["own/%c/#"])])
    assert not permissions.may_publish(None, name, f"own/{name}/x")
    assert permissions.may_publish(None, name, "other")


# -- messages


@versions
def test_l1_a_message_goes_to_those_who_may_receive_it(version: int):
    house = House(Permission(publish=["#"], subscribe=["#"], deny_receive=["s/%u"]))
    ann, bob = (
        house.client(name, version, username=name, password=b"") for name in "ab"
    )
    for client in (ann, bob):
        client.subscribe("#", qos=1)
    for _ in range(2):  # the second time it is known who gets it
        ann.publish("s/a", b"not for a", qos=0)
        ann.publish("s/b", b"not for b", qos=0)
        assert ann.got_payloads() == [b"not for b"]
        assert bob.got_payloads() == [b"not for a"]


@versions
def test_l1_of_what_is_retained_only_that_is_told_which_may_be_received(version: int):
    house = House(Permission(publish=["#"], subscribe=["#"], deny_receive=["no/#"]))
    for topic in ("no/a", "yes/a"):
        house.publish(topic, topic.encode(), retain=True)
    client = house.client(version=version)
    client.subscribe("#")
    assert client.got_payloads() == [b"yes/a"]


@versions
def test_l1_a_shared_message_is_kept_back_too(version: int):
    house = House(Permission(subscribe=["#"], deny_receive=["no"]))
    client = house.client(version=version)
    assert client.subscribe("$share/g/#") == [0]
    house.publish("no")
    house.publish("yes", b"y")
    assert client.got_payloads() == [b"y"]


def test_l1_many_subscribers_with_many_rules_are_served_in_portions():
    entries = [
        Permission(user=f"u{number}", subscribe=["#"], deny_receive=["no"])
        for number in range(60)
    ]
    filler = [f"f/{number}" for number in range(200)]
    house = House(*entries, Permission(user="u0", receive=filler))
    clients = [
        house.client(f"c{number}", username=f"u{number}", password=b"")
        for number in range(60)
    ]
    for client in clients:
        client.subscribe("#")
    assert house.core.distribute(Message("yes", b"")) is None
    for topic in ("no", "yes", "no", "yes"):
        house.core.publish(Message(topic, topic.encode()), house.now)
        house.settle()
    assert all(client.got_payloads() == [b"yes"] * 2 for client in clients)
    publisher = house.client("p", username="p", password=b"")
    house.core.go_by(Permissions([Permission(publish=["#"]), *entries]))
    publisher.publish("yes", b"again")
    publisher.publish("no", b"again")
    assert all(client.got_payloads() == [b"again"] for client in clients)


# -- other permissions while it runs


@versions
def test_l1_who_is_connected_gains_and_loses_rights(version: int):
    house = House(Permission(publish=["#"], subscribe=["#"]))
    client = house.subscriber("#", version=version)
    house.publish("a", b"1")
    house.core.go_by(Permissions([Permission(publish=["b"], subscribe=["b"])]))
    house.publish("a", b"2")
    house.publish("b", b"3")
    assert client.got_payloads() == [b"1", b"3"]
    assert client.subscribe("a")[0] >= 0x80
    if version == 5:
        assert client.deliver("a", qos=1) == NOT_AUTHORIZED


@versions
def test_l1_what_waits_and_may_not_be_received_any_more_is_given_up(version: int):
    house = House(Permission(publish=["#"], subscribe=["#"]))
    away = house.subscriber("#", qos=1, version=version, **lasting(version))
    away.lose()
    for topic in ("a", "b"):
        house.publish(topic, topic.encode(), qos=1)
    house.core.go_by(Permissions([Permission(subscribe=["b"])]))
    again = house.client("subscriber", version, **lasting(version))
    (message,) = again.got_messages()
    assert message.topic == "b"
    assert house.core.lost == 1
    again.send(Puback(packet_id=message.packet_id))
    assert again.session is not None
    assert again.session.charged_queue_bytes == 0


def test_l1_a_will_that_may_not_be_published_any_more_is_not():
    house = House()
    watch = house.subscriber("#", client_id="watch")
    client = house.client(will=Will(topic="will", payload=b"w"))
    house.core.go_by(Permissions([Permission(subscribe=["#"])]))
    client.lose()
    assert watch.got() == []


# -- files


def test_l1_an_acl_file_of_mosquitto_is_read(tmp_path: Path):
    permissions = acl(
        tmp_path,
        "# a comment\n\ntopic read public/#\r\nuser  ann \n topic readwrite a/#\n"
        "topic deny a/secret\ntopic literal/%u\nuser bob\ntopic write w\n"
        "pattern write dev/%c/#\npattern deny dev/%c/%u",
    )
    assert permissions.may_receive(None, "c", "public/x")
    assert not permissions.may_publish(None, "c", "public/x")
    assert not permissions.may_receive("ann", "c", "public/x")
    assert permissions.may_publish("ann", "c", "a/b")
    assert not permissions.may_receive("ann", "c", "a/secret")
    assert permissions.may_publish("ann", "c", "literal/%u")
    assert not permissions.may_publish("ann", "c", "literal/ann")
    assert permissions.may_publish("bob", "c/1", "dev/c/1/x")
    assert not permissions.may_publish("bob", "c", "dev/c/bob")
    assert not permissions.may_receive("bob", "c", "w")


def test_l1_in_an_acl_file_a_filter_without_an_access_may_be_read_and_written(
    tmp_path: Path,
):
    permissions = acl(tmp_path, "user ann\ntopic a/+\ntopic read with a blank\n")
    assert permissions.may_publish("ann", "c", "a/b")
    assert permissions.may_receive("ann", "c", "a/b")
    assert permissions.may_receive("ann", "c", "with a blank")
    assert permissions.may_subscribe("ann", "c", "anything/#")
    assert not permissions.may_publish("bob", "c", "a/b")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("topic", "behind 'topic' stands a topic filter"),
        ("user  ", "behind 'user' stands a name"),
        ("topic reed a", "the access is read, write, readwrite, deny, not 'reed'"),
        ("topic read a#", "permission 'a#' holds #"),
        ("pattern read a # why", "holds # elsewhere"),
        ("topics read a", "begins with none of user, topic and pattern"),
        ("  # not at its begin", "begins with none of"),
        ("topic\tread\ta", "begins with none of"),
        ("\x1b[2J", "begins with none of"),
    ],
)
def test_l1_a_line_that_is_not_understood_is_named(
    tmp_path: Path, line: str, said: str
):
    with pytest.raises(ConfigError) as caught:
        acl(tmp_path, f"user ann\n{line}\ntopic a\n")
    text = str(caught.value)
    assert f"{tmp_path / 'acl'}, line 2: " in text
    assert said in text
    assert text.isprintable()


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "user = 1\n", "nonsense", "topic", "\0", 'topic = "a"\n'],
)
def test_l1_a_file_that_is_neither_is_refused(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match="acl"):
        acl(tmp_path, text)


def test_l1_a_file_that_is_no_text_is_named(tmp_path: Path):
    path = tmp_path / "acl"
    path.write_bytes(b"\x00\xb5mosquitto db")
    with pytest.raises(ConfigError, match="acl is not text"):
        Permissions.read(path)


def test_l1_the_keys_of_a_table_are_those_of_a_permission(tmp_path: Path):
    path = tmp_path / "permissions.toml"
    path.write_text(
        '[[permission]]\nanonymous = true\nsubscribe = ["#"]\n'
        'deny_subscribe = ["no/#"]\n[[permission]]\ndeny = ["a"]\n'
    )
    with pytest.raises(ConfigError, match="has no 'deny', it has user, anonymous, "):
        Permissions.read(path)
    path.write_text(path.read_text().replace("deny =", "deny_publish ="))
    permissions = Permissions.read(path)
    assert permissions.may_receive(None, "c", "yes")
    assert not permissions.may_receive(None, "c", "no/x")


def test_l1_so_many_filters_for_one_user_that_others_would_wait_are_refused(
    tmp_path: Path,
):
    of_ann, of_all = "user ann\n" + "topic a/b\n" * 6000, "pattern a/%u\n" * 4001
    with pytest.raises(ConfigError, match=r"acl.* 10001 topic filters.* 10000 are the"):
        acl(tmp_path, of_ann + of_all)
    # Of many users each has a few.
    many = "".join(f"user u{number}\ntopic a\ntopic b\n" for number in range(6000))
    assert acl(tmp_path, many).may_publish("u5999", "c", "b")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_l1_a_file_of_windows_is_read(tmp_path: Path, mark: str):
    (tmp_path / "acl").write_bytes(f"{mark}user ann\r\ntopic write a b\r\n".encode())
    assert Permissions.read(tmp_path / "acl").may_publish("ann", "c", "a b")


@pytest.mark.parametrize("is_away", [False, True])
@versions
def test_l1_who_may_not_receive_takes_nothing_from_a_group(version: int, is_away: bool):
    house = House(
        Permission(subscribe=["#"]), Permission(user="thief", deny_receive=["no"])
    )
    options = {"version": version, **lasting(version)}
    thieves = [
        house.client(f"t{number}", username="thief", password=b"", **options)
        for number in range(3)
    ]
    ann = house.client("ann", username="ann", password=b"", **options)
    for client in (*thieves, ann):
        assert client.subscribe("$share/g/#", qos=1) == [1]
    if is_away:
        ann.lose()
    for number in range(5):
        house.publish("no", b"%d" % number, qos=1)
    if is_away:
        ann = house.client("ann", username="ann", password=b"", **options)
    assert sorted(ann.got_payloads()) == [b"0", b"1", b"2", b"3", b"4"]
    house.publish("yes", b"y", qos=1)
    assert sum(one.got_payloads() == [b"y"] for one in (*thieves, ann)) == 1


def test_l1_entries_without_any_filter_forbid_everything():
    house = House(Permission(subscribe=["#"]))
    client = house.client()
    client.subscribe("$share/g/#")
    house.core.go_by(Permissions([Permission(user="ann")]))
    house.publish("a")
    assert client.got() == []
