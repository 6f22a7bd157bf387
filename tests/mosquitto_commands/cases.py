"""Every option of Mosquitto's three programs: how it is tried, and how ours does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["BASES", "CASES", "FORMATS", "OURS", "Case"]

SAME: Final = "same"
DIFFERS: Final = "differs"
NOT_OFFERED: Final = "not offered"

SUB, PUB, RR = "mosquitto_sub", "mosquitto_pub", "mosquitto_rr"
OURS: Final = {SUB: "sub", PUB: "pub", RR: "request"}
# What is added to each call, so that it ends; `in` is kept by the broker.
BASES: Final = {
    SUB: "-V mqttv5 -t in -C 1 -W 5",
    PUB: "-V mqttv5 -t out -m x",
    RR: "-V mqttv5 -q 1 -t ask -e in -m x -W 5",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One option of one program.

    Attributes:
        program: Whose option.
        option: Its name.
        verdict: What comes of trying it: `same`, `differs`, or `not offered`.
        words: The whole command line, without the place of the broker.
        why: What differs, or why it is not offered.
        place: How the broker is found.
        stdin: What is on standard input.
        kept: What the broker is given to keep before each of the two calls.
        kinds: Which packets are compared.
        is_shared: Whether all three programs have the option, and mean the same.
    """

    program: str
    option: str
    verdict: str
    words: str
    why: str = ""
    place: str = "-h 127.0.0.1 -p {port}"
    stdin: str = ""
    kept: tuple[tuple[str, str], ...] = ()
    kinds: tuple[str, ...] = ("connect", "publish", "subscribe")
    is_shared: bool = False


def for_all(
    option: str, words: str, verdict: str = SAME, why: str = "", **more: Any
) -> list[Case]:
    """An option that all three programs have, behind what else is said."""
    return [
        Case(
            program=program,
            option=option,
            verdict=verdict,
            words=f"{base} {words}",
            why=why,
            is_shared=True,
            **more,
        )
        for program, base in BASES.items()
    ]


def of(
    program: str,
    option: str,
    words: str,
    verdict: str = SAME,
    why: str = "",
    **more: Any,
) -> Case:
    """An option of one program; the words are the whole command line."""
    return Case(
        program=program, option=option, verdict=verdict, words=words, why=why, **more
    )


_TLS = "-h localhost -p {tls}"
_OWN_NAME = "-h 127.0.0.1 -p {tls}"
_ENGINE = "OpenSSL has given engines up"
_CONTEXT = "Python's usual ones; a program gives an `ssl_context`"
_PSK = "Python has it from 3.13 on"

CASES: Final[list[Case]] = [
    # Where the broker is, and who asks.
    *for_all("-h", "", place="-h localhost -p {port}"),
    *for_all("-p", "", place="-p {port}"),
    *for_all("-u", "-u ann"),
    *for_all("-P", "-u ann -P word"),
    *for_all("--unix", "", place="--unix {dir}/socket"),
    of(
        SUB,
        "-L",
        "-V mqttv5 -C 1 -W 5 -t other -L mqtt://ann:word@127.0.0.1:{port}/in",
        place="",
    ),
    of(
        PUB,
        "-L",
        "-V mqttv5 -m x -L mqtt://ann:word@127.0.0.1:{port}/out/a?b",
        place="",
    ),
    of(
        RR,
        "-L",
        "-V mqttv5 -q 1 -m x -e in -W 5 -L mqtt://ann:word@127.0.0.1:{port}/ask",
        place="",
    ),
    *for_all("-A", "-A 127.0.0.1", NOT_OFFERED, "the system chooses the address"),
    *for_all("--nodelay", "--nodelay"),
    *for_all("--proxy", "--proxy socks5h://127.0.0.1:1"),
    # The session.
    *for_all("-i", "-i me"),
    *for_all("-I", "-I my-"),
    *for_all("-k", "-k 42"),
    *for_all("-c", "-c -i me -x 60"),
    *for_all("-x", "-x 60"),
    *for_all(
        "-D",
        "-D connect user-property a b -D will user-property c d --will-topic w",
    ),
    *for_all("-V", "-V mqttv311"),
    *for_all("--will-topic", "--will-topic w"),
    *for_all("--will-payload", "--will-topic w --will-payload gone"),
    *for_all("--will-qos", "--will-topic w --will-qos 2"),
    *for_all("--will-retain", "--will-topic w --will-retain"),
    # What is said.
    *for_all("-d", "-d", DIFFERS, "our own words, on standard error"),
    *for_all("--quiet", "--quiet", place="-p 1"),
    *for_all("--help", "--help", DIFFERS, "our own words"),
    # TLS.
    *for_all("--cafile", "--cafile {dir}/ca.pem", place=_TLS),
    *for_all("--capath", "--capath {dir}/empty", place=_TLS),
    *for_all(
        "--cert",
        "--cafile {dir}/ca.pem --cert {dir}/cert.pem --key {dir}/key.pem",
        place=_TLS,
    ),
    *for_all("--key", "--cafile {dir}/ca.pem --key {dir}/key.pem", place=_TLS),
    *for_all("--insecure", "--cafile {dir}/ca.pem --insecure", place=_OWN_NAME),
    *for_all("--tls-alpn", "--cafile {dir}/ca.pem --tls-alpn mqtt", place=_TLS),
    *for_all("--tls-use-os-certs", "--tls-use-os-certs", place=_TLS),
    *for_all(
        "--ciphers",
        "--cafile {dir}/ca.pem --ciphers HIGH",
        NOT_OFFERED,
        _CONTEXT,
        place=_TLS,
    ),
    *for_all(
        "--tls-version",
        "--cafile {dir}/ca.pem --tls-version tlsv1.2",
        NOT_OFFERED,
        _CONTEXT,
        place=_TLS,
    ),
    *for_all("--keyform", "--keyform pem", NOT_OFFERED, _ENGINE),
    *for_all("--tls-engine", "--tls-engine x", NOT_OFFERED, _ENGINE),
    *for_all(
        "--tls-engine-kpass-sha1", "--tls-engine-kpass-sha1 x", NOT_OFFERED, _ENGINE
    ),
    *for_all("--psk", "--psk 00 --psk-identity a", NOT_OFFERED, _PSK),
    *for_all("--psk-identity", "--psk 00 --psk-identity a", NOT_OFFERED, _PSK),
    # mosquitto_sub.
    of(SUB, "-t", "-V mqttv5 -t in -t other -C 1 -W 5"),
    of(SUB, "-q", "-V mqttv5 -t in -q 1 -C 1 -W 5 -F %q"),
    of(SUB, "-C", "-V mqttv5 -t many/+ -C 2 -W 5"),
    of(SUB, "-E", "-V mqttv5 -t in -E -i me -W 5"),
    of(SUB, "-R", "-V mqttv5 -t in -R -W 1"),
    of(SUB, "-T", "-V mqttv5 -t many/+ -T many/b -C 2 -W 5"),
    of(SUB, "-U", "-V mqttv5 -t in -U old -i me -C 1 -W 5", kinds=("unsubscribe",)),
    of(SUB, "-F", "-V mqttv5 -t in -C 1 -W 5 -F %t:%p\\n"),
    of(SUB, "-N", "-V mqttv5 -t in -N -C 1 -W 5"),
    of(SUB, "-v", "-V mqttv5 -t in -v -C 1 -W 5"),
    of(SUB, "-W", "-V mqttv5 -t silent -W 1"),
    of(SUB, "--pretty", "-V mqttv5 -t in -C 1 -W 5 -F %j --pretty"),
    of(
        SUB,
        "--random-filter",
        "-V mqttv5 -t many/+ --random-filter 100 -W 1",
        DIFFERS,
        "of 100 all are printed; 2.0.11 leaves most of them out",
    ),
    of(SUB, "--retained-only", "-V mqttv5 -t many/+ --retained-only -W 1"),
    of(
        SUB,
        "--remove-retained",
        "-V mqttv5 -t gone --remove-retained -W 1",
        kept=(("gone", "x"),),
    ),
    # mosquitto_pub.
    of(PUB, "-t", "-V mqttv5 -t first -t out -m x"),
    of(PUB, "-q", "-V mqttv5 -t out -q 2 -m x"),
    of(PUB, "-m", "-V mqttv5 -t out -m x -m y"),
    of(PUB, "-f", "-V mqttv5 -t out -f {dir}/ca.pem"),
    of(PUB, "-l", "-V mqttv5 -t out -l", stdin="one\n\ntwo"),
    of(PUB, "-s", "-V mqttv5 -t out -s", stdin="one\n\ntwo\n"),
    of(PUB, "-n", "-V mqttv5 -t out -r -n"),
    of(PUB, "-r", "-V mqttv5 -t out -r -m x"),
    of(PUB, "-M", "-V mqttv5 -t out -q 1 -M 5 -m x"),
    of(PUB, "--repeat", "-V mqttv5 -t out -m x --repeat 3"),
    of(PUB, "--repeat-delay", "-V mqttv5 -t out -m x --repeat 2 --repeat-delay 0.1"),
    of(
        PUB,
        "--property",
        "-V mqttv5 -t out -m x --property publish content-type text/plain",
    ),
    # mosquitto_rr.
    of(RR, "-t", "-V mqttv5 -q 1 -t first -t ask -e in -m x -W 5"),
    of(
        RR,
        "-q",
        "-V mqttv5 -t ask -e in -m x -W 5",
        DIFFERS,
        "by default it is 1: a question shall not get lost",
    ),
    of(
        RR,
        "-e",
        "-V mqttv5 -q 1 -t ask -m x -W 1",
        DIFFERS,
        "without it the topic is `structiot-reply/<client id>` (5.0)",
    ),
    of(RR, "-F", "-V mqttv5 -q 1 -t ask -e in -m x -W 5 -F %t:%p\\n"),
    of(RR, "-N", "-V mqttv5 -q 1 -t ask -e in -m x -W 5 -N"),
    of(
        RR,
        "-R",
        "-V mqttv5 -q 1 -t ask -e in -m x -W 1 -R",
        DIFFERS,
        "a message that was kept is no answer; mosquitto_rr 2.0.11 takes it for one",
    ),
    of(RR, "-v", "-V mqttv5 -q 1 -t ask -e in -m x -W 5 -v"),
    of(RR, "-W", "-V mqttv5 -q 1 -t ask -e silent -m x -W 1"),
    of(RR, "--pretty", "-V mqttv5 -q 1 -t ask -e in -m x -W 5 -F %j --pretty"),
]

# What stands behind a % of -F; in JSON only what both can say is compared.
_BY_ID = "ours subscribes with an id, which it tells"
FORMATS: Final = {
    **dict.fromkeys("%ACDFPRXlmpqrtx", ""),
    "E": "",
    "I": "",
    "U": "",
    "S": _BY_ID,
    "j": "correlation data is in hexadecimal digits, since it may be no text; user properties are a list, since names may repeat; `tst` is ISO 8601; "
    + _BY_ID,
    "J": "as `%j`; a payload that is no JSON is a text, and is not left out",
    "8l": "",
    "-8l": "",
    "08l": "",
    ".2t": "",
    "10t": "",
    "2p": "a width is the least one; it cuts nothing off",
    "y": "",
}
