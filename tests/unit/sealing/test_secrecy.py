"""Keys and payloads are planted, everything is tried, and nothing that a log could show holds them."""

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from workers.errors import StrongroomError
from workers.intake.dispositions import Clock
from workers.sealing import keystore as keystore_module
from workers.sealing import root as root_module
from workers.sealing import roots as roots_module
from workers.sealing import unit_key as unit_key_module
from workers.sealing import unit_rows as unit_rows_module
from workers.sealing import workspaces as workspaces_module
from workers.sealing.format import parse_header
from workers.sealing.keys import Secret, Unit
from workers.sealing.keystore import Keystore
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.sealing.rows import unit_row, workspace_row
from workers.sealing.withdraw import tombstone
from workers.store.faults import Fault
from workers.store.memory import MemoryStore

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
PLAIN = b"PLANTED-PLAINTEXT-7e1f" * 4


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every key that is made, as it is made; the root's first."""
    made: list[bytes] = [b"PLANTED-ROOT-KEY-0123456789abcde"]

    def new_key() -> Secret:
        made.append(b"PLANTED-KEY-%020d" % len(made))
        return Secret(made[-1])

    for module in (
        keystore_module,
        root_module,
        roots_module,
        unit_key_module,
        unit_rows_module,
        workspaces_module,
    ):
        if hasattr(module, "new_key"):
            monkeypatch.setattr(module, "new_key", new_key)
    return made


def spellings(secret: bytes) -> Iterator[str]:
    yield secret.decode("latin-1")
    yield secret.hex()
    yield base64.b64encode(secret).decode()[:40]
    yield repr(secret)[2:-1]


def assert_silent(said: str, secrets: list[bytes]) -> None:
    for secret in [*secrets, PLAIN]:
        for spelling in spellings(secret):
            assert spelling not in said, f"shows {spelling[:24]}…"


def everything_of(thing: object, depth: int = 5) -> Iterator[str]:
    """repr and str of a thing and of what can be reached from it."""
    yield repr(thing)
    yield str(thing)
    yield f"{thing}"
    if depth:
        inside: list[object] = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
        inside += [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
        if isinstance(thing, dict):
            inside += [*thing.keys(), *thing.values()]
        elif isinstance(thing, tuple | list | set):
            inside += thing
        for one in inside:
            yield from everything_of(one, depth - 1)


async def test_nothing_shows_a_key_or_a_payload(
    planted: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    root = Roots([FileRoot(planted[0])])
    stores = [MemoryStore("first"), MemoryStore("second")]
    keystore = Keystore(stores, root, life=300)
    key = await keystore.unit_key(UNIT, create=True)
    sealed = key.seal(PLAIN, "data/one")
    header = parse_header(sealed.metadata)
    assert len(planted) == 4  # root, workspace, unit, data: the planting works

    said = [text for thing in (root, key, sealed, header, keystore) for text in everything_of(thing)]
    stored = [
        (await store.get(stat.key)).body.decode() for store in stores async for stat in store.list("keys/")
    ]
    assert len(stored) == 4
    said += stored
    said += [sealed.body.decode("latin-1"), str(sealed.metadata)]

    failures = []

    async def tried(work: Any) -> None:
        try:
            await work
        except StrongroomError as error:
            failures.append(error)

    async def opened(body: bytes, metadata: dict[str, str], name: str) -> None:
        key.open(body, metadata, name)

    await tried(opened(sealed.body[:-1], sealed.metadata, "data/one"))
    await tried(opened(sealed.body, {**sealed.metadata, "x-amz-d": sealed.metadata["x-amz-i"]}, "data/one"))
    await tried(opened(sealed.body, {**sealed.metadata, "x-amz-3": "AAAA"}, "data/one"))
    await tried(opened(sealed.body, sealed.metadata, "data/two"))
    await tried(Keystore(stores, Roots([FileRoot(bytes(32))]), life=300).unit_key(UNIT, create=True))
    stores[0].faults.add(Fault.UNAVAILABLE)
    await tried(keystore.poll())
    await tombstone(keystore.replicas, [unit_row(UNIT)], 1)
    await keystore.poll()
    await tried(opened(sealed.body, sealed.metadata, "data/one"))
    await tried(keystore.unit_key(UNIT, create=True))
    for store in stores:
        row = (await store.get(workspace_row("acme"))).body
        await store.put(workspace_row("acme"), row.replace(b'"wrapped":{"', b'"wrapped":{"x'))
    await tried(Keystore(stores, root, life=300).unit_key(UNIT._replace(source="app"), create=True))
    assert len(failures) == 9
    for failure in failures:
        rendered = traceback.TracebackException.from_exception(failure, capture_locals=True)
        said += [str(failure), repr(failure), *rendered.format()]

    assert_silent("\n".join([*said, caplog.text]), planted)


def test_the_scan_finds_what_is_planted() -> None:
    with pytest.raises(AssertionError, match="shows"):
        assert_silent(repr({"key": b"PLANTED-KEY"}), [b"PLANTED-KEY"])


def test_a_secret_shows_nothing_however_it_is_written() -> None:
    secret = Secret(b"PLANTED-KEY-of-thirty-two-bytes!")
    shown: object = secret
    for said in (repr(shown), str(shown), f"{shown}", f"{shown!r}", f"{[shown]}", "%s" % shown):  # noqa: UP031  # one of the ways
        assert "PLANTED" not in said
    assert secret == b"PLANTED-KEY-of-thirty-two-bytes!"


def test_a_key_at_work_does_not_travel(planted: list[bytes]) -> None:
    key = unit_key_module.UnitKey(
        UNIT, Secret(planted[0]), generation=1, durable=True, lease=unit_key_module.Lease(1.0)
    )
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(key)
