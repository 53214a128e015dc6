"""Writes java.json: objects sealed by Amazon's own S3 Encryption Client for Java (see ../README.md).

Then has that client open what Strongroom sealed, by the program of docs/readers.md too, and refuse it spoilt.
Needs a JDK, Maven, and the S3 server of the tests. Run: python -m tests.vectors.sealing.official.make_java
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from tests.integration.sealing.key_service import KeyService
from tests.stack import ladder
from tests.stack.kms import kms_before
from tests.stack.s3 import S3, s3_on
from tests.vectors.sealing.ours.objects import GENERATION, UNIT, unit_secret
from workers.sealing.format import parse_header
from workers.sealing.keys import Level, Secret, WrappingKey, context_of
from workers.sealing.unit_key import Lease, UnitKey

HERE = Path(__file__).parent
PROGRAM = HERE / "java" / "OfficialClient.java"
CLIENT = "software.amazon.encryption.s3:amazon-s3-encryption-client-java:4.0.1"
PLAINS = {"empty": b"", "byte": b"\0", "block": b"0123456789abcdef", "long": bytes(range(256)) * 5}
PUNCTUATION = {"quote": 'a"b', "slash": "a\\b/c", "space": " a  b "}


class Bench:
    """Amazon's client with a key service that wraps under the key of UNIT."""

    def __init__(self, s3: S3, libraries: Path) -> None:
        self.key = unit_secret(UNIT)
        self.s3, self.bucket = s3, s3.bucket()
        self._classes = f"{libraries}/*"

    def ask(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with kms_before(KeyService(UNIT, self.key).answer) as kms:
            job = {"s3": self.s3.endpoint, "kms": kms, "bucket": self.bucket, "tasks": tasks}
            answers: list[dict[str, Any]] = json.loads(self._run(PROGRAM, json.dumps(job), {}))
        return answers

    def read(self, program: Path, manifest: list[dict[str, Any]]) -> bytes:
        """What a customer's program makes of it (docs/readers.md)."""
        with kms_before(KeyService(UNIT, self.key).answer) as kms:
            given = {"KEY_SERVICE": kms, "READER_ID": "reader", "READER_SECRET": "secret"}
            given |= {"WORKSPACE": UNIT.workspace, "BUCKET": self.bucket}
            lines = "".join(json.dumps(line) + "\n" for line in manifest)
            return self._run(program, lines, given | {"AWS_ENDPOINT_URL_S3": self.s3.endpoint})

    def _run(self, program: Path, said: str, given: dict[str, str]) -> bytes:
        credentials = {
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            "AWS_REGION": self.s3.region,
        }
        return subprocess.run(
            ["java", "-cp", self._classes, str(program)],
            input=said.encode(),
            env={"PATH": os.environ["PATH"], **credentials, **given},
            stdout=subprocess.PIPE,
            timeout=120,
            check=True,
        ).stdout

    def get(self, key: str) -> tuple[bytes, dict[str, str]]:
        got = self.s3.client.get_object(Bucket=self.bucket, Key=key)
        return got["Body"].read(), got["Metadata"]

    def put(self, key: str, body: bytes, metadata: dict[str, str]) -> None:
        self.s3.client.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)


def libraries(folder: Path) -> Path:
    maven = ["mvn", "-q", "-B", "-f", str(PROGRAM.with_name("pom.xml")), "dependency:copy-dependencies"]
    subprocess.run([*maven, f"-DoutputDirectory={folder}"], check=True)
    return folder


def sealed_by_it(bench: Bench) -> list[dict[str, Any]]:
    """Each plain under each context, as they then lie in the bucket."""
    wrapping = WrappingKey(
        Secret(bench.key), Level.DATA, workspace=UNIT.workspace, day=UNIT.day, generation=GENERATION
    )
    tasks = []
    for name, plain in PLAINS.items():
        key = f"data/ws=acme/src=web/day={UNIT.day}/accepted/{name}.ndjson.zst"
        for kind, context in (("none", {}), ("ours", context_of(UNIT, key)), ("punctuation", PUNCTUATION)):
            stored = key if kind == "ours" else f"{kind}/{name}"
            tasks.append({"name": f"{kind}-{name}", "key": stored, "context": context, "plain": b64(plain)})
    assert bench.ask(tasks) == [{"put": True}] * len(tasks)
    found = []
    for task in tasks:
        body, metadata = bench.get(str(task["key"]))
        header = parse_header(metadata)
        dek = wrapping.unwrap(header.wrapped, header.context)
        found.append(
            {
                **task,
                "dek": dek.hex(),
                "wrapped": b64(header.wrapped),
                "metadata": metadata,
                "body": b64(body),
            }
        )
    return found


def opens_ours(bench: Bench) -> int:
    """Raises AssertionError unless the client opens what we seal, and refuses it spoilt or misnamed."""
    key = UnitKey(UNIT, bench.key, generation=GENERATION, durable=True, lease=Lease(float("inf")))
    names = {name: f"data/ws=acme/src=web/day={UNIT.day}/accepted/ours-{name}.ndjson.zst" for name in PLAINS}
    for name, plain in PLAINS.items():
        bench.put(names[name], *key.seal(plain, names[name]))
    good = [{"key": names[name], "context": context_of(UNIT, names[name])} for name in PLAINS]
    assert [b64decode(answer["plain"]) for answer in bench.ask(good)] == list(PLAINS.values())
    with tempfile.TemporaryDirectory() as folder:
        assert bench.read(shown(Path(folder)), good) == b"".join(PLAINS.values())
    body, metadata = key.seal(b"plain" * 100, names["long"])
    other = key.seal(b"plain" * 100, names["long"])
    spoilt = {
        "body": (bytes([body[0] ^ 1]) + body[1:], metadata),
        "tag": (body[:-1] + bytes([body[-1] ^ 1]), metadata),
        "short": (body[:-16], metadata),
        "commitment": (body, {**metadata, "x-amz-d": other.metadata["x-amz-d"]}),
        "message id": (body, {**metadata, "x-amz-i": other.metadata["x-amz-i"]}),
        "wrapped": (body, {**metadata, "x-amz-3": other.metadata["x-amz-3"]}),
    }
    for name, (bytes_of, metadata_of) in spoilt.items():
        bench.put(name, bytes_of, metadata_of)
    bad = [{"key": name, "context": context_of(UNIT, names["long"])} for name in spoilt]
    bad += [{"key": names["long"], "context": context_of(UNIT, names["byte"])}]
    bad += [{"key": names["long"], "context": {}}]
    answers = bench.ask(bad)
    assert [list(answer) for answer in answers] == [["refused"]] * len(bad), answers
    for task, answer in zip(bad, answers, strict=True):
        print(f"refused {task['key']}: {answer['refused'][:150]}")
    return len(good)


def shown(folder: Path) -> Path:
    """The program that docs/readers.md shows."""
    page = (HERE.parents[3] / "docs" / "readers.md").read_text()
    [block] = re.findall(r"^```java\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    program = folder / "ReadArchive.java"
    program.write_text(block)
    return program


def b64(content: bytes) -> str:
    return b64encode(content).decode()


def main() -> int:
    s3 = s3_on(ladder.s3())
    s3.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(s3, libraries(Path(folder)))
            objects = sealed_by_it(bench)
            opened = opens_ours(bench)
    finally:
        s3.close()
    keyring = {"unit": list(UNIT), "key": bench.key.hex(), "generation": GENERATION}
    target = HERE / "java.json"
    target.write_text(json.dumps({"client": CLIENT, **keyring, "objects": objects}, indent=1) + "\n")
    print(f"{target}: {len(objects)} objects; {CLIENT} opened {opened} of ours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
