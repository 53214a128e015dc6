"""What a policy chain holds: entries of changes, and folds that spare a reader the old ones.

Names and bytes are formats (docs/format.md, Policy): canonical JSON, sorted keys.
    policy/v1/{topic}/{shard:03d}/{seq:012d}.json         the truth, from seq 1, each naming the one before
    policy-folds/v1/{topic}/{shard:03d}/{seq:012d}.json   the state after entry `seq`; may be missing
    policy-published/v1/{topic}/{shard:03d}.json          up to which seq all is known to be on the topic
`topic` is the registry's name, without a fleet's prefix: the chain outlives any Kafka cluster.
"""

from hashlib import sha256

import msgspec

from workers.errors import Fatal

FORMAT = 1
SHARDS = 256  # fixed for ever: a key's shard is where its revocation is looked for
FOLD_EVERY = 64  # entries


class Change(msgspec.Struct, frozen=True, kw_only=True, rename={"before": "from", "after": "to"}):
    key: str
    who: str
    host: str  # from which machine
    when: int  # ms since the epoch
    why: str
    before: msgspec.Raw  # the value as the topic carries it; null for a new key
    after: msgspec.Raw
    effective_from: int  # ms since the epoch


class PolicyEntry(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    topic: str
    shard: int
    seq: int
    previous: str | None  # hex SHA-256 of the bytes of the entry before; None for the first
    attempt: str  # random: tells two writers' otherwise equal entries apart
    changes: tuple[Change, ...]


class FoldObject(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    topic: str
    shard: int
    seq: int
    digest: str  # of entry `seq`
    states: tuple[msgspec.Raw, ...]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    seq: int


_encoder = msgspec.json.Encoder(order="sorted")
_entry = msgspec.json.Decoder(PolicyEntry)
_fold = msgspec.json.Decoder(FoldObject)
_published = msgspec.json.Decoder(Published)


def shard_of(key: str) -> int:
    return int.from_bytes(sha256(key.encode()).digest()[:8]) % SHARDS


def topic_prefix(topic: str) -> str:
    return f"policy/v1/{topic}/"


def shard_prefix(topic: str, shard: int) -> str:
    return f"{topic_prefix(topic)}{shard:03d}/"


def entry_name(topic: str, shard: int, seq: int) -> str:
    return f"{shard_prefix(topic, shard)}{seq:012d}.json"


def fold_name(topic: str, shard: int, seq: int) -> str:
    return f"policy-folds/v1/{topic}/{shard:03d}/{seq:012d}.json"


def published_prefix(topic: str) -> str:
    return f"policy-published/v1/{topic}/"


def published_name(topic: str, shard: int) -> str:
    return f"{published_prefix(topic)}{shard:03d}.json"


def place_of(name: str, topic: str) -> tuple[int, int]:
    """(shard, seq) of an entry's name. Raises Fatal for any other name."""
    shard, _, file = name.removeprefix(topic_prefix(topic)).partition("/")
    seq = file.removesuffix(".json")
    if shard.isdigit() and seq.isdigit() and entry_name(topic, int(shard), int(seq)) == name:
        return int(shard), int(seq)
    raise broken(name, "it is no entry of a policy chain")


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def encode(document: PolicyEntry | FoldObject | Published) -> bytes:
    return _encoder.encode(document)


def decode_entry(body: bytes, topic: str, shard: int, seq: int) -> PolicyEntry:
    """Raises Fatal for anything that is not the entry of that place."""
    where = entry_name(topic, shard, seq)
    try:
        entry = _entry.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise broken(where, f"it is no entry: {error}") from None
    if entry.format != FORMAT:
        raise broken(where, f"its format is {entry.format}, this program reads {FORMAT}")
    if (entry.topic, entry.shard, entry.seq) != (topic, shard, seq):
        raise broken(where, "it is another place's entry")
    return entry


def decode_fold(body: bytes, topic: str, shard: int, seq: int) -> FoldObject | None:
    """None for anything that is not the fold of that place: it only saves time, the chain has it all."""
    try:
        fold = _fold.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return fold if (fold.format, fold.topic, fold.shard, fold.seq) == (FORMAT, topic, shard, seq) else None


def decode_published(body: bytes) -> int:
    """The seq, or 0, which publishes all again, for what can't be read."""
    try:
        published = _published.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return published.seq if published.format == FORMAT else 0


def broken(where: str, why: str) -> Fatal:
    return Fatal(
        f"the policy chain is broken at {where}: {why}",
        remedy="Restore the object from its versions or from the second bucket. Meanwhile no policy of this "
        "shard can be changed, and workers go on with what the topic holds",
    )
