"""`strongroom verify`: what it exits with, what it prints, and that a stop keeps what was proven."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.ledger.audited import ENTRIES, ROOTS, Archive, archived
from tests.unit.ledger.planted_entries import count_off_by_one
from tests.unit.ledger.signing import checkpointed, newest
from workers import opening
from workers.__main__ import run
from workers.cli.verify import TERMINATED
from workers.retention import names
from workers.sealing.keystore import Keystore
from workers.store.memory import MemoryStore


def opens(value: Callable[[], Any]) -> Any:
    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Any]:
        yield value()

    return opened


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Archive:
    store = MemoryStore()
    made = asyncio.run(archived(store))
    monkeypatch.setattr(opening, "open_ledger", opens(lambda: store))
    monkeypatch.setattr(opening, "open_all_data", opens(lambda: [store]))
    monkeypatch.setattr(opening, "open_keystore", opens(lambda: Keystore([store], ROOTS, life=3600)))
    monkeypatch.setattr(opening, "open_key_rows", opens(lambda: Keystore([store], ROOTS, life=3600).replicas))
    monkeypatch.setattr(opening, "open_roots", opens(lambda: ROOTS))
    return made


def test_a_clean_archive_exits_with_0(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["clean"], printed["deep"], printed["findings"]) == (True, False, [])
    assert (printed["entries"], printed["objects"], printed["opened"]) == (ENTRIES, 3 * ENTRIES, 0)
    assert run(["verify", "--json", "--deep", "--parallel", "1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["deep"], printed["opened"], printed["lines"]) == (True, 3 * ENTRIES, 7 * ENTRIES)
    assert run(["verify"]) == 0
    assert "verdict\tclean" in capsys.readouterr().out


def test_findings_exit_with_1(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(count_off_by_one(archive))
    assert run(["verify", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["clean"], printed["kinds"]) == (False, {"miscount": 1})
    assert printed["findings"][0]["where"] == archive.key(1)
    assert run(["verify"]) == 1
    assert f"miscount\t{archive.key(1)}\t" in capsys.readouterr().out


def test_a_stop_keeps_what_was_proven(
    archive: Archive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state, get = tmp_path / "audit.json", archive.store.get

    newest = f"-{archive.heads[-2].next:020d}-"  # in the names of its objects

    async def stopped_at_the_last(key: str, **span: Any) -> Any:
        if newest in key:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(3600)
        return await get(key, **span)

    monkeypatch.setattr(archive.store, "get", stopped_at_the_last)
    command = ["verify", "--json", "--parallel", "1", "--state", str(state)]
    with pytest.raises(SystemExit) as stopped:
        run(command)
    assert stopped.value.code == TERMINATED
    assert f"goes on from where {state} says" in capsys.readouterr().err
    assert json.loads(state.read_bytes())["ledger"] is not None
    monkeypatch.setattr(archive.store, "get", get)
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["objects"] == 3 * ENTRIES
    assert not state.exists()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The public key of tests' checkpoints, as its owner gives it to an auditor."""
    public = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32).public_key()  # that of signing.SIGNER
    path = tmp_path / "trusted.pem"
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    monkeypatch.setenv("STRONGROOM_CHECKPOINT_TRUST_FILE", str(path))
    return path


def test_a_cut_chain_exits_with_1_by_a_kept_checkpoint(
    archive: Archive, trusted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(checkpointed(archive.store))
    assert run(["verify", "--json", "--from-checkpoint"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["checkpoints"], printed["vouched_entries"], printed["entries"]) == (1, ENTRIES, 0)
    assert run(["verify", "--from-checkpoint"]) == 0
    assert f"entries before, vouched for\t{ENTRIES}" in capsys.readouterr().out
    kept = tmp_path / "kept.ndjson"
    kept.write_bytes(asyncio.run(newest(archive.store, archive.chain)).body)
    asyncio.run(_cut(archive))
    assert run(["verify", "--json"]) == 0
    capsys.readouterr()
    assert run(["verify", "--json", "--checkpoints", str(kept)]) == 1
    assert json.loads(capsys.readouterr().out)["kinds"] == {"cut_tail": 1}


def test_from_a_checkpoint_on_the_index_is_left_out_and_the_report_says_so(
    archive: Archive, trusted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(checkpointed(archive.store))
    assert run(["verify", "--json", "--from-checkpoint"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []  # there is no copy
    asyncio.run(archive.store.put(names.INDEX, b"no index"))
    assert run(["verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kinds"] == {"wrong_index": 1}
    assert run(["verify", "--json", "--from-checkpoint"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert [(note["kind"], note["where"]) for note in notes] == [("left_out", names.INDEX)]


async def _cut(archive: Archive) -> None:
    objects = (await archive.entry(-1)).objects
    checkpoints = [stat.key async for stat in archive.store.list("checkpoints/")]
    await archive.store.delete([*(each.key for each in objects), archive.key(-1), *checkpoints])


@pytest.mark.parametrize("asks", [["--from-checkpoint"], ["--checkpoints", __file__]])
def test_without_public_keys_no_checkpoint_can_be_asked_for(
    archive: Archive, asks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", *asks]) == 2
    assert "STRONGROOM_CHECKPOINT_TRUST_FILE is not set" in capsys.readouterr().err
