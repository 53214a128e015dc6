"""JSON codecs for the topics' values: strict on what we know, faithful to what we do not.

A newer producer may add fields. They are kept on the value (`extra`) and written back, so that an older
command that changes one field of a workspace does not erase what it has never heard of.
"""

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from workers.errors import Poison


class TopicValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False, rename="camel"):
    """A value of a topic. Field names are camelCase on the wire; `v` is the schema's version."""

    version: ClassVar[int] = 1

    v: int = 1
    extra: dict[str, msgspec.Raw] = {}  # top-level fields of the record that this version does not declare


T = TypeVar("T", bound=TopicValue)


class Codec(Generic[T]):
    """Encodes and decodes one topic's values. `decode` raises Poison with the reason, never anything else."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._known = {field.encode_name for field in msgspec.structs.fields(kind)} - {"extra"}
        self._decoder = msgspec.json.Decoder(kind)
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._encoder = msgspec.json.Encoder(order="deterministic")

    def decode(self, data: bytes) -> T:
        try:
            fields = self._fields.decode(data)
            if fields.get("v", b"1") != str(self.kind.version).encode():
                raise Poison(
                    f"{self.kind.__name__} of version {bytes(fields['v'])[:20]!r}",
                    remedy=f"This program reads version {self.kind.version}: upgrade it",
                )
            unknown = {name: msgspec.Raw(bytes(fields[name])) for name in fields.keys() - self._known}
            # 'extra' on the wire would be a field of ours by name only: it is unknown like any other
            value = self._decoder.decode(data) if "extra" not in fields else self._without_extra(fields)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Poison(f"not a {self.kind.__name__}: {error}") from None
        return msgspec.structs.replace(value, extra=unknown) if unknown else value

    def _without_extra(self, fields: dict[str, msgspec.Raw]) -> T:
        return self._decoder.decode(
            self._encoder.encode({name: raw for name, raw in fields.items() if name != "extra"})
        )

    def encode(self, value: T) -> bytes:
        known: dict[str, Any] = {
            field.encode_name: getattr(value, field.name)
            for field in msgspec.structs.fields(value)
            if field.name != "extra"
        }
        return self._encoder.encode({**value.extra, **known})
