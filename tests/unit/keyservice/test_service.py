"""What the key service answers, to whom, and what it puts on record."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.keystore.world import NEIGHBOUR, NOW, UNIT, replicas
from tests.unit.keyservice.world import (
    DAY,
    NAME,
    PEER,
    RIVAL,
    World,
    base64,
    error_of,
    sign,
    with_header,
)
from workers.keyservice import kms
from workers.keyservice.refusal import Outcome
from workers.observe import logs, metrics
from workers.sealing.keys import context_of, service_context
from workers.sealing.rows import reader_row, unit_row, workspace_row
from workers.sealing.withdraw import disable, tombstone
from workers.settings import LogFormat, LogLevel
from workers.store.faults import Fault

CONTEXT = service_context(context_of(UNIT, NAME))


@pytest.fixture
async def world() -> World:
    return await World().begin()


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged, at a level that lets only errors through: audit lines are written at any."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    logs.configure(LogFormat.JSON, LogLevel.ERROR, stream=stream)
    yield stream
    logging.getLogger().handlers[:] = before


def audited(written: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "key_service_call"]


async def test_a_reader_gets_the_key_of_its_own_object(world: World) -> None:
    answer = await world.ask(world.wanted())
    assert answer.status == 200
    assert world.opens(answer)
    body = json.loads(answer.body)
    assert body["KeyId"] == "arn:aws:kms:strongroom:000000000000:key/acme"
    assert body["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"


@pytest.mark.parametrize("key_id", ["acme", kms.arn("acme"), None])
async def test_the_key_may_be_named_or_left_out(world: World, key_id: str | None) -> None:
    wanted = world.wanted(KeyId=key_id) if key_id else {**world.wanted()}
    if key_id is None:
        del wanted["KeyId"]
    assert world.opens(await world.ask(wanted))


async def test_a_reader_may_look_at_its_own_key_alone(world: World) -> None:
    for key_id in ("acme", kms.arn("acme")):
        answer = await world.ask({"KeyId": key_id}, "DescribeKey")
        metadata = json.loads(answer.body)["KeyMetadata"]
        assert (metadata["Arn"], metadata["KeyState"]) == (kms.arn("acme"), "Enabled")
    answer = await world.ask({"KeyId": kms.arn("rival")}, "DescribeKey")
    assert error_of(answer) == "AccessDeniedException"


Edit = Callable[[World], tuple[dict[str, object] | bytes, str]]
REFUSED: dict[str, tuple[Edit, str, Outcome]] = {
    "another workspace's object": (
        lambda w: (w.wanted(RIVAL, KeyId=kms.arn("rival")), "Decrypt"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
    "another workspace's object under the own key's name": (
        lambda w: (w.wanted(RIVAL), "Decrypt"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
    "another workspace's context, everything else nonsense": (
        lambda w: ({"CiphertextBlob": "%", "EncryptionContext": {"workspace": "rival"}}, "Decrypt"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
    "another workspace's key": (
        lambda w: (w.wanted(KeyId=kms.arn("rival")), "Decrypt"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
    "no context": (
        lambda w: (w.wanted(EncryptionContext={}), "Decrypt"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
    "another workspace's blob under the own context": (
        lambda w: (w.wanted(CiphertextBlob=w.sealed[RIVAL].metadata["x-amz-3"]), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "another object's context": (
        lambda w: (w.wanted(EncryptionContext={**CONTEXT, "object": "data/other"}), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "another day's context": (
        lambda w: (w.wanted(EncryptionContext={**CONTEXT, "day": NEIGHBOUR.day}), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a context without the suite": (
        lambda w: (w.wanted(EncryptionContext=context_of(UNIT, NAME)), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a context with more in it": (
        lambda w: (w.wanted(EncryptionContext={**CONTEXT, "more": "x"}), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a context of no clock": (
        lambda w: (w.wanted(EncryptionContext={**CONTEXT, "clock": "sun"}), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a context that leads elsewhere": (
        lambda w: (w.wanted(EncryptionContext={**CONTEXT, "source": "../../ws=rival"}), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a context that is not US-ASCII": (
        lambda w: (w.wanted(EncryptionContext={**CONTEXT, "object": "ä"}), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a blob that is none": (
        lambda w: (w.wanted(CiphertextBlob=base64(b"x" * 87)), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "an empty blob": (
        lambda w: (w.wanted(CiphertextBlob=""), "Decrypt"),
        "InvalidCiphertextException",
        Outcome.INVALID_CIPHERTEXT,
    ),
    "a blob that is no Base64": (
        lambda w: (w.wanted(CiphertextBlob="%%"), "Decrypt"),
        "SerializationException",
        Outcome.MALFORMED,
    ),
    "no blob": (
        lambda w: ({"EncryptionContext": CONTEXT}, "Decrypt"),
        "ValidationException",
        Outcome.MALFORMED,
    ),
    "no JSON": (lambda w: (b"x", "Decrypt"), "ValidationException", Outcome.MALFORMED),
    "not UTF-8": (lambda w: (b'{"KeyId":"\xff"}', "Decrypt"), "ValidationException", Outcome.MALFORMED),
    "JSON beyond all depth": (lambda w: (b"[" * 60_000, "Decrypt"), "ValidationException", Outcome.MALFORMED),
    "a context that is no map": (
        lambda w: (w.wanted(EncryptionContext=["workspace", "acme"]), "Decrypt"),
        "ValidationException",
        Outcome.MALFORMED,
    ),
    "a dry run": (lambda w: (w.wanted(DryRun=True), "Decrypt"), "ValidationException", Outcome.MALFORMED),
    "a recipient": (lambda w: (w.wanted(Recipient={}), "Decrypt"), "ValidationException", Outcome.MALFORMED),
    "a grant": (lambda w: (w.wanted(GrantTokens=["x"]), "Decrypt"), "ValidationException", Outcome.MALFORMED),
    "another algorithm": (
        lambda w: (w.wanted(EncryptionAlgorithm="RSAES_OAEP_SHA_256"), "Decrypt"),
        "ValidationException",
        Outcome.MALFORMED,
    ),
    "to make a data key": (
        lambda w: ({"KeyId": "acme"}, "GenerateDataKey"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
    "to delete the key": (
        lambda w: ({"KeyId": "acme"}, "ScheduleKeyDeletion"),
        "AccessDeniedException",
        Outcome.ACCESS_DENIED,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_not_a_readers_is_refused(world: World, case: str, written: io.StringIO) -> None:
    make, expected, outcome = REFUSED[case]
    wanted, operation = make(world)
    answer = await world.ask(wanted, operation)
    assert (error_of(answer), answer.status) == (expected, 400)
    assert b"Plaintext" not in answer.body
    [line] = audited(written)
    assert (line["outcome"], line["proven"], line["workspace"]) == (outcome, True, "acme")


async def test_what_is_no_operation_of_kms_is_unknown(world: World) -> None:
    for target in ("", "Decrypt", "DynamoDB_20120810.GetItem", "TrentService."):
        request = world.signed(world.wanted())
        signed_so = with_header(request, "x-amz-target", target)
        answer = await world.service.answer(signed_so, PEER, "a-request")
        assert error_of(answer) == "InvalidSignatureException"  # altered on the way
    reader, secret = world.readers["acme"]
    for target in ("Decrypt", "DynamoDB_20120810.GetItem", "TrentService."):
        request = sign(b"{}", target, reader.access_key_id, secret.text)
        assert error_of(await world.service.answer(request, PEER, "a-request")) == "UnknownOperationException"


async def test_a_call_is_on_record_with_who_what_and_from_where(world: World, written: io.StringIO) -> None:
    counted = metrics.KEY_SERVICE_CALLS.labels(outcome=Outcome.DECRYPTED)
    before = counted._value.get()
    await world.ask(world.wanted())
    [line] = audited(written)
    assert line.pop("timestamp")
    assert line == {
        "event": "key_service_call",
        "level": "info",
        "request_id": "a-request",
        "peer": PEER,
        "operation": "Decrypt",
        "access_key_id": world.readers["acme"][0].access_key_id,
        "proven": True,
        "workspace": "acme",
        "asked_workspace": "acme",
        "object": NAME,
        "outcome": "decrypted",
    }
    assert counted._value.get() == before + 1


async def test_who_asks_for_anothers_object_is_on_record_with_it(world: World, written: io.StringIO) -> None:
    await world.ask(world.wanted(RIVAL))
    [line] = audited(written)
    assert (line["workspace"], line["asked_workspace"], line["object"]) == ("acme", "rival", NAME)
    assert line["outcome"] == "access_denied"


async def test_nothing_of_a_body_is_on_record_before_its_sender_is_proven(
    world: World, written: io.StringIO
) -> None:
    request = world.signed({**world.wanted(), "CiphertextBlob": "PLANTED"})
    await world.service.answer(request._replace(body=request.body + b" "), PEER, "a-request")
    [line] = audited(written)
    assert (line["outcome"], line["proven"], line["workspace"]) == ("bad_signature", False, "")
    assert "object" not in line


async def test_no_key_and_no_secret_is_written_anywhere(world: World) -> None:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    logs.configure(LogFormat.JSON, LogLevel.DEBUG, stream=stream)
    try:
        answers = [await world.ask(world.wanted()), await world.ask(world.wanted(RIVAL))]
        wrong = (world.readers["acme"][0], world.readers["rival"][1])
        answers.append(await world.ask(world.wanted(), reader=wrong))
        await world.stores[0].put(unit_row(NEIGHBOUR), b"PLANTED-ROW")
        context = {**CONTEXT, "day": NEIGHBOUR.day}
        answers.append(await world.ask(world.wanted(EncryptionContext=context)))
    finally:
        logging.getLogger().handlers[:] = before
    assert [answer.status for answer in answers] == [200, 400, 400, 500]
    plain = json.loads(answers[0].body)["Plaintext"]
    said = stream.getvalue() + repr(answers) + repr(world.readers)
    for secret in (plain, *(secret.text for _, secret in world.readers.values())):
        assert secret not in said
    assert b"PLANTED" not in answers[-1].body


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
