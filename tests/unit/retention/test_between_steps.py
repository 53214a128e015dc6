"""What others do between two requests of a step: a step that reads less must still see it."""

from typing import Any

import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit, workspace
from tests.unit.retention.world import DESTROY_AFTER, SHRED_LATENCY, Killed, World, group
from workers.by import By
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.entries import Writer
from workers.ledger.unit_chain import Draft, append
from workers.ledger.unit_chain import head as chain_head
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.retention import dispose_entries
from workers.retention.certificate import Certificate
from workers.retention.dispose import Disposer, Outcome
from workers.retention.pending import Step
from workers.sealing.refusals import KeyDisabled

GONE = unit(40)
QUARANTINED = GONE._replace(clock=Clock.QUARANTINE)


async def world() -> World:
    found = World({"acme": workspace(retention_days=30)})
    for _ in range(2):
        await found.commit({group(GONE): [b"{}"] * 3})
    return found


async def dies(issued: Certificate) -> None:
    raise Killed


async def test_a_key_is_disabled_and_waits_though_who_began_died() -> None:
    found = await world()
    first = found.disposer("first")

    async def killed(*_: Any) -> Any:
        raise Killed

    first._disable = killed  # type: ignore[assignment]  # dies in its place
    with pytest.raises(Killed):
        await first.advance(GONE)
    assert await found.pending(GONE) is Step.BEGUN
    advanced = await found.disposer("second").advance(GONE)
    assert (advanced.outcome, advanced.until) == (Outcome.DISABLED, found.now + DESTROY_AFTER)
    with pytest.raises(KeyDisabled):
        await found.keystore().unit_key(GONE, create=False)


async def test_an_entry_that_comes_before_ours_is_looked_at_before_the_key_is_destroyed() -> None:
    """A discard of one of two objects, by somebody who read the chain when we did."""
    found = World({"acme": workspace(retention_days=30)})
    for _ in range(2):
        await found.commit({group(GONE, Disposition.QUARANTINED): [b"{}"] * 3})
    disposer = found.disposer()
    found.now = (await disposer.advance(QUARANTINED)).until or 0
    stepped = disposer._step

    async def discarded_meanwhile(*args: Any, **changes: Any) -> Any:
        one = found.objects(QUARANTINED)[0]
        by = By("ops", "host", "by hand", found.now)
        consumed, counts = (Consumed(one.key, None, 3),), {Became.DISCARDED: {"by hand": 3}}
        draft = Draft(Kind.DISCARD, "0" * 16, Writer("ops", "test"), by, {}, consumed, counts)
        await append(found.ledger, await chain_head(found.ledger, QUARANTINED, retry()), draft, retry())
        return await stepped(*args, **changes)

    disposer._step = discarded_meanwhile  # type: ignore[method-assign]  # another acts first
    assert (await disposer.advance(QUARANTINED)).outcome is Outcome.DESTROYED
    head = await chain_head(found.ledger, QUARANTINED, retry())
    assert [entry.kind for entry in head.entries] == [Kind.DISCARD, Kind.DISPOSE]
    assert [each.key for each in head.entries[1].consumed] == [found.objects(QUARANTINED)[1].key]
    found.now += SHRED_LATENCY
    assert (await found.dispose(QUARANTINED))[-1].outcome is Outcome.DONE
    assert await found.contents(found.data) == []


async def on_the_last_step(found: World) -> Disposer:
    disposer = found.disposer("first")
    for _ in range(2):
        found.now = (await disposer.advance(GONE)).until or 0
    return disposer


async def all_told(found: World, certificates: int) -> None:
    issued = await found.certificates(GONE)
    assert len(issued) == certificates
    assert [each for each in issued if each not in found.told] == []
    assert await found.pending(GONE) is None
    assert await found.contents(found.data) == []


async def test_a_certificate_that_another_issued_meanwhile_and_told_nobody_of_is_told() -> None:
    found = await world()
    first, second = await on_the_last_step(found), found.disposer("second")
    second._told = dies
    certify = first._ending.certify

    async def meanwhile(*args: Any) -> Any:
        with pytest.raises(Killed):
            await second.advance(GONE)
        return await certify(*args)

    first._ending.certify = meanwhile  # type: ignore[assignment]  # another acts first
    advanced = await first.advance(GONE)
    assert (advanced.outcome, advanced.certified) == (Outcome.DONE, 0)
    await all_told(found, 1)


async def test_certificates_of_who_died_before_it_told_of_them_are_told_with_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispose_entries, "AT_ONCE", 1)
    found = await world()
    first = await on_the_last_step(found)
    certificate_of = first._ending._certificate
    made: list[Certificate] = []

    def dies_at_the_second(*args: Any) -> Certificate:
        if made:
            raise Killed
        made.append(certificate_of(*args))
        return made[0]

    first._ending._certificate = dies_at_the_second  # type: ignore[assignment]  # dies amid them
    with pytest.raises(Killed):
        await first.advance(GONE)
    assert (len(await found.certificates(GONE)), found.told) == (1, [])
    advanced = await found.disposer("second").advance(GONE)
    assert (advanced.outcome, advanced.certified) == (Outcome.DONE, 1)
    await all_told(found, 2)
