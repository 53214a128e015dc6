"""What ends a reader's access: revocation, its time, shredding, outages, too many calls."""

import asyncio
import io

from tests.contract.keystore.world import NEIGHBOUR, NOW, UNIT, replicas
from tests.unit.keyservice.world import (
    DAY,
    NAME,
    PEER,
    RIVAL,
    World,
    audited,
    error_of,
)
from workers.keyservice.refusal import Outcome
from workers.sealing.rows import reader_row, unit_row, workspace_row
from workers.sealing.withdraw import disable, tombstone
from workers.store.faults import Fault


async def test_a_revoked_reader_is_refused_once_the_log_is_read(world: World) -> None:
    await world.ask(world.wanted())
    await world.revoke(world.readers["acme"][0])
    world.uptime.now += 60
    assert error_of(await world.ask(world.wanted())) == "UnrecognizedClientException"
    rival = await world.ask(world.wanted(RIVAL, KeyId="rival"), reader=world.readers["rival"])
    assert world.opens(rival, RIVAL)


async def test_a_revoked_reader_is_refused_within_a_caches_life_even_without_the_log(world: World) -> None:
    await world.ask(world.wanted())
    await world.revoke(world.readers["acme"][0])
    world.stores[0].faults.add(Fault.UNAVAILABLE, operation="list", times=None)
    world.uptime.now += 299
    assert (await world.ask(world.wanted())).status == 200
    world.uptime.now += 2
    assert error_of(await world.ask(world.wanted())) == "DependencyTimeoutException"


async def test_a_reader_ends_when_its_time_is_over(world: World, written: io.StringIO) -> None:
    reader = await world.reader("acme", expires_at=NOW + DAY)
    world.time = NOW + DAY - 1
    assert (await world.ask(world.wanted(), reader=reader)).status == 200
    world.time += 1
    assert error_of(await world.ask(world.wanted(), reader=reader)) == "ExpiredTokenException"
    assert [line["outcome"] for line in audited(written)] == ["decrypted", "expired"]


async def test_nobody_prolongs_a_reader_by_writing_to_the_bucket(world: World) -> None:
    reader = await world.reader("acme", expires_at=NOW + DAY)
    name = reader_row(reader[0])
    for store in world.stores:
        body = (await store.get(name)).body
        await store.put(name, body.replace(str(NOW + DAY).encode(), str(NOW + 9 * DAY).encode()))
    answer = await world.ask(world.wanted(), reader=reader)
    assert (error_of(answer), answer.outcome) == ("KMSInternalException", Outcome.FAULT)


async def test_a_reader_that_nobody_made_is_refused(world: World) -> None:
    reader, secret = world.readers["acme"]
    unknown = (reader._replace(number="f" * 16), secret)
    assert error_of(await world.ask(world.wanted(), reader=unknown)) == "UnrecognizedClientException"


async def test_a_readers_row_copied_to_another_workspace_is_nobodys(world: World) -> None:
    reader, secret = world.readers["acme"]
    moved = reader._replace(workspace="rival")
    for store in world.stores:
        body = (await store.get(reader_row(reader))).body
        await store.put(reader_row(moved), body.replace(b'"workspace":"acme"', b'"workspace":"rival"'))
    answer = await world.ask(world.wanted(RIVAL, KeyId="rival"), reader=(moved, secret))
    assert answer.status == 500
    assert b"Plaintext" not in answer.body


async def test_shredding_a_workspace_ends_its_readers(world: World) -> None:
    await world.ask(world.wanted())
    await tombstone(replicas(world.stores), [workspace_row("acme")], NOW)
    world.uptime.now += 60
    assert error_of(await world.ask(world.wanted())) == "UnrecognizedClientException"


async def test_a_shredded_day_is_gone_and_its_neighbour_is_not(world: World, written: io.StringIO) -> None:
    sealed = (await world.fresh().unit_key(NEIGHBOUR, create=True)).seal(b"plain", NAME)
    await world.ask(world.wanted())
    await tombstone(replicas(world.stores), [unit_row(UNIT)], NOW)
    world.uptime.now += 60
    assert error_of(await world.ask(world.wanted())) == "KMSInvalidStateException"
    world.sealed[NEIGHBOUR] = sealed
    assert world.opens(await world.ask(world.wanted(NEIGHBOUR)), NEIGHBOUR)
    assert [line["outcome"] for line in audited(written)] == ["decrypted", "shredded", "decrypted"]


async def test_a_disabled_day_says_so(world: World) -> None:
    await disable(replicas(world.stores), [unit_row(UNIT)], NOW)
    answer = await world.ask(world.wanted())
    assert (error_of(answer), answer.outcome) == ("DisabledException", Outcome.DISABLED)


async def test_an_outage_of_the_keystore_is_something_to_try_again(world: World) -> None:
    for store in world.stores:
        store.faults.add(Fault.UNAVAILABLE, times=None)
    answer = await world.ask(world.wanted())
    assert (error_of(answer), answer.status) == ("DependencyTimeoutException", 503)
    assert answer.outcome is Outcome.UNAVAILABLE


async def test_what_never_answers_is_given_up(written: io.StringIO) -> None:
    world = await World(timeout=0.01).begin()
    world.stores[0].faults.add(Fault.HELD)
    answer = await world.ask(world.wanted())
    assert answer.status == 503
    assert [line["outcome"] for line in audited(written)] == ["unavailable"]


async def test_many_ask_at_once_and_each_gets_an_answer(world: World) -> None:
    answers = await asyncio.gather(*(world.ask(world.wanted()) for _ in range(100)))
    assert all(world.opens(answer) for answer in answers)


async def test_a_reader_that_asks_too_often_is_told_so(written: io.StringIO) -> None:
    world = await World(rate=2).begin()
    outcomes = [(await world.ask(world.wanted())).outcome for _ in range(22)]
    assert outcomes == [Outcome.DECRYPTED] * 20 + [Outcome.THROTTLED] * 2
    rival = await world.ask(world.wanted(RIVAL, KeyId="rival"), reader=world.readers["rival"])
    assert rival.status == 200
    world.uptime.now += 0.5
    assert [(await world.ask(world.wanted())).outcome for _ in range(2)] == [
        Outcome.DECRYPTED,
        Outcome.THROTTLED,
    ]
    assert error_of(await world.ask(world.wanted())) == "ThrottlingException"
    assert audited(written)[-1]["outcome"] == "throttled"


async def test_who_fails_too_often_is_not_even_looked_up() -> None:
    world = await World(failure_rate=1).begin()
    known, secret = world.readers["acme"]
    wrong = (known, world.readers["rival"][1])
    assert (await world.ask(world.wanted())).status == 200
    outcomes = [(await world.ask(world.wanted(), reader=wrong)).outcome for _ in range(12)]
    assert outcomes == [Outcome.BAD_SIGNATURE] * 10 + [Outcome.THROTTLED] * 2
    asked = world.stores[0].requests.total()
    unknown = (known._replace(number="0" * 16), secret)
    for peer in (PEER, f"::ffff:{PEER}"):
        assert (await world.ask(world.wanted(), reader=unknown, peer=peer)).outcome is Outcome.THROTTLED
    assert world.stores[0].requests.total() == asked
    elsewhere = await world.ask(world.wanted(), reader=unknown, peer="198.51.100.7")
    assert elsewhere.outcome is Outcome.UNKNOWN_READER


async def test_who_shares_an_address_with_one_that_fails_is_still_served() -> None:
    world = await World(failure_rate=1).begin()
    await world.ask(world.wanted())
    wrong = (world.readers["rival"][0], world.readers["acme"][1])
    for _ in range(20):
        await world.ask(world.wanted(), reader=wrong)
    assert world.opens(await world.ask(world.wanted()))
