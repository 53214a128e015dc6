"""Both ways through a real S3: Amazon's client opens what we seal, we what it seals; it refuses as we do."""

import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.sealing.key_service import KeyService
from tests.stack.kms import kms_before
from tests.stack.s3 import S3
from workers.intake.dispositions import Clock
from workers.sealing.keys import Secret, Unit, context_of, new_key
from workers.sealing.unit_key import Lease, UnitKey

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
CLIENT = Path(__file__).with_name("official_client.py")
PLAINS = [b"", b"x", bytes(range(256)) * 64, b"line\n" * 50_000]


class Bench:
    """A unit's key here, and Amazon's client with a key service that has the same key."""

    def __init__(self, s3: S3, python: Path) -> None:
        key = new_key()
        self.key = UnitKey(UNIT, Secret(key), generation=1, durable=True, lease=Lease(float("inf")))
        self.service = KeyService(UNIT, key)
        self.s3, self.bucket, self._python = s3, s3.bucket(), python

    def ask_client(self, *tasks: dict[str, Any]) -> list[dict[str, str]]:
        with kms_before(self.service.answer) as kms:
            job = {"s3": self.s3.endpoint, "kms": kms, "bucket": self.bucket, "tasks": tasks}
            done = subprocess.run(
                [str(self._python), str(CLIENT)],
                input=json.dumps(job),
                env={"AWS_ACCESS_KEY_ID": self.s3.access_key, "AWS_SECRET_ACCESS_KEY": self.s3.secret_key},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, str]] = json.loads(done.stdout)
        return answers

    def put(self, key: str, body: bytes, metadata: dict[str, str]) -> None:
        self.s3.client.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)

    def get(self, key: str) -> tuple[bytes, dict[str, str]]:
        got = self.s3.client.get_object(Bucket=self.bucket, Key=key)
        return got["Body"].read(), got["Metadata"]


@pytest.fixture
def bench(s3: S3, official_python: Path) -> Iterator[Bench]:
    yield Bench(s3, official_python)


def name(number: int) -> str:
    return f"data/ws=acme/src=web/day=2026-11-25/accepted/{number}.ndjson.zst"


def test_amazons_client_opens_what_we_seal(bench: Bench) -> None:
    for number, plain in enumerate(PLAINS):
        bench.put(name(number), *bench.key.seal(plain, name(number)))
    answers = bench.ask_client(
        *({"key": name(number), "context": context_of(UNIT, name(number))} for number in range(len(PLAINS)))
    )
    assert [b64decode(answer["plain"]) for answer in answers] == PLAINS
    assert {operation for operation, _ in bench.service.asked} == {"Decrypt"}
    for _, context in bench.service.asked:
        assert context["aws:x-amz-cek-alg"] == "115"  # what a key service may insist on


def test_we_open_what_amazons_client_seals(bench: Bench) -> None:
    answers = bench.ask_client(
        *(
            {
                "key": name(number),
                "context": context_of(UNIT, name(number)),
                "plain": b64encode(plain).decode(),
            }
            for number, plain in enumerate(PLAINS)
        )
    )
    assert [list(answer) for answer in answers] == [["put"]] * len(PLAINS)
    for number, plain in enumerate(PLAINS):
        body, metadata = bench.get(name(number))
        assert bench.key.open(body, metadata, name(number)) == plain


def test_amazons_client_refuses_what_we_refuse(bench: Bench) -> None:
    body, metadata = bench.key.seal(b"plain" * 100, name(0))
    other = bench.key.seal(b"other" * 100, name(1))
    spoilt: dict[str, tuple[bytes, dict[str, str]]] = {
        "body flipped": (bytes([body[0] ^ 1]) + body[1:], metadata),
        "tag flipped": (body[:-1] + bytes([body[-1] ^ 1]), metadata),
        "truncated": (body[:-16], metadata),
        "extended": (body + b"\0", metadata),
        "commitment of another": (body, {**metadata, "x-amz-d": other.metadata["x-amz-d"]}),
        "message id of another": (body, {**metadata, "x-amz-i": other.metadata["x-amz-i"]}),
        "wrapped key of another": (body, {**metadata, "x-amz-3": other.metadata["x-amz-3"]}),
        "context of another": (body, {**metadata, "x-amz-t": other.metadata["x-amz-t"]}),
        "suite 114": (body, {**metadata, "x-amz-c": "114"}),
        "mixed versions": (body, {**metadata, "x-amz-key-v2": metadata["x-amz-3"]}),
        "no commitment": (body, {key: value for key, value in metadata.items() if key != "x-amz-d"}),
    }
    for what, (body_of, metadata_of) in spoilt.items():
        bench.put(what, body_of, metadata_of)
    tasks = [{"key": what, "context": context_of(UNIT, name(0))} for what in spoilt]
    bench.put(name(0), body, metadata)
    tasks.append({"key": name(0), "context": context_of(UNIT, name(1))})  # asked for by another's context
    tasks.append({"key": name(0), "context": {}})
    tasks.append({"key": name(0), "context": context_of(UNIT, name(0))})
    *refused, opened = bench.ask_client(*tasks)
    assert [list(answer) for answer in refused] == [["refused"]] * (len(spoilt) + 2)
    assert b64decode(opened["plain"]) == b"plain" * 100
