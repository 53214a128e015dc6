"""A bucket that would delete the ledger behind everybody's back is refused."""

import pytest

from workers.errors import Fatal
from workers.roles.startup import check_lifecycle
from workers.store.memory import MemoryStore


@pytest.mark.parametrize("rule", ["", "ledger/", "led", "ledger/v1/raw/", "policy/", "keys/v1/ws=acme/"])
async def test_a_rule_that_touches_what_is_kept_for_ever(rule: str) -> None:
    store = MemoryStore()
    store.lifecycle = ["data/", rule]
    with pytest.raises(Fatal, match="lifecycle rule") as refused:
        await check_lifecycle(store)
    assert "Remove the rule" in refused.value.remedy


@pytest.mark.parametrize("rules", [[], ["data/"], ["data/ws=acme/", "probe/", "other/"]])
async def test_rules_for_the_rest_are_the_owners_business(rules: list[str]) -> None:
    store = MemoryStore()
    store.lifecycle = rules
    await check_lifecycle(store)
