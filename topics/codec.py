"""JSON codecs for the topics' values: strict on what we know, faithful to what we do not.

A newer producer may add fields, at the top or inside a nested record. They are kept (`extra`) and written
back, so that an older command that changes one field of a workspace does not erase what it never heard of.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from workers.errors import Poison

# What msgspec calls `extra` on the wire, where it never stands: a field named "extra" is unknown like another
HIDDEN = "(fields unknown to this version)"


class Open(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, rename="camel"):
    """A record that keeps the fields it does not declare. Field names are camelCase on the wire."""

    extra: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict, name=HIDDEN)


class TopicValue(Open, frozen=True, kw_only=True, rename="camel"):
    """A value of a topic; `v` is its schema's version."""

    version: ClassVar[int] = 1
    max_bytes: ClassVar[int] = 64 * 1024  # of one encoded value; the topic's max.message.bytes holds it
    nested: ClassVar[Mapping[str, type[Open]]] = {}  # fields that hold a tuple of open records

    v: int = 1


class PolicyValue(TopicValue, frozen=True, kw_only=True, rename="camel"):
    """A value whose truth is a policy chain in S3; `shard` and `seq` name the entry that it comes from.

    A reader keeps the highest `seq` a key, whatever order Kafka delivers in.
    """

    changed_at: int  # ms since the epoch
    shard: int
    seq: int  # from 1


T = TypeVar("T", bound=TopicValue)


class Codec(Generic[T]):
    """Encodes and decodes one topic's values. `decode` raises Poison with the reason, never anything else."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._fields = _Fields(kind)
        self._nested = [
            (field.encode_name, field.name, _Fields(kind.nested[field.name]))
            for field in msgspec.structs.fields(kind)
            if field.name in kind.nested
        ]
        self._version = str(kind.version).encode()
        self._plain_version = (b'"v":%b,' % self._version, b'"v":%b}' % self._version)
        self._decoder = msgspec.json.Decoder(kind)
        self._record = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._records = msgspec.json.Decoder(tuple[dict[str, msgspec.Raw], ...])
        self._encoder = msgspec.json.Encoder(order="deterministic")

    def decode(self, data: bytes) -> T:
        if len(data) > self.kind.max_bytes:
            raise self._poison(f"it has {len(data)} bytes, {self.kind.max_bytes} are allowed")
        try:
            record = self._record.decode(data)
            if "v" in record and bytes(record["v"]) != self._version:
                raise Poison(
                    f"{self.kind.__name__} of version {bytes(record['v'])[:20]!r}",
                    remedy=f"This program reads version {self.kind.version}: upgrade it",
                )
            value = self._decoder.decode(data)
            changes: dict[str, Any] = {}
            if unknown := self._fields.unknown(record):
                changes["extra"] = unknown
            for wire, name, fields in self._nested:
                if wire in record:
                    changes[name] = fields.restored(getattr(value, name), self._records.decode(record[wire]))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise self._poison(str(error)) from None
        return msgspec.structs.replace(value, **changes) if changes else value

    def read(self, data: bytes) -> T:
        """As `decode`, but may lack what is not declared. In a third of the time, for those who only read."""
        plain = any(version in data for version in self._plain_version) and HIDDEN.encode() not in data
        if len(data) > self.kind.max_bytes or not plain:
            return self.decode(data)
        try:
            value = self._decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise self._poison(str(error)) from None
        named = value.extra or any(part.extra for _, name, _ in self._nested for part in getattr(value, name))
        return self.decode(data) if named or value.v != self.kind.version else value

    def encode(self, value: T) -> bytes:
        record = self._fields.record(value)
        for wire, name, fields in self._nested:
            record[wire] = [fields.record(part) for part in getattr(value, name)]
        return self._encoder.encode(record)

    def checked(self, value: T) -> bytes:
        """Encodes a value that a person made up, if every reader will take it. Raises Poison."""
        data = self.encode(value)
        self.decode(data)
        return data

    def _poison(self, why: str) -> Poison:
        return Poison(f"not a {self.kind.__name__}: {why}")


def wire_names(kind: type[Open]) -> frozenset[str]:
    """The fields that a kind of record declares, as they are called on the wire."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind)) - {HIDDEN}


class _Fields:
    """The fields that one kind of record declares, and what is not among them."""

    def __init__(self, kind: type[Open]) -> None:
        self._names = [
            (field.encode_name, field.name)
            for field in msgspec.structs.fields(kind)
            if field.encode_name != HIDDEN
        ]
        self._known = wire_names(kind)

    def unknown(self, record: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        if self._known.issuperset(record):
            return {}
        if HIDDEN in record:
            raise ValueError(f"no field can be named {HIDDEN!r}")
        # copies: a Raw is a view of the whole message, which it would keep in memory
        return {name: msgspec.Raw(bytes(raw)) for name, raw in record.items() if name not in self._known}

    def restored(
        self, values: Iterable[Open], records: Iterable[Mapping[str, msgspec.Raw]]
    ) -> tuple[Open, ...]:
        """`values` with what their `records` hold beyond the declared fields."""
        return tuple(
            msgspec.structs.replace(value, extra=unknown) if (unknown := self.unknown(record)) else value
            for value, record in zip(values, records, strict=True)
        )

    def record(self, value: Open) -> dict[str, Any]:
        return {**value.extra, **{wire: getattr(value, name) for wire, name in self._names}}
