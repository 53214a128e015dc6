"""origin-verdicts: what the judge or the customer decided of a (write key, host); compacted by both.

Spread from policy chains in S3.
"""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from topics.codec import Codec, PolicyValue
from topics.ids import CustomerId, Reason
from topics.write_keys import Key

NAME = "origin-verdicts"

Host = Annotated[str, Meta(pattern=r"\A[!-~]{1,300}\Z")]  # ASCII form: workers/origins/hosts.py


class VerdictKind(StrEnum):
    BENIGN = "benign"  # accept, and flag nothing: the customer approved the host
    SUSPECT = "suspect"  # flag
    COPY = "copy"  # quarantine, where the workspace opted in
    HOSTILE = "hostile"  # reject: only the customer can say so


CUSTOMERS = frozenset({VerdictKind.BENIGN, VerdictKind.HOSTILE})  # words that the judge never says


class OriginVerdict(PolicyValue, frozen=True, kw_only=True, rename="camel"):
    key: Key
    workspace: CustomerId
    host: Host
    kind: VerdictKind
    confirmed: bool = False  # by the customer
    reason: Reason = ""
    # kind of evidence → its strength
    evidence: Annotated[dict[str, float], Meta(max_length=32)] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.confirmed is not (self.kind in CUSTOMERS):
            raise ValueError("benign and hostile are the customer's word, and no other is (docs/origins.md)")


codec = Codec(OriginVerdict)


def subject(key: str, host: str) -> str:
    """What a verdict is about: neither part holds a space."""
    return f"{key} {host}"


def record_key(value: OriginVerdict) -> bytes:
    """The Kafka key of a value's record."""
    return subject(value.key, value.host).encode()
