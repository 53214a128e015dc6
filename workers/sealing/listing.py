"""Which rows a keystore has, by their names."""

from collections.abc import AsyncIterator

from workers.sealing.rows import PREFIX, named, readers_of, workspace_row
from workers.store.port import Stat, Store
from workers.store.retry import Retry

PAGE = 1000  # names a list request


async def workspaces(store: Store, retry: Retry) -> AsyncIterator[str]:
    """Ids of the workspaces that have a key, in order. One request each. Raises Poison for a stray name."""
    after = ""

    async def first() -> str | None:
        async for stat in store.list(f"{PREFIX}ws=", after=after, limit=1):
            return stat.key
        return None

    while (name := await retry.call(first)) is not None:
        owner = named(name)
        workspace = owner if isinstance(owner, str) else owner.workspace
        if name == workspace_row(workspace):
            yield workspace
        after = f"{PREFIX}ws={workspace}/t"  # behind its l1.json and all of its reader= and src=


async def units(store: Store, workspace: str, retry: Retry) -> AsyncIterator[list[str]]:
    """The names of a workspace's unit rows, in order, a page at a time. Raises Poison for a stray name."""
    async for names in _pages(store, f"{PREFIX}ws={workspace}/src=", retry):
        yield names


async def readers(store: Store, workspace: str, retry: Retry) -> AsyncIterator[list[str]]:
    """The names of its readers' rows, as `units`."""
    async for names in _pages(store, readers_of(workspace), retry):
        yield names


async def _pages(store: Store, prefix: str, retry: Retry) -> AsyncIterator[list[str]]:
    after = ""

    async def page() -> list[Stat]:
        return [stat async for stat in store.list(prefix, after=after, limit=PAGE)]

    while found := await retry.call(page):
        for stat in found:
            named(stat.key)  # a name that we did not write is not passed over: somebody put a key there
        yield [stat.key for stat in found]
        after = found[-1].key
