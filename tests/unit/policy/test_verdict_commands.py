"""What may be said of a host, and how a person may write one."""

import pytest

from tests.contract.policy.world import Topics, by, writer
from topics.origin_verdicts import VerdictKind
from workers.errors import Fatal, Poison
from workers.ledger.verdict_commands import Judged, append_verdict, checked_host, confirm_verdicts
from workers.store.memory import MemoryStore


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("copy.example", "copy.example"),
        ("Copy.Example.", "copy.example"),
        ("https://user@copy.example:8443/a?b#c", "copy.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ],
)
def test_a_host_is_read_as_witnesses_give_it(text: str, host: str) -> None:
    assert checked_host(text) == host


@pytest.mark.parametrize("text", ["", "two words", "*.copy.example", "file:///etc", "https://", "a%62"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(Poison, match="can't be read"):
        checked_host(text)


@pytest.mark.parametrize("kind", [VerdictKind.BENIGN, VerdictKind.HOSTILE])
async def test_the_judge_can_not_speak_for_the_customer(kind: VerdictKind) -> None:
    book = writer(MemoryStore(), Topics()).verdicts
    with pytest.raises(Fatal, match=f"can't say {kind}"):
        await append_verdict(book, Judged("k1", "acme", "copy.example", kind, {}), by())


async def test_the_customers_word_needs_a_reason() -> None:
    book = writer(MemoryStore(), Topics()).verdicts
    with pytest.raises(Poison, match="needs a reason"):
        await confirm_verdicts(book, "acme", ["k1"], "copy.example", VerdictKind.HOSTILE, by(" "))
