"""An audit of real S3 buckets: what a server lists, reads and keeps of versions shows the same faults."""

import pytest

from tests.stack.s3 import S3
from tests.unit.ledger import planted_entries, planted_objects, planted_policy  # noqa: F401 - they fill the tables
from tests.unit.ledger.audited import ENTRIES, archived
from tests.unit.ledger.planting import DEEP, SHALLOW, VERSIONED
from workers.store.s3 import open_s3

PLAIN = ["entry_missing_in_the_middle", "object_truncated", "objects_swapped", "stranger_in_the_ledger"]
OPENED = ["record_under_the_wrong_workspace"]
# none of them hides another
OF_VERSIONS = [
    "entry_overwritten_with_itself",
    "newest_entry_deleted",
    "object_overwritten_with_itself",
    "policy_overwritten",
]


@pytest.mark.parametrize("fault", [*PLAIN, *OPENED])
async def test_a_fault_in_a_real_bucket(s3: S3, fault: str) -> None:
    store = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True)
    archive = await archived(store)
    plant, expected = (SHALLOW | DEEP)[fault]
    await plant(archive)
    assert {finding.kind for finding in (await archive.audited()).findings} == expected
    await store.close()


async def test_faults_in_a_real_bucket_with_versions(s3: S3) -> None:
    store = await open_s3(s3.versioned_bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True)
    archive = await archived(store)
    clean = await archive.audited()
    assert (clean.findings, clean.opened) == ([], 3 * ENTRIES)
    expected: list[str] = []
    for plant, kinds in map(VERSIONED.__getitem__, OF_VERSIONS):
        await plant(archive)
        expected += kinds
    assert sorted(finding.kind for finding in (await archive.audited()).findings) == sorted(expected)
    await store.close()
