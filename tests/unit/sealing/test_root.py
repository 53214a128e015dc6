"""The root key in a file: who may read it, what it may look like, and that it is never replaced."""

import asyncio
import base64
import os
import stat
from pathlib import Path

import pytest

from workers.errors import Fatal
from workers.sealing.keys import new_key
from workers.sealing.refusals import MalformedKey, WrongKey
from workers.sealing.root import FileRoot

CONTEXT = {"workspace": "acme", "generation": "1"}


def test_a_new_root_is_the_same_when_loaded(tmp_path: Path) -> None:
    made = FileRoot.create(tmp_path / "root.key")
    assert stat.S_IMODE((tmp_path / "root.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["root.key"]
    found = FileRoot.load(tmp_path / "root.key")
    assert found.fingerprint == made.fingerprint
    key = new_key()
    assert asyncio.run(found.unwrap(asyncio.run(made.wrap(key, CONTEXT)), CONTEXT)) == key


def test_a_root_is_made_even_under_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileRoot.create(tmp_path / "root.key")
    finally:
        os.umask(before)
    FileRoot.load(tmp_path / "root.key")


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    FileRoot.create(path)
    before = path.read_bytes()
    with pytest.raises(Fatal, match=r"root\.key exists"):
        FileRoot.create(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["root.key"]


def test_of_many_who_make_one_at_once_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "root.key"

    async def make() -> list[str | BaseException]:
        tasks = [asyncio.to_thread(lambda: FileRoot.create(path).fingerprint) for _ in range(8)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    made = [one for one in asyncio.run(make()) if isinstance(one, str)]
    assert made == [FileRoot.load(path).fingerprint]


def test_no_root_is_made_where_none_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no root key could be written"):
        FileRoot.create(tmp_path / "missing" / "root.key")


def test_the_command_of_the_remedy_makes_a_root(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")  # what `openssl rand -base64 32` prints
    path.chmod(0o600)
    FileRoot.load(path)


def test_a_missing_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"root\.key is not there.*STRONGROOM_ROOT_KEY_FILE"):
        FileRoot.load(tmp_path / "root.key")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602, 0o601, 0o777])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    FileRoot.create(path)
    path.chmod(mode)
    with pytest.raises(Fatal, match=rf"open to others \(mode {mode:04o}\).*chmod 600"):
        FileRoot.load(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    FileRoot.create(path)
    path.chmod(mode)
    FileRoot.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        bytes(32),
        b"A" * 43,
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(33)),
        b"\xff" * 44,
    ],
    ids=["empty", "a line end", "raw bytes", "cut off", "short", "long", "no text"],
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Fatal, match="does not hold 32 bytes") as refused:
        FileRoot.load(path)
    assert not content.strip() or content.strip().decode("latin-1") not in str(refused.value)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="can't be read"):
        FileRoot.load(tmp_path)


async def test_a_wrapping_opens_under_its_root_and_context_alone() -> None:
    root, key = FileRoot(bytes(32)), new_key()
    blob = await root.wrap(key, CONTEXT)
    assert blob != await root.wrap(key, CONTEXT)
    with pytest.raises(WrongKey):
        await root.unwrap(blob, {**CONTEXT, "workspace": "rival"})
    with pytest.raises(WrongKey):
        await FileRoot(b"x" * 32).unwrap(blob, CONTEXT)
    for at in range(len(blob)):
        with pytest.raises((WrongKey, MalformedKey)):
            await root.unwrap(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :], CONTEXT)
    for length in range(len(blob)):
        with pytest.raises((WrongKey, MalformedKey)):
            await root.unwrap(blob[:length], CONTEXT)


def test_a_fingerprint_tells_roots_apart_and_nothing_else() -> None:
    key = bytes(range(32))
    shown = FileRoot(key).fingerprint
    assert shown == FileRoot(key).fingerprint != FileRoot(bytes(32)).fingerprint
    assert shown.startswith("file:")
    assert len(shown) == len("file:") + 24
    assert key.hex()[:8] not in shown
