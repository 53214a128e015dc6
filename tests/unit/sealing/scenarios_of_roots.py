"""Attempts with root keys that must be refused: files that are none, services that lie, are down, or deny."""

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.contract.roots.fake_kms import FakeKms, arn
from tests.unit.sealing.cases import refused
from workers.sealing.keys import Secret, new_key
from workers.sealing.kms import KmsRoot, Wrapped
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots, root_context
from workers.store.port import Denied, Unavailable

CONTEXT = root_context("acme", 1)
A, B = arn("a"), arn("b")
LINE = base64.b64encode(bytes(32)) + b"\n"


@contextmanager
def file(content: bytes = LINE, mode: int = 0o600) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "root.key"
        path.write_bytes(content)
        path.chmod(mode)
        yield path


@refused("root's file: missing", "Fatal")
async def missing() -> None:
    with file() as path:
        FileRoot.load(path.with_name("other"))


@refused("root's file: a folder", "Fatal")
async def folder() -> None:
    with file() as path:
        FileRoot.load(path.parent)


@refused("root's file: a pipe", "Fatal")
async def pipe() -> None:
    with file() as path:
        fifo = path.with_name("pipe")
        os.mkfifo(fifo, 0o600)
        both_ends = os.open(fifo, os.O_RDWR)
        try:
            os.write(both_ends, LINE.ljust(1024, b"\n"))
            FileRoot.load(fifo)
        finally:
            os.close(both_ends)


@refused("root's file: readable by its group", "Fatal")
async def open_to_others() -> None:
    with file(mode=0o640) as path:
        FileRoot.load(path)


@refused("root's file: of 16 bytes", "Fatal")
async def short() -> None:
    with file(base64.b64encode(bytes(16))) as path:
        FileRoot.load(path)


@refused("root's file: made where there is one", "Fatal")
async def made_twice() -> None:
    with file() as path:
        FileRoot.create(path)


@refused("root's file: made in no folder", "Fatal")
async def made_nowhere() -> None:
    with file() as path:
        FileRoot.create(path.with_name("none") / "root.key")


@refused("root in a file: a wrapping flipped", "WrongKey")
async def flipped() -> None:
    root = FileRoot(bytes(32))
    blob = await root.wrap(new_key(), CONTEXT)
    await root.unwrap(blob[:-1] + bytes([blob[-1] ^ 1]), CONTEXT)


@refused("root in a file: a wrapping of another kind", "MalformedKey")
async def of_kms() -> None:
    await FileRoot(bytes(32)).unwrap(await KmsRoot(FakeKms(A), A).wrap(new_key(), CONTEXT), CONTEXT)


@refused("root in KMS: an alias that stands for no key", "Fatal")
async def no_key() -> None:
    await KmsRoot.named(FakeKms(A, aliases={"alias/a": "alias/b"}), "alias/a")


def lying(about: str, says: str) -> FakeKms:
    kms = FakeKms(A, B)
    kms.answers_as[about] = says
    return kms


@refused("root in KMS: wrapped by another key", "Fatal")
async def wrapped_by_another() -> None:
    await KmsRoot(lying(A, B), A).wrap(new_key(), CONTEXT)


@refused("root in KMS: opened by another key", "Fatal")
async def opened_by_another() -> None:
    kms = FakeKms(A, B)
    blob = await KmsRoot(kms, A).wrap(new_key(), CONTEXT)
    kms.answers_as[A] = B
    await KmsRoot(kms, A).unwrap(blob, CONTEXT)


async def handed_on(about: str, says: str) -> None:
    kms = FakeKms(A, B)
    blob = await KmsRoot(kms, A).wrap(new_key(), CONTEXT)
    kms.answers_as[about] = says
    await KmsRoot(kms, B).take_over({f"kms:{A}": blob}, CONTEXT)


@refused("root in KMS: handed on from another key", "Fatal")
async def handed_on_from_another() -> None:
    await handed_on(A, arn("c"))


@refused("root in KMS: handed on to another key", "Fatal")
async def handed_on_to_another() -> None:
    await handed_on(B, arn("c"))


class Wordless(FakeKms):
    async def encrypt(self, key: str, plain: Secret, context: Mapping[str, str]) -> Wrapped:
        return Wrapped(b"", key)


@refused("root in KMS: wrapped as nothing", "Fatal")
async def wrapped_as_nothing() -> None:
    await KmsRoot(Wordless(A), A).wrap(new_key(), CONTEXT)


@refused("root in KMS: a wrapping longer than KMS takes", "MalformedKey")
async def too_long() -> None:
    await KmsRoot(FakeKms(A), A).unwrap(bytes(6145), CONTEXT)


@refused("root in KMS: a wrapping for another workspace", "WrongKey")
async def another_workspace() -> None:
    root = KmsRoot(FakeKms(A), A)
    await root.unwrap(await root.wrap(new_key(), CONTEXT), root_context("rival", 1))


@refused("roots: none", "ValueError")
async def none() -> None:
    Roots([])


@refused("roots: one twice", "Fatal")
async def twice() -> None:
    Roots([FileRoot(bytes(32)), FileRoot(bytes(32))])


def two(**fails: Exception) -> Roots:
    """Root keys in two services, which fail at `first` and `second`."""
    kms = {"first": FakeKms(A), "second": FakeKms(B)}
    for name, failure in fails.items():
        kms[name].fails |= {"encrypt": failure, "decrypt": failure}  # type: ignore[dict-item]  # or a fault of ours
    return Roots([KmsRoot(kms["first"], A), KmsRoot(kms["second"], B)])


@refused("roots: one of two is down, to wrap", "Unavailable")
async def one_down() -> None:
    await two(second=Unavailable("down")).wrap_all(new_key(), CONTEXT)


@refused("roots: a fault of ours in one of two, to wrap", "ZeroDivisionError")
async def a_fault_of_ours() -> None:
    await two(first=ZeroDivisionError()).wrap_all(new_key(), CONTEXT)


@refused("roots: both down, to open", "Unavailable")
async def both_down() -> None:
    failure = Unavailable("down")
    await two(first=failure, second=failure).unwrap({f"kms:{A}": b"blob", f"kms:{B}": b"blob"}, CONTEXT)


@refused("rewrapping: KMS may not hand the key on, and nobody opens it", "Denied")
async def not_handed_on() -> None:
    kms = FakeKms(A, B)
    wrapped = await Roots([KmsRoot(kms, A)]).wrap_all(new_key(), CONTEXT)
    kms.fails["re_encrypt"] = Denied("denied")
    await Roots([KmsRoot(kms, B)]).rewrap(wrapped, CONTEXT)
