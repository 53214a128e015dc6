"""A root key in KMS: what it is called, and that no other key's answer is taken for its own."""

import pytest

from tests.contract.roots.fake_kms import FakeKms, arn
from workers.errors import Fatal
from workers.sealing.keys import Secret, new_key
from workers.sealing.kms import KmsRoot, Unwrapped, Wrapped
from workers.sealing.refusals import MalformedKey
from workers.sealing.roots import root_context

CONTEXT = root_context("acme", 1)
A, B = arn("a"), arn("b")


async def test_a_key_that_is_named_by_its_arn_needs_no_question() -> None:
    kms = FakeKms(A)
    assert (await KmsRoot.named(kms, A)).fingerprint == f"kms:{A}"
    assert kms.asked == []


@pytest.mark.parametrize(
    "name",
    ["alias/root", "arn:aws:kms:eu-west-1:111122223333:alias/root", "1234abcd-12ab-34cd-56ef-1234567890ab"],
)
async def test_an_alias_or_id_is_resolved_once_and_stands_for_its_key(name: str) -> None:
    kms = FakeKms(A, aliases={name: A})
    root = await KmsRoot.named(kms, name)
    assert root.fingerprint == f"kms:{A}"
    await root.unwrap(await root.wrap(new_key(), CONTEXT), CONTEXT)
    assert [(operation, key) for operation, key, _ in kms.asked] == [
        ("describe", name),
        ("encrypt", A),
        ("decrypt", A),
    ]


@pytest.mark.parametrize(
    "said", ["", "alias/root", "arn:aws:kms:eu-west-1:111122223333:alias/root", "x" * 999]
)
async def test_an_answer_that_names_no_key_is_refused(said: str) -> None:
    with pytest.raises(Fatal, match=r"no key's ARN.*STRONGROOM_KMS_ENDPOINT"):
        await KmsRoot.named(FakeKms(A, aliases={"alias/root": said}), "alias/root")


async def test_every_call_binds_the_context() -> None:
    kms = FakeKms(A, B)
    blob = await KmsRoot(kms, A).wrap(new_key(), CONTEXT)
    await KmsRoot(kms, A).unwrap(blob, CONTEXT)
    await KmsRoot(kms, B).take_over({f"kms:{A}": blob}, CONTEXT)
    assert [(operation, context) for operation, _, context in kms.asked] == [
        ("encrypt", CONTEXT),
        ("decrypt", CONTEXT),
        ("re_encrypt", CONTEXT),
    ]


@pytest.mark.parametrize("said", [B, "", A.upper(), "1234abcd"])
async def test_an_answer_by_another_key_is_refused(said: str) -> None:
    kms = FakeKms(A, B)
    blob = await KmsRoot(kms, A).wrap(new_key(), CONTEXT)
    kms.answers_as[A] = said
    with pytest.raises(Fatal, match=r"asked for root key .*KMS says wrapped by"):
        await KmsRoot(kms, A).wrap(new_key(), CONTEXT)
    with pytest.raises(Fatal, match=r"asked for root key .*KMS says opened by"):
        await KmsRoot(kms, A).unwrap(blob, CONTEXT)
    with pytest.raises(Fatal, match=r"asked for root key .*KMS says opened by"):
        await KmsRoot(kms, B).take_over({f"kms:{A}": blob}, CONTEXT)
    kms.answers_as = {B: A}
    with pytest.raises(Fatal, match=r"asked for root key .*KMS says wrapped by"):
        await KmsRoot(kms, B).take_over({f"kms:{A}": blob}, CONTEXT)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
async def test_a_key_of_another_length_is_refused(length: int) -> None:
    class Short(FakeKms):
        async def decrypt(self, key: str, blob: bytes, context: object) -> Unwrapped:
            return Unwrapped(Secret(length), key)

    with pytest.raises(MalformedKey, match=f"{length} bytes"):
        await KmsRoot(Short(A), A).unwrap(b"blob", CONTEXT)


@pytest.mark.parametrize("length", [0, 6145])
async def test_a_wrapping_that_kms_would_not_take_back_is_refused(length: int) -> None:
    class Strange(FakeKms):
        async def encrypt(self, key: str, plain: Secret, context: object) -> Wrapped:
            return Wrapped(bytes(length), key)

        async def re_encrypt(self, blob: bytes, source: str, target: str, context: object) -> Wrapped:
            return Wrapped(bytes(length), target, source)

    root = KmsRoot(Strange(A), A)
    with pytest.raises(Fatal, match=f"{length} bytes"):
        await root.wrap(new_key(), CONTEXT)
    with pytest.raises(Fatal, match=f"{length} bytes"):
        await root.take_over({f"kms:{B}": b"blob"}, CONTEXT)
    with pytest.raises(MalformedKey, match=f"{length} bytes"):
        await root.unwrap(bytes(length), CONTEXT)


async def test_only_keys_of_its_own_region_are_taken_over() -> None:
    kms = FakeKms(A)
    strange = {"file:00": b"x", f"kms:{arn('a', 'us-east-2')}": b"x", "kms:nothing": b"x"}
    assert await KmsRoot(kms, A).take_over(strange, CONTEXT) is None
    assert kms.asked == []
