"""The judge of a run: reads ledger, objects and the producers' journal, and nothing that the program says."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from tests.system.reader import Reader
from tests.torture import journal
from tests.torture.checker import Comparison, Listed, Opened, Verdict, count_offsets, walk
from tests.torture.journal import Sent
from tests.torture.kms import key_service
from tests.torture.ledger import Documents, read_documents
from tests.torture.official import open_all


class Judgement(NamedTuple):
    verdict: Verdict
    opened_by: str
    seconds: float


def judge(
    client: Any, endpoint: str, bucket: str, root_key_file: Path, sent: Path, python: Path
) -> Judgement:
    """`python` is the interpreter of Amazon's client; `sent` the journal."""
    began = time.monotonic()
    documents = read_documents(client, bucket)
    with key_service(Reader(client, bucket, root_key_file)) as kms:
        verdict = compare(
            documents, journal.read(sent), lambda listed: open_all(python, kms, endpoint, bucket, listed)
        )
    opened_by = f"Amazon S3 Encryption Client for Python: all {verdict.objects} objects"
    return Judgement(verdict, opened_by, round(time.monotonic() - began, 1))


def compare(
    documents: Documents, sent: Iterable[Sent], open_all: Callable[[list[Listed]], Iterable[Opened]]
) -> Verdict:
    """`documents` is everything under ledger/; `open_all` opens the objects that its entries list."""
    verdict = Verdict()
    entries = walk(documents, verdict)
    count_offsets(documents, entries, verdict)
    comparison = Comparison(sent, verdict)
    for opened in open_all([(entry, stored) for entry in entries for stored in entry.body["objects"]]):
        if opened.refused is not None:
            comparison.unreadable(opened.stored, opened.refused)
        else:
            comparison.take(
                opened.entry, opened.stored, zstandard.ZstdDecompressor().decompress(opened.content)
            )
    return comparison.finish()
