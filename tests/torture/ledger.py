"""The intake ledger as docs/format.md describes it: read from the bucket, and followed while it grows."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PREFIX = "ledger/v1/"
GENESIS = "genesis.json"
_NAME = re.compile(r"^(?P<chain>ledger/v1/.+/(?P<partition>\d{5})/)(?:genesis|\d{20})\.json$")

Documents = dict[str, bytes]  # name in the bucket → its bytes


def names(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (found["Key"] for found in page.get("Contents", []))


def get(client: Any, bucket: str, name: str) -> bytes:
    return bytes(client.get_object(Bucket=bucket, Key=name)["Body"].read())


def read_documents(client: Any, bucket: str) -> Documents:
    """Everything under ledger/, whether or not a chain leads to it."""
    listed = list(names(client, bucket, "ledger/"))
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(listed, threads.map(lambda name: get(client, bucket, name), listed), strict=True))


def chain_of(name: str) -> tuple[str, int] | None:
    """(chain, partition) of a document's name; None for a name that the format does not know."""
    found = _NAME.match(name)
    return (found["chain"], int(found["partition"])) if found else None


class Follower:
    """Where each partition's chain has come to. Reads each entry once."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket
        self._next: dict[str, int] = {}  # chain → the offset after its newest entry

    def heads(self) -> dict[int, int]:
        """Partition → the offset that is archived next."""
        for name in names(self._client, self._bucket, PREFIX) if not self._next else self._geneses():
            if name.endswith(GENESIS) and (chain := name.removesuffix(GENESIS)) not in self._next:
                self._next[chain] = json.loads(get(self._client, self._bucket, name))["first"]
        heads = {}
        for chain in self._next:
            while (entry := self._find(f"{chain}{self._next[chain]:020d}.json")) is not None:
                self._next[chain] = json.loads(entry)["next"]
            heads[int(chain.split("/")[-2])] = self._next[chain]
        return heads

    def _geneses(self) -> Iterator[str]:
        """Of partitions that came later: beside those that are known."""
        for log in {chain.rstrip("/").rpartition("/")[0] + "/" for chain in self._next}:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=log, Delimiter="/"
            )
            for page in pages:
                for found in page.get("CommonPrefixes", []):
                    if found["Prefix"] not in self._next:
                        yield found["Prefix"] + GENESIS

    def _find(self, name: str) -> bytes | None:
        try:
            return get(self._client, self._bucket, name)
        except self._client.exceptions.NoSuchKey:
            return None
