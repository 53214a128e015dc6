"""Deletes what a bucket keeps of a row's past: a wrapped key that was shredded would lie there."""

from collections.abc import Mapping

from workers.store.port import Denied, Store, Unavailable, Version

ROUNDS = 3  # of deleting what was there a moment ago


async def purge_old_versions(store: Store, name: str) -> int:
    """Deletes all versions of `name` but the current one; returns how many.

    None remains, or it raises: Denied or Unavailable from the store, Unavailable where the server keeps them.
    Where the bucket keeps no versions there is nothing to do.
    """
    found = old = await _old_versions(store, name)
    kept: Mapping[str, str] = {}
    for _ in range(ROUNDS):
        if not old:
            break
        kept = await store.purge(old)
        old = await _old_versions(store, name)
    if old:
        why = "; ".join(kept.values()) or "they are still listed"
        error = Denied if "AccessDenied" in why else Unavailable
        raise error(
            f"{store.name} keeps older versions of {name}: {why}",
            remedy="Allow s3:DeleteObjectVersion under keys/, remove an Object Lock, and do it again",
        )
    return len(found)


async def _old_versions(store: Store, name: str) -> list[Version]:
    return [
        version
        async for version in store.versions(name)
        if version.key == name and not (version.is_latest and not version.delete_marker)
    ]
