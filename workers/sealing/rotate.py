"""Rotates a workspace's key: rows are wrapped anew, objects are not touched (docs/architecture.md, Rotation).

1. A new generation becomes the current one; caches are told. From then on new units are under it.
2. Passes over the units' and readers' rows put each under it, by `If-Match`: what is shredded meanwhile
   stays shredded.
3. When two passes, one settling time apart, have found no row under an older generation, none can come any
   more: whoever had the older one cached has been told, or its cache is past its life. It is destroyed.

Every step may be done again, by anybody, at any time: a rotation that was killed is gone on with by the same
command. Nothing here waits or retries; who calls does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from workers.by import By
from workers.errors import Fatal
from workers.sealing import reader_rows, tombstones, unit_rows
from workers.sealing.key_events import What, events, put_on_record
from workers.sealing.listing import readers, units
from workers.sealing.old_versions import purge_old_versions
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots
from workers.sealing.rows import ReaderRow, Row, State, WorkspaceRow, workspace_row
from workers.sealing.workspaces import WorkspaceKeys, Workspaces, missing, new_workspace_key, usable
from workers.store.retry import Retry

AT_ONCE = 32  # rows under way
GENERATIONS_MAX = 0xFFFF  # what a blob's header can name


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over a workspace's units met."""

    rows: int = 0
    rewrapped: int = 0
    tombstones: int = 0


class Rotation:
    """Of one workspace. `now` gives ms since the epoch; `advance` is told how many rows were looked at."""

    def __init__(
        self,
        replicas: Replicas,
        roots: Roots,
        workspace: str,
        *,
        retry: Retry,
        now: Callable[[], int],
        advance: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.name = workspace_row(workspace)
        self._replicas, self._roots, self._workspace = replicas, roots, workspace
        self._retry, self._now, self._advance = retry, now, advance

    async def run(
        self, by: By, settle: Callable[[], Awaitable[None]], say: Callable[[str], None] = lambda step: None
    ) -> Pass:
        """The whole of it. `settle` waits a settling time; returns what the first pass met.

        Raises NoSuchKey, KeyDisabled or KeyShredded where there is nothing to rotate.
        """
        generation = await self.begun(by)
        say(f"generation {generation} is to be the current one of {self.name}")
        await self.begin(generation)
        first = await self.rewrap()
        say(f"{first.rewrapped} of {first.rows} rows were put under it")
        while True:
            while (await self.rewrap()).rewrapped:
                pass
            say("waiting until no cache can hold the older one any more")
            await settle()
            if not (await self.rewrap()).rewrapped:
                break
        say(f"{await self.retire(generation)} older generations were destroyed")
        await self._record(What.ROTATION_DONE, generation, by)
        return first

    async def begun(self, by: By) -> int:
        """The generation to which a rotation leads that is under way, or is put on record now."""
        standing = await self._standing()
        target = await self._retry.call(self._under_way)
        if target is None:
            target = standing.current + 1
            if target > GENERATIONS_MAX:
                raise Fatal(
                    f"{self.name} has had {GENERATIONS_MAX} generations, a blob's header can name no more",
                    remedy="Open another workspace for this customer",
                )
            await self._record(What.ROTATION_BEGUN, target, by)
        return target

    async def _under_way(self) -> int | None:
        generations: dict[What, int] = {}
        async for event in events(self._replicas.stores[0]):
            if self.name in event.rows:
                generations[event.what] = max(event.generation, generations.get(event.what, 0))
        begun, done = (generations.get(what, 0) for what in (What.ROTATION_BEGUN, What.ROTATION_DONE))
        return begun if begun > done else None

    async def begin(self, generation: int) -> None:
        """Makes `generation` the current one, unless it is."""
        standing = await self._standing()
        if standing.current < generation:
            added = await self._retry.call(
                lambda: new_workspace_key(self._roots, self._workspace, generation)
            )

            def edit(row: Row | None) -> Row | None:
                found = self._usable(row)
                if found.current != standing.current:  # another's rotation, or ours whose response was lost
                    return None
                return replace(
                    found,
                    current=generation,
                    keys=(*found.keys, added),
                    revision=found.revision + 1,
                    changed_at=self._now(),
                )

            await self._retry.call(lambda: self._replicas.changed(self.name, edit))
        await self._tell_caches()

    async def rewrap(self) -> Pass:
        """One pass: every unit's and reader's row under an older generation is put under the current one."""
        keys = await self._keys()
        done = Pass()
        for listing in (units, readers):
            async for names in listing(self._replicas.stores[0], self._workspace, self._retry):
                for start in range(0, len(names), AT_ONCE):
                    some = names[start : start + AT_ONCE]
                    results = await asyncio.gather(*(self._rewrap_one(name, keys) for name in some))
                    done = Pass(
                        done.rows + len(some),
                        done.rewrapped + results.count(True),
                        done.tombstones + results.count(None),
                    )
                    self._advance(len(some))
        return done

    async def retire(self, generation: int) -> int:
        """Destroys those older than `generation`; how many. Only after two passes, a settling time apart,
        found no row under one. A later rotation may be under way by now.

        Older versions of the row hold them too, and are deleted.
        """
        retired = 0

        def edit(row: Row | None) -> Row | None:
            nonlocal retired
            found = self._usable(row)
            kept = tuple(key for key in found.keys if key.generation >= generation)
            if len(kept) == len(found.keys):
                return None
            retired = len(found.keys) - len(kept)
            return replace(found, keys=kept, revision=found.revision + 1, changed_at=self._now())

        await self._retry.call(lambda: self._replicas.changed(self.name, edit))
        await self._tell_caches()
        for store in self._replicas.stores:
            await self._retry.call(partial(purge_old_versions, store, self.name))
        return retired

    async def _rewrap_one(self, name: str, keys: WorkspaceKeys) -> bool | None:
        """Whether it was under an older generation; None for a tombstone."""
        turned = False

        def edit(row: Row | None) -> Row | None:
            nonlocal turned
            if row is None or isinstance(row, WorkspaceRow) or row.state is State.TOMBSTONE:
                return None
            if row.under == keys.current:
                return None
            if row.under not in keys.by_generation:
                raise Fatal(
                    f"{name} is under generation {row.under} of {self.name}, which is not there",
                    remedy="If the ledger lists no object of this unit, a worker that was paused during a "
                    "rotation made it late, and it may be deleted; else restore both from their versions",
                )
            turned = True
            if isinstance(row, ReaderRow):
                return reader_rows.rewrapped(row, keys, self._now())
            return unit_rows.rewrapped(row, keys, self._now())

        found = await self._retry.call(lambda: self._replicas.changed(name, edit))
        return None if found is None or found.state is State.TOMBSTONE else turned

    async def _keys(self) -> WorkspaceKeys:
        fresh = Workspaces(self._replicas, self._roots, keep=1, now=self._now)
        return await self._retry.call(lambda: fresh.keys(self._workspace, create=False))

    async def _standing(self) -> WorkspaceRow:
        return self._usable(await self._retry.call(lambda: self._replicas.settled(self.name)))

    def _usable(self, row: Row | None) -> WorkspaceRow:
        if row is None:
            raise missing(self.name)
        return usable(row, self.name, WorkspaceRow)

    async def _record(self, what: What, generation: int, by: By) -> None:
        stores = self._replicas.stores
        await self._retry.call(lambda: put_on_record(stores, what, [self.name], by, generation=generation))

    async def _tell_caches(self) -> None:
        """Whoever has the workspace's keys cached reads its row anew."""
        await self._retry.call(
            lambda: tombstones.append(self._replicas.stores, [self.name], State.ACTIVE, self._now())
        )
