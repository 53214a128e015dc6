"""Several root keys: what one of them being down, wrong or gone does, and how keys move between them."""

from pathlib import Path
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs

from tests.contract.roots.fake_kms import FakeKms, arn
from workers.errors import Fatal, StrongroomError
from workers.sealing.keys import Secret, new_key
from workers.sealing.kms import KmsRoot
from workers.sealing.refusals import WrongKey
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots, root_context
from workers.store.port import Denied, Unavailable

CONTEXT = root_context("acme", 1)
A, B, FAR = arn("a"), arn("b"), arn("c", "us-east-2")
DOWN, DENIED, WRONG, GONE = Unavailable("down"), Denied("denied"), WrongKey("wrong"), Fatal("gone")


class Two(NamedTuple):
    first: FakeKms
    second: FakeKms
    roots: Roots


@pytest.fixture
def two() -> Two:
    """A root key in each of two services."""
    first, second = FakeKms(A), FakeKms(FAR)
    return Two(first, second, Roots([KmsRoot(first, A), KmsRoot(second, FAR)]))


@pytest.mark.parametrize("failure", [DOWN, DENIED, WRONG, GONE], ids=str)
async def test_while_one_fails_the_other_opens_and_somebody_is_told(
    two: Two, failure: StrongroomError
) -> None:
    key = new_key()
    wrapped = await two.roots.wrap_all(key, CONTEXT)
    two.first.fails["decrypt"] = failure
    with capture_logs() as logs:
        assert await two.roots.unwrap(wrapped, CONTEXT) == key
    assert [(line["event"], line["root"], line["used"]) for line in logs] == [
        ("root_key_passed_over", f"kms:{A}", f"kms:{FAR}")
    ]


@pytest.mark.parametrize("failing", ["first", "second"])
@pytest.mark.parametrize("failure", [DOWN, DENIED, GONE], ids=str)
async def test_no_key_is_made_that_one_root_does_not_wrap(
    two: Two, failing: str, failure: StrongroomError
) -> None:
    getattr(two, failing).fails["encrypt"] = failure
    with pytest.raises(type(failure)):
        await two.roots.wrap_all(new_key(), CONTEXT)


async def test_of_two_failures_to_wrap_the_worse_one_is_told(two: Two) -> None:
    two.first.fails["encrypt"], two.second.fails["encrypt"] = DOWN, GONE
    with pytest.raises(Fatal):
        await two.roots.wrap_all(new_key(), CONTEXT)


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ((DOWN, DENIED), DOWN),
        ((DENIED, DOWN), DOWN),
        ((DENIED, WRONG), DENIED),
        ((GONE, DENIED), DENIED),
        ((GONE, WRONG), WRONG),
        ((GONE, DOWN), DOWN),
        ((WRONG, DOWN), DOWN),
    ],
    ids=str,
)
async def test_where_none_opens_what_offers_most_hope_is_told(
    two: Two, failures: tuple[StrongroomError, StrongroomError], told: StrongroomError
) -> None:
    wrapped = await two.roots.wrap_all(new_key(), CONTEXT)
    two.first.fails["decrypt"], two.second.fails["decrypt"] = failures
    with pytest.raises(type(told)) as raised:
        await two.roots.unwrap(wrapped, CONTEXT)
    assert raised.value is told


async def test_one_that_did_not_answer_is_asked_last(two: Two) -> None:
    wrapped = await two.roots.wrap_all(new_key(), CONTEXT)
    two.first.fails["decrypt"] = DOWN
    for _ in range(5):
        await two.roots.unwrap(wrapped, CONTEXT)
    assert two.first.operations.count("decrypt") == 1
    two.first.fails.clear()
    two.second.fails["decrypt"] = DOWN
    for _ in range(5):
        await two.roots.unwrap(wrapped, CONTEXT)
    assert two.second.operations.count("decrypt") == 6
    assert two.roots.fingerprints == (f"kms:{A}", f"kms:{FAR}")


async def test_a_key_of_strange_roots_names_theirs_and_ours(two: Two) -> None:
    wrapped = await Roots([FileRoot(bytes(32))]).wrap_all(new_key(), CONTEXT)
    with pytest.raises(Fatal) as refused:
        await two.roots.unwrap(wrapped, CONTEXT)
    for name in (*wrapped, *two.roots.fingerprints):
        assert name in refused.value.message


def test_one_root_key_twice_is_refused() -> None:
    with pytest.raises(Fatal, match="given twice"):
        Roots([FileRoot(bytes(32)), FileRoot(bytes(32))])
    with pytest.raises(ValueError, match="without a root key"):
        Roots([])


async def test_kms_hands_a_key_on_without_showing_it() -> None:
    kms, key = FakeKms(A, B), new_key()
    wrapped = await Roots([KmsRoot(kms, A)]).wrap_all(key, CONTEXT)
    for roots in (Roots([KmsRoot(kms, B)]), Roots([KmsRoot(kms, A), KmsRoot(kms, B)])):
        kms.asked.clear()
        moved = await roots.rewrap(wrapped, CONTEXT)
        assert kms.asked == [("re_encrypt", B, CONTEXT)]
        assert list(moved) == list(roots.fingerprints)
        assert await Roots([KmsRoot(kms, B)]).unwrap(moved, CONTEXT) == key


async def test_what_is_wrapped_already_stays_and_what_is_not_ours_goes(two: Two) -> None:
    wrapped = await two.roots.wrap_all(new_key(), CONTEXT)
    two.first.asked.clear()
    two.second.asked.clear()
    strange = {**wrapped, "file:00": b"another's"}
    assert await two.roots.rewrap(strange, CONTEXT) == wrapped
    assert two.first.asked == two.second.asked == []


async def test_between_regions_and_out_of_a_file_a_key_is_opened_here(two: Two, tmp_path: Path) -> None:
    file, key = FileRoot.create(tmp_path / "root.key"), new_key()
    wrapped = await Roots([file]).wrap_all(key, CONTEXT)
    three = Roots([KmsRoot(two.first, A), KmsRoot(two.second, FAR), file])
    moved = await three.rewrap(wrapped, CONTEXT)
    assert len(moved) == 3
    for root in (KmsRoot(two.first, A), KmsRoot(two.second, FAR), file):
        assert await Roots([root]).unwrap(moved, CONTEXT) == key
    far_alone = await two.roots.rewrap({f"kms:{A}": moved[f"kms:{A}"]}, CONTEXT)
    assert await Roots([KmsRoot(two.second, FAR)]).unwrap(far_alone, CONTEXT) == key
    assert "re_encrypt" not in two.first.operations + two.second.operations


async def test_where_handing_on_is_not_allowed_the_key_is_opened_here() -> None:
    kms, key = FakeKms(A, B), new_key()
    both = Roots([KmsRoot(kms, A), KmsRoot(kms, B)])
    wrapped = await Roots([KmsRoot(kms, A)]).wrap_all(key, CONTEXT)
    kms.fails["re_encrypt"] = DENIED
    assert await Roots([KmsRoot(kms, B)]).unwrap(await both.rewrap(wrapped, CONTEXT), CONTEXT) == key


@pytest.mark.parametrize("failure", [DENIED, DOWN], ids=str)
async def test_what_kept_kms_from_handing_on_is_told_where_there_is_no_other_way(
    failure: StrongroomError,
) -> None:
    kms = FakeKms(A, B)
    wrapped = await Roots([KmsRoot(kms, A)]).wrap_all(new_key(), CONTEXT)
    kms.fails["re_encrypt"] = failure
    with pytest.raises(type(failure)):
        await Roots([KmsRoot(kms, B)]).rewrap(wrapped, CONTEXT)


async def test_the_proof_tells_which_root_fails_and_why(two: Two) -> None:
    assert await two.roots.failures() == {}
    two.second.fails["decrypt"] = DENIED
    assert await two.roots.failures() == {f"kms:{FAR}": DENIED}
    two.first.fails["encrypt"] = DOWN
    assert await two.roots.failures() == {f"kms:{A}": DOWN, f"kms:{FAR}": DENIED}
    [probe] = {tuple(context.items()) for _, _, context in two.first.asked}
    assert dict(probe)["generation"] == "0"  # no workspace's key is ever wrapped so


async def test_a_root_that_opens_another_key_than_it_wrapped_is_found() -> None:
    class Forgetful(FileRoot):
        async def unwrap(self, blob: bytes, context: object) -> Secret:
            return new_key()

    [failure] = (await Roots([Forgetful(bytes(32))]).failures()).values()
    assert "another key" in failure.message
