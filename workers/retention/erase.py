"""Deletes objects in all versions, with their delete markers, and looks whether they are gone."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from workers.store.port import Store, Version
from workers.store.retry import Retry

AT_ONCE = 1000  # versions a request, as S3 allows
ROUNDS = 5  # of deleting what was there a moment ago
EXAMPLES = 20
# what servers say of an object under Object Lock, in either mode
LOCKED = re.compile(r"object.?lock|WORM|retention", re.IGNORECASE)


class Cause(StrEnum):
    """Why a version stays; the metrics' label."""

    OBJECT_LOCK = "object_lock"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"


@dataclass
class Erased:
    """What one call deleted, and what the bucket kept, by the last listing."""

    bucket: str
    versions: int = 0
    delete_markers: int = 0
    uploads: int = 0
    left: int = 0  # versions that are still there
    kept: dict[str, str] = field(default_factory=dict)  # key → why; the first ones

    @property
    def clean(self) -> bool:
        return not self.left

    @property
    def cause(self) -> Cause:
        """The worst of them: what no time mends comes first."""
        causes = {cause_of(why) for why in self.kept.values()}
        return next((cause for cause in Cause if cause in causes), Cause.UNAVAILABLE)


def cause_of(why: str) -> Cause:
    if LOCKED.search(why):
        return Cause.OBJECT_LOCK
    return Cause.DENIED if "AccessDenied" in why else Cause.UNAVAILABLE


def folder_of(key: str) -> str:
    return key[: key.rindex("/") + 1]


async def erase(store: Store, keys: Collection[str], retry: Retry) -> Erased:
    """All versions of `keys`, and uploads of them that nobody finished. Never of any other key.

    May be called again at any time. What the server keeps is in the result, and not tried for ever. Raises
    Retryable where `retry` gives up. Requests: for 1,000 versions about two lists and one delete.
    """
    wanted = frozenset(keys)
    erased = Erased(store.name)
    for folder in sorted({folder_of(key) for key in wanted}):
        await _erase_folder(store, folder, wanted, retry, erased)
    return erased


async def _erase_folder(
    store: Store, folder: str, wanted: frozenset[str], retry: Retry, erased: Erased
) -> None:
    keys = frozenset(key for key in wanted if folder_of(key) == folder)
    erased.uploads += await retry.call(lambda: store.abandon_uploads(folder, keys))
    seen: dict[tuple[str, str], Version] = {}
    left: list[Version] = []
    for round_ in range(ROUNDS + 1):
        left = await retry.call(lambda: _found(store, folder, keys))
        seen |= {(version.key, version.version_id): version for version in left}
        if not left or round_ == ROUNDS or _is_hopeless(erased):
            break
        erased.kept |= await _purge(store, left, retry)
    for version in left:
        del seen[version.key, version.version_id]
    erased.left += len(left)
    erased.versions += sum(not version.delete_marker for version in seen.values())
    erased.delete_markers += sum(version.delete_marker for version in seen.values())
    if not left:
        erased.kept = {key: why for key, why in erased.kept.items() if key not in keys}


async def _purge(store: Store, versions: list[Version], retry: Retry) -> dict[str, str]:
    """Key → why the server kept it, of the first ones. A request that fails as a whole is made again."""
    kept: dict[str, str] = {}
    for at in range(0, len(versions), AT_ONCE):
        batch = versions[at : at + AT_ONCE]
        kept |= await retry.call(lambda batch=batch: store.purge(batch))  # type: ignore[misc] # bound early
    return dict(sorted(kept.items())[:EXAMPLES])


def _is_hopeless(erased: Erased) -> bool:
    """Whether what was kept, was kept for reasons that no next try mends."""
    return any(cause_of(why) is not Cause.UNAVAILABLE for why in erased.kept.values())


async def _found(store: Store, folder: str, keys: frozenset[str]) -> list[Version]:
    return [version async for version in store.versions(folder) if version.key in keys]
