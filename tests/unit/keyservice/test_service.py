"""What the key service answers, to whom, and what it puts on record."""

import io
import json
import logging
from collections.abc import Callable

import pytest

from tests.contract.keystore.world import NEIGHBOUR, UNIT
from tests.unit.keyservice.world import (
    NAME,
    PEER,
    RIVAL,
    World,
    audited,
    base64,
    error_of,
    sign,
    with_header,
)
from workers.keyservice import kms
from workers.keyservice.refusal import Outcome
from workers.observe import logs, metrics
from workers.sealing.keys import context_of, service_context
from workers.sealing.rows import unit_row
from workers.settings import LogFormat, LogLevel

CONTEXT = service_context(context_of(UNIT, NAME))


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
