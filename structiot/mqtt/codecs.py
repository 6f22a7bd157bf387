"""Payload codecs: what an application publishes and receives instead of bytes.

Names and parameters are distmqtt's. A codec is chosen by its name, as an instance, or
as a class that is called without arguments. `codec_params` gives parameters by codec
name; an entry with a `name` is an alias for another codec with its own parameters,
such as `{"yesno": {"name": "bool", "on": "yes", "off": "no"}}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from structiot.errors import ConfigError, UsageError

__all__ = [
    "BaseCodec",
    "BinaryCodec",
    "BoolCodec",
    "Codec",
    "CodecChoice",
    "FloatCodec",
    "IntCodec",
    "JsonCodec",
    "MsgpackCodec",
    "MsgpackJsonCodec",
    "NoopCodec",
    "Utf8Codec",
    "get_codec",
]


@runtime_checkable
class Codec(Protocol):
    """Anything that can turn values into payloads and back.

    `encode` and `decode` raise `ValueError` or `TypeError` for what they cannot do.
    """

    def encode(self, value: Any) -> bytes:  # noqa: ANN401 - that is what codecs are for
        """Make a payload of a value."""
        ...

    def decode(self, payload: bytes) -> Any:  # noqa: ANN401 - that is what codecs are for
        """Make a value of a payload."""
        ...


CodecChoice: TypeAlias = str | Codec | type[Codec] | None


class BaseCodec:
    """Convenient base of codecs; `name=` must equal the codec's own name."""

    name = ""

    def __init__(self, *, name: str | None = None) -> None:
        if name is not None and name != self.name:
            raise ConfigError(f"codec {self.name!r} was given the name {name!r}")


class NoopCodec(BaseCodec):
    """Bytes as they are; a text goes out as UTF-8, and comes in as bytes."""

    name = "noop"

    def encode(self, value: bytes | bytearray | memoryview | str) -> bytes:
        """Take bytes, or a text."""
        if type(value) is bytes:
            return value
        if isinstance(value, str):
            return value.encode()
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(
                f"the codec {self.name!r} takes bytes or a text, not "
                f"{type(value).__name__}; codec='json' takes any JSON value"
            )
        return bytes(value)

    def decode(self, payload: bytes) -> bytes:
        """Give bytes."""
        return payload


class BinaryCodec(NoopCodec):
    """Bytes as they are, by another name."""

    name = "binary"


class Utf8Codec(BaseCodec):
    """Text; strictly UTF-8."""

    name = "utf8"

    def encode(self, value: str) -> bytes:
        """Take a `str`; nothing else is made a text of."""
        if not isinstance(value, str):
            raise TypeError(f"the codec 'utf8' takes str, not {type(value).__name__}")
        return value.encode()

    def decode(self, payload: bytes) -> str:
        """Give a `str`."""
        return payload.decode()


class JsonCodec(BaseCodec):
    """JSON values, compact on the wire."""

    name = "json"

    def encode(self, value: object) -> bytes:
        """Take any JSON value; NaN and the infinities are none."""
        try:
            text = json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None
        return text.encode()

    def decode(self, payload: bytes) -> Any:  # noqa: ANN401 - any JSON value
        """Give the JSON value."""
        try:
            return json.loads(payload.decode())
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None


class MsgpackCodec(BaseCodec):
    """MessagePack values; needs the extra `structiot[msgpack]`.

    Keys of a mapping are text or bytes: other keys could be chosen by a peer such
    that building the mapping takes for ever.
    """

    name = "msgpack"

    def __init__(
        self,
        *,
        use_bin_type: bool = True,
        use_list: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        try:
            import msgpack  # noqa: PLC0415 - an extra
        except ImportError:
            raise ConfigError(
                "the codec 'msgpack' needs the package msgpack: "
                "pip install 'structiot[msgpack]'"
            ) from None
        self._module = msgpack
        self._use_bin_type = use_bin_type
        self._use_list = use_list

    def encode(self, value: object) -> bytes:
        """Take any MessagePack value."""
        packed: bytes = self._module.packb(value, use_bin_type=self._use_bin_type)
        return packed

    def decode(self, payload: bytes) -> Any:  # noqa: ANN401 - any MessagePack value
        """Give the value; arrays are tuples unless `use_list` is set."""
        try:
            return self._module.unpackb(
                payload, raw=not self._use_bin_type, use_list=self._use_list
            )
        except self._module.UnpackException as exc:
            raise ValueError(f"not MessagePack: {exc}") from exc


class MsgpackJsonCodec(MsgpackCodec):
    """JSON texts for the program, MessagePack on the wire."""

    name = "msgpack+json"

    def encode(self, value: object) -> bytes:
        """Take a JSON text."""
        if not isinstance(value, str | bytes):
            raise TypeError(
                f"the codec {self.name!r} takes JSON texts, not {type(value).__name__}"
            )
        text = value if isinstance(value, str) else value.decode()
        return super().encode(JsonCodec().decode(text.encode()))

    def decode(self, payload: bytes) -> str:
        """Give a JSON text."""
        return JsonCodec().encode(super().decode(payload)).decode()


class BoolCodec(BaseCodec):
    """Two words for true and false, and one for None if wanted."""

    name = "bool"

    def __init__(
        self,
        *,
        on: str | bytes = "on",
        off: str | bytes = "off",
        null: str | bytes | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._words: dict[bool | None, bytes] = {True: _word(on), False: _word(off)}
        if null is not None:
            self._words[None] = _word(null)
        self._values = {word: value for value, word in self._words.items()}
        if len(self._values) < len(self._words):
            raise ConfigError(f"the codec {self.name!r} needs different words")

    def encode(self, value: bool | float | None) -> bytes:  # noqa: FBT001 - the value itself
        """Take a bool, anything that equals 1 or 0, or None if it has a word."""
        if value in self._words:
            return self._words[value]  # type: ignore[index]  # 1.0 == True
        raise ValueError(f"the codec 'bool' has no word for {value!r}")

    def decode(self, payload: bytes) -> bool | None:
        """Give True, False or None for exactly these words."""
        try:
            return self._values[payload]
        except KeyError:
            known = ", ".join(
                repr(word.decode(errors="replace")) for word in self._values
            )
            raise ValueError(f"{payload[:32]!r} is none of {known}") from None


class IntCodec(BaseCodec):
    """Whole numbers in decimal."""

    name = "int"

    def encode(self, value: int) -> bytes:
        """Take a whole number."""
        try:
            number = int(value)
        except OverflowError:
            raise ValueError(f"{value!r} is not a whole number") from None
        if number != value:
            raise ValueError(f"{value!r} is not a whole number")
        return b"%d" % number

    def decode(self, payload: bytes) -> int:
        """Give the number."""
        return int(payload)


class FloatCodec(BaseCodec):
    """Numbers in decimal, as Python writes them."""

    name = "float"

    def encode(self, value: float) -> bytes:
        """Take a number."""
        return repr(float(value)).encode()

    def decode(self, payload: bytes) -> float:
        """Give the number."""
        return float(payload)


def _word(word: str | bytes) -> bytes:
    if not isinstance(word, str | bytes):
        raise ConfigError(f"a word of the codec 'bool' is text, not {word!r}")
    return word.encode() if isinstance(word, str) else word


_CODECS: dict[str, Callable[..., Codec]] = {
    codec.name: codec
    for codec in (
        NoopCodec,
        BinaryCodec,
        Utf8Codec,
        JsonCodec,
        MsgpackCodec,
        MsgpackJsonCodec,
        BoolCodec,
        IntCodec,
        FloatCodec,
    )
}


def get_codec(
    codec: CodecChoice,
    fallback: CodecChoice = None,
    params: Mapping[str, Mapping[str, Any]] | None = None,
) -> Codec:
    """Find a codec by name, class or instance; `fallback` stands in for None.

    Raises:
        ConfigError: No such codec, or parameters that it does not take.
        UsageError: Something that is no codec.
    """
    chosen = fallback if codec is None else codec
    if chosen is None:
        chosen = "noop"
    if isinstance(chosen, type):
        chosen = chosen()
    if not isinstance(chosen, str):
        if not isinstance(chosen, Codec):
            raise UsageError(f"{chosen!r} is no codec: it needs encode and decode")
        return chosen
    entry = (params or {}).get(chosen, {})
    if not isinstance(entry, Mapping):
        raise ConfigError(f"codec_params: {chosen!r} has parameters, not {entry!r}")
    settings = dict(entry)
    target = str(settings.pop("name", chosen))
    if target not in _CODECS:
        raise ConfigError(f"unknown codec {target!r}; there are {', '.join(_CODECS)}")
    try:
        return _CODECS[target](**settings)
    except TypeError as exc:
        raise ConfigError(f"codec {chosen!r}: {exc}") from exc
