"""Deletes objects in all versions, with their delete markers, and looks whether they are gone."""

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from workers.errors import Retryable
from workers.retention.pace import Pace
from workers.store.port import Store, Version
from workers.store.retry import Retry

AT_ONCE = 1000  # versions a request, as S3 allows
ROUNDS = 3  # of deleting what is listed
SENDS = 3  # of what the server kept for a reason that may pass, in each round
EXAMPLES = 20
# what servers say of an object under Object Lock, in either mode
LOCKED = re.compile(r"object.?lock|WORM|retention", re.IGNORECASE)
SLOW = re.compile(r"SlowDown|Throttl|ServiceUnavailable|RequestLimitExceeded")


class Cause(StrEnum):
    """Why a version stays; the metrics' label."""

    OBJECT_LOCK = "object_lock"
    DENIED = "denied"
    UNAVAILABLE = "unavailable"


@dataclass
class Erased:
    """What one call deleted of one group of keys, and what the bucket kept, by the last listing."""

    bucket: str
    versions: int = 0
    delete_markers: int = 0
    uploads: int = 0
    absent: int = 0  # keys of which nothing was there: deleted before, or never replicated
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

    def count(self, version: Version, by: int) -> None:
        if version.delete_marker:
            self.delete_markers += by
        else:
            self.versions += by


def cause_of(why: str) -> Cause:
    if LOCKED.search(why):
        return Cause.OBJECT_LOCK
    return Cause.DENIED if "AccessDenied" in why else Cause.UNAVAILABLE


def folder_of(key: str) -> str:
    return key[: key.rindex("/") + 1]


async def erase(store: Store, keys: Collection[str], retry: Retry) -> Erased:
    """As `erase_all`, of one group of keys."""
    return (await erase_all(store, [keys], retry, Pace()))[0]


async def erase_all(
    store: Store, groups: Sequence[Collection[str]], retry: Retry, pace: Pace
) -> list[Erased]:
    """All versions of the keys of each group, and uploads of them that nobody finished. Never of another key.

    A key belongs to one group. May be called again at any time. What the server keeps is in the result, and
    not tried for ever. Raises Retryable where `retry` gives up. Requests: a list of uploads a folder and
    group, and for 1,000 versions about one list and one delete, however many groups there are.
    """
    erased = [Erased(store.name) for _ in groups]
    folders: dict[str, dict[str, Erased]] = {}
    for result, keys in zip(erased, groups, strict=True):
        for key in keys:
            folders.setdefault(folder_of(key), {})[key] = result
    for folder in sorted(folders):
        await _Folder(store, folder, folders[folder], retry, pace).erase()
    return erased


class _Folder:
    """What is wanted gone of one folder, and of which group it is."""

    def __init__(
        self, store: Store, folder: str, wanted: Mapping[str, Erased], retry: Retry, pace: Pace
    ) -> None:
        self._store = store
        self._folder = folder
        self._wanted = wanted
        self._retry = retry
        self._pace = pace
        self._seen: set[tuple[str, str]] = set()  # counted, key and version

    async def erase(self) -> None:
        await self._abandon_uploads()
        await self._delete()
        there = {key for key, _ in self._seen}
        for key, result in self._wanted.items():
            result.absent += key not in there

    async def _delete(self) -> None:
        for _ in range(ROUNDS):
            if not await self._purge_what_is_there():
                self._forget_reasons_but_of(set())
                return
            if self._is_hopeless():
                break
        await self._look_again()

    async def _abandon_uploads(self) -> None:
        groups: dict[int, tuple[Erased, list[str]]] = {}
        for key, result in self._wanted.items():
            groups.setdefault(id(result), (result, []))[1].append(key)
        for result, keys in groups.values():
            wanted = frozenset(keys)
            result.uploads += await self._retry.call(
                lambda wanted=wanted: self._store.abandon_uploads(self._folder, wanted)  # type: ignore[misc] # bound early
            )

    async def _purge_what_is_there(self) -> int:
        """Deletes page by page. Returns how many versions it found.

        A page of which nothing stays is followed by a listing from the same place: behind a marker, a server
        on a file system (versitygw) reads all that sorts before it, folders of others too.
        """
        found, begins = 0, ""
        listing = self._listing(begins)
        while page := await listing.page():
            found += len(page)
            fresh = self._count(page)
            gone = await self._purge(page)
            if listing.ended:
                break
            if fresh and gone and not listing.passed_others:
                listing = self._listing(begins)
            else:
                begins = listing.whole
        return found

    def _count(self, page: list[Version]) -> bool:
        """Whether none of them was counted before: what comes again was not deleted, whatever was said."""
        fresh = True
        for version in page:
            named = (version.key, version.version_id)
            if named in self._seen:
                fresh = False
            else:
                self._seen.add(named)
                self._wanted[version.key].count(version, 1)
        return fresh

    async def _purge(self, versions: list[Version]) -> bool:
        """Whether all are gone. What was kept for a reason that may pass is sent again, a few times; what is
        kept is noted.
        """
        left, stays = versions, False
        for attempt in range(SENDS):
            if attempt:
                await self._retry.sleep(self._retry.wait(attempt))
            kept = await self._retry.call(lambda left=left: self._request(left))  # type: ignore[misc] # bound early
            for version in left:
                if version.key in kept:
                    continue
                self._wanted[version.key].kept.pop(version.key, None)
            for key, why in sorted(kept.items()):
                of = self._wanted[key].kept
                if key in of or len(of) < EXAMPLES:
                    of[key] = why
            stays = stays or any(cause_of(why) is not Cause.UNAVAILABLE for why in kept.values())
            left = [
                each for each in left if each.key in kept and cause_of(kept[each.key]) is Cause.UNAVAILABLE
            ]
            if not left:
                break
        return not left and not stays

    async def _request(self, versions: list[Version]) -> Mapping[str, str]:
        async with self._pace.turn():
            kept = await self._store.purge(versions)
        if any(SLOW.search(why) for why in kept.values()):
            self._pace.slow_down()
        return kept

    async def _look_again(self) -> None:
        """What is still listed was not deleted, whatever the server said."""
        left: set[tuple[str, str]] = set()
        listing = self._listing("")
        while page := await listing.page():
            for version in page:
                named = (version.key, version.version_id)
                if named in self._seen:
                    self._seen.remove(named)
                    self._wanted[version.key].count(version, -1)
                if named not in left:
                    left.add(named)
                    self._wanted[version.key].left += 1
        self._forget_reasons_but_of({key for key, _ in left})

    def _forget_reasons_but_of(self, here: set[str]) -> None:
        for result in self._results():
            for key in [key for key in result.kept if key in self._wanted and key not in here]:
                del result.kept[key]

    def _results(self) -> Collection[Erased]:
        return {id(each): each for each in self._wanted.values()}.values()

    def _is_hopeless(self) -> bool:
        """Whether what was kept, was kept for reasons that no next try mends."""
        whys = [why for result in self._results() for why in result.kept.values()]
        return any(cause_of(why) is not Cause.UNAVAILABLE for why in whys)

    def _listing(self, after: str) -> "_Listing":
        return _Listing(self._store, self._folder, self._wanted, self._retry, after)


class _Listing:
    """Versions of what is wanted of a folder, behind the key `after`.

    One that fails goes on behind the last key that was whole, so that a version may come twice.
    """

    def __init__(self, store: Store, folder: str, wanted: Collection[str], retry: Retry, after: str) -> None:
        self.whole = after  # a key behind which the next listing may begin
        self.ended = False
        self.passed_others = False  # in the last page's course
        self._current = ""
        self._store = store
        self._folder = folder
        self._wanted = wanted
        self._retry = retry
        self._listed: AsyncIterator[Version] | None = None

    async def page(self) -> list[Version]:
        """1,000 of them; fewer at the end."""
        if self.ended:
            return []
        page, self.whole, self._current, self.passed_others = await self._retry.call(self._following)
        self.ended = len(page) < AT_ONCE
        return page

    async def _following(self) -> tuple[list[Version], str, str, bool]:
        whole, current, others, found = self.whole, self._current, False, list[Version]()
        if self._listed is None:
            self._listed = self._store.versions(self._folder, after=whole)
        try:
            async for version in self._listed:
                if version.key != current:
                    whole, current = current or whole, version.key
                if version.key in self._wanted:
                    found.append(version)
                    if len(found) == AT_ONCE:
                        break
                else:
                    others = True
        except Retryable:
            self._listed = None
            raise
        return found, whole, current, others
