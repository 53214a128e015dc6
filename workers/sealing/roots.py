"""A fleet's root keys: each wraps every workspace's key, and any one of them opens it."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from workers.errors import Fatal, Poison, Retryable, StrongroomError
from workers.sealing.keys import Secret, new_key
from workers.sealing.root import RootKey
from workers.store.port import Denied

log = structlog.get_logger(__name__)


class Roots:
    """One root key or several, the one to ask first in front. Of one event loop."""

    def __init__(self, roots: Sequence[RootKey]) -> None:
        self.fingerprints = tuple(root.fingerprint for root in roots)
        if not roots:
            raise ValueError("nothing opens without a root key")
        for name in self.fingerprints:
            if self.fingerprints.count(name) > 1:
                raise Fatal(
                    f"root key {name} is given twice: the second guards nothing",
                    remedy="Name another key, or this one once (an alias stands for a key)",
                )
        self._roots = list(roots)

    def __repr__(self) -> str:
        return f"Roots({', '.join(self.fingerprints)})"

    async def wrap_all(self, key: bytes, context: Mapping[str, str]) -> dict[str, bytes]:
        """`key` under each root, by fingerprint. Raises if one can't: then the key must not be used."""
        roots = self._roots
        outcomes = await asyncio.gather(*(root.wrap(key, context) for root in roots), return_exceptions=True)
        failures: list[StrongroomError] = []
        wrapped = {}
        for root, outcome in zip(roots, outcomes, strict=True):
            if isinstance(outcome, bytes):
                wrapped[root.fingerprint] = outcome
            elif isinstance(outcome, StrongroomError):
                failures.append(outcome)
            else:
                raise outcome
        if failures:
            raise min(failures, key=_hope)
        return wrapped

    async def unwrap(self, wrapped: Mapping[str, bytes], context: Mapping[str, str]) -> Secret:
        """The key, from the first root that holds a wrapping and opens it.

        Raises what offers most hope where none does: Retryable before Refused before Fatal.
        """
        failed: dict[str, StrongroomError] = {}
        for root in [root for root in self._roots if root.fingerprint in wrapped]:
            try:
                key = await root.unwrap(wrapped[root.fingerprint], context)
            except StrongroomError as error:
                failed[root.fingerprint] = error
                if isinstance(error, Retryable):
                    self._ask_last(root)
            else:
                for name, why in failed.items():
                    log.warning("root_key_passed_over", root=name, why=why.message, used=root.fingerprint)
                return key
        if not failed:
            raise Fatal(
                f"a workspace's key is wrapped by root key {_listed(wrapped)}; "
                f"held here is root key {_listed(self.fingerprints)}",
                remedy="Give the root key that the keystore was begun with",
            )
        raise max(failed.values(), key=_hope)

    async def rewrap(self, wrapped: Mapping[str, bytes], context: Mapping[str, str]) -> dict[str, bytes]:
        """The same key under exactly these roots: wrappings that are there are kept, others' are left out.

        Key services of one place hand it on among themselves; otherwise it is unwrapped here. Raises as
        `wrap_all` and `unwrap`.
        """
        return {
            root.fingerprint: wrapped.get(root.fingerprint) or await self._added(root, wrapped, context)
            for root in self._roots
        }

    async def failures(self) -> dict[str, StrongroomError]:
        """Fingerprint → why that root can't be used. Empty if each wraps a key and opens it again."""
        context = root_context("probe", 0)  # real generations begin at 1
        outcomes = await asyncio.gather(*(_proven(root, context) for root in self._roots))
        return {
            root.fingerprint: failure
            for root, failure in zip(self._roots, outcomes, strict=True)
            if failure is not None
        }

    async def _added(self, root: RootKey, wrapped: Mapping[str, bytes], context: Mapping[str, str]) -> bytes:
        failures: list[StrongroomError] = []
        try:
            blob = await root.take_over(wrapped, context)
            if blob is not None:
                return blob
        except StrongroomError as error:  # one that may not hand it on may still open it
            failures.append(error)
        try:
            key = await self.unwrap(wrapped, context)
        except StrongroomError as error:
            failures.append(error)
            raise max(failures, key=_hope) from None
        return await root.wrap(key, context)

    def _ask_last(self, root: RootKey) -> None:
        """A root that does not answer costs a time-out each time that it is asked first."""
        self._roots = [*(each for each in self._roots if each is not root), root]


def root_context(workspace: str, generation: int) -> dict[str, str]:
    """What is bound to a workspace's key wrapped by a root (docs/format.md, Keys)."""
    return {"generation": str(generation), "purpose": "strongroom-l1", "workspace": workspace}


async def _proven(root: RootKey, context: Mapping[str, str]) -> StrongroomError | None:
    key = new_key()
    try:
        opened = await root.unwrap(await root.wrap(key, context), context)
    except StrongroomError as error:
        return error
    if opened != key:
        return Fatal(f"root key {root.fingerprint} opens another key than it wrapped", remedy="Use another")
    return None


def _hope(error: StrongroomError) -> int:
    """What passes by itself, what a person may allow, what another copy may mend, what nothing does."""
    match error:
        case Denied():
            return 2
        case Retryable():
            return 3
        case Poison():
            return 1
        case _:
            return 0


def _listed(fingerprints: Mapping[str, bytes] | Sequence[str]) -> str:
    return ", ".join(sorted(fingerprints)) or "none"
