"""Finds every check of the sealing code, and takes one of them out of the running program.

The list is read off the source, so none can be forgotten. A check is
- a condition before a `raise`, and of conditions joined by `or` each one: it becomes False;
- an `except` that raises: it lets pass what it caught;
- a `raise` that nothing stands before: it is left out;
- a call whose result nobody takes, of a function that does one of these: it is left out.
What protects a key or an object and has none of these shapes, as a conditional PUT, is in edits.py.
"""

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

PLACES = (
    *("format", "keys", "unit_key", "workspaces", "keystore", "unit_rows", "replicas", "rows"),
    *("tombstones", "numbered_log", "withdraw", "readers", "reader_rows", "root", "roots", "kms"),
    *("rotate", "rotate_root", "old_versions", "key_events"),
)
Functions = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.FunctionDef, ast.AsyncFunctionDef)


class Check(NamedTuple):
    """`function`: its place and qualified name; `what`: the check's own source."""

    function: str
    what: str

    def __str__(self) -> str:
        return f"{self.function}: {self.what}"


class Edit(NamedTuple):
    """Text that stands once in `function`, and what takes its place."""

    function: str
    old: str
    new: str


def found() -> list[Check]:
    """Every check, in the order of the source. Two of one function that read the same are one."""
    checks = [check for place in PLACES for check, _ in _checks(place)]
    return list(dict.fromkeys(checks))


@contextmanager
def without(check: Check) -> Iterator[None]:
    """The program without this check, everywhere, at once."""
    place = check.function.partition(".")[0]
    tree = _tree(place)
    for one, disable in _checks(place, tree):
        if one == check:
            disable()
    with _running(check.function, tree):
        yield


@contextmanager
def edited(edit: Edit) -> Iterator[None]:
    """The program with this edit."""
    place, _, qualname = edit.function.partition(".")
    source, tree = _source(place), _tree(place)
    whole = ast.get_source_segment(source, dict(_functions(tree.body, ""))[qualname])
    assert whole is not None
    assert whole.count(edit.old) == 1, f"{edit.old!r} stands {whole.count(edit.old)} times in {edit.function}"
    with _running(edit.function, ast.parse(source.replace(whole, whole.replace(edit.old, edit.new)))):
        yield


@contextmanager
def _running(function: str, tree: ast.Module) -> Iterator[None]:
    """Gives the live function the code that it has in `tree`: whoever has imported it runs that too."""
    place, _, qualname = function.partition(".")
    module = _module(place)
    live = _live(module, qualname)
    compiled = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec", dont_inherit=True)
    before, live.__code__ = live.__code__, _code(compiled, qualname)
    assert before.co_code != live.__code__.co_code or before.co_consts != live.__code__.co_consts
    try:
        yield
    finally:
        live.__code__ = before


def _module(place: str) -> ModuleType:
    return importlib.import_module(f"workers.sealing.{place}")


def _source(place: str) -> str:
    return inspect.getsource(_module(place))


def _tree(place: str) -> ast.Module:
    return ast.parse(_source(place))


def _live(module: ModuleType, qualname: str) -> FunctionType:
    thing: object = module
    for name in qualname.split("."):
        thing = vars(thing)[name]
    thing = thing.fget if isinstance(thing, property) else thing
    thing = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
    assert isinstance(thing, FunctionType)
    return thing


def _code(within: CodeType, qualname: str) -> CodeType:
    codes = [within]
    for code in codes:
        if code.co_qualname == qualname:
            return code
        codes += [const for const in code.co_consts if isinstance(const, CodeType)]
    raise AssertionError(f"no {qualname}")


def _checks(place: str, tree: ast.Module | None = None) -> Iterator[tuple[Check, Callable[[], None]]]:
    """Each check, and what disables it in `tree`."""
    tree = tree or _tree(place)
    for qualname, function in _functions(tree.body, ""):
        for what, disable in _within(function.body, checking_functions()):
            yield Check(f"{place}.{qualname}", what), disable


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Functions]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, Functions):
            yield f"{prefix}{node.name}", node


def _within(
    body: list[ast.stmt], checking: frozenset[str], *, guarded: bool = False
) -> Iterator[tuple[str, Callable[[], None]]]:
    for at, node in enumerate(body):
        if isinstance(node, ast.Raise) and not guarded:
            yield ast.unparse(node).partition("(")[0], lambda at=at: _leave_out(body, at)  # type: ignore[misc]  # bound early
        elif isinstance(node, ast.Expr) and _called(node.value) in checking:
            yield ast.unparse(node), lambda at=at: _leave_out(body, at)  # type: ignore[misc]  # bound early
        elif isinstance(node, ast.If):
            if any(isinstance(inner, ast.Raise) for inner in node.body):
                yield from _conditions(node)
            yield from _within(node.body, checking, guarded=True)
            yield from _within(node.orelse, checking, guarded=guarded)
        elif isinstance(node, ast.Try):
            yield from _within(node.body, checking)
            for handler in node.handlers:
                if isinstance(handler.body[-1], ast.Raise):
                    yield f"except {ast.unparse(handler.type or node)}", lambda h=handler: _let_pass(h)  # type: ignore[misc]  # bound early
                yield from _within(handler.body, checking, guarded=True)
        elif isinstance(node, BLOCKS):
            yield from _within(node.body, checking)


def _conditions(node: ast.If) -> Iterator[tuple[str, Callable[[], None]]]:
    test = node.test
    if not (isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or)):
        yield ast.unparse(test), lambda: setattr(node, "test", ast.Constant(False))
        return
    for at, operand in enumerate(test.values):
        yield ast.unparse(operand), lambda at=at: test.values.__setitem__(at, ast.Constant(False))  # type: ignore[misc]  # bound early


def _leave_out(body: list[ast.stmt], at: int) -> None:
    body[at] = ast.copy_location(ast.Pass(), body[at])


def _let_pass(handler: ast.ExceptHandler) -> None:
    handler.body[:] = [ast.copy_location(ast.Raise(), handler)]


def _called(node: ast.expr) -> str | None:
    node = node.value if isinstance(node, ast.Await) else node
    if not isinstance(node, ast.Call):
        return None
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)


@cache
def checking_functions() -> frozenset[str]:
    """Names of functions that raise, or call one that does for nothing else."""
    names = {"checked_id"}
    while True:
        more = {
            function.name
            for place in PLACES
            for _, function in _functions(_tree(place).body, "")
            if any(_within(function.body, frozenset(names)))
        }
        if more <= names:
            return frozenset(names)
        names |= more
