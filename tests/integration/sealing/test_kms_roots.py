"""The promises of root keys, of those in a KMS that is asked over the wire."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.roots.suite import CONTEXT, Pair, RootContract
from tests.stack.moto_kms import FAR, REGION, MotoKms
from workers.errors import Fatal
from workers.sealing.keys import new_key
from workers.sealing.kms import Kms, KmsRoot
from workers.sealing.roots import Roots
from workers.store.kms import open_kms


@pytest.fixture
async def client(kms: MotoKms) -> AsyncIterator[Kms]:
    async with open_kms(REGION, endpoint=kms.endpoint) as client:
        yield client


class TestOneRegion(RootContract):
    flips = 16  # each is a request

    @pytest.fixture
    def pair(self, kms: MotoKms, client: Kms) -> Pair:
        return KmsRoot(client, kms.key()), KmsRoot(client, kms.key())


async def test_keys_of_two_regions_stand_in_for_each_other(kms: MotoKms, client: Kms) -> None:
    async with open_kms(FAR, endpoint=kms.endpoint) as far:
        near_root, far_root, key = KmsRoot(client, kms.key()), KmsRoot(far, kms.key(FAR)), new_key()
        wrapped = await Roots([far_root]).wrap_all(key, CONTEXT)
        wrapped = await Roots([near_root, far_root]).rewrap(wrapped, CONTEXT)
        assert await Roots([near_root]).unwrap(wrapped, CONTEXT) == key


async def test_an_alias_and_an_id_are_resolved(kms: MotoKms, client: Kms) -> None:
    arn = kms.key()
    kms.client().create_alias(AliasName="alias/strongroom", TargetKeyId=arn)
    for name in ("alias/strongroom", arn.rpartition("/")[2]):
        root = await KmsRoot.named(client, name)
        assert root.fingerprint == f"kms:{arn}"
        assert await Roots([root]).failures() == {}


async def test_a_key_that_is_not_there_is_for_a_person_to_mend(kms: MotoKms, client: Kms) -> None:
    missing = kms.key().rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    with pytest.raises(Fatal, match=r"NotFoundException.*STRONGROOM_KMS_KEYS"):
        await KmsRoot.named(client, "alias/nothing")
    with pytest.raises(Fatal, match=r"NotFoundException.*STRONGROOM_KMS_KEYS"):
        await KmsRoot(client, missing).wrap(new_key(), CONTEXT)


async def test_kms_hands_a_key_on_by_itself(kms: MotoKms, client: Kms) -> None:
    old, new, key = KmsRoot(client, kms.key()), KmsRoot(client, kms.key()), new_key()
    blob = await new.take_over({old.fingerprint: await old.wrap(key, CONTEXT)}, CONTEXT)
    assert blob is not None
    assert await new.unwrap(blob, CONTEXT) == key


async def test_a_source_that_kms_did_not_open_is_noticed(kms: MotoKms, client: Kms) -> None:
    """moto opens it by whatever key the blob names, as KMS does where no SourceKeyId is given."""
    old, other, new = (KmsRoot(client, kms.key()) for _ in range(3))
    blob = await old.wrap(new_key(), CONTEXT)
    with pytest.raises(Fatal, match="KMS says opened by"):
        await new.take_over({other.fingerprint: blob}, CONTEXT)
