"""The loop keeps asyncio's promises within a process, and makes none between processes."""

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.simulation.loop import Loop, Process, Stuck
from tests.simulation.network import Lost, Network


def loop_of(seed: int) -> Loop:
    return Loop(random.Random(seed), until=1e6, max_steps=10_000)


def said_by(loop: Loop, *writers: Process) -> list[str]:
    """What two callbacks of each process, scheduled in turn, say."""
    said: list[str] = []
    for line in ("1", "2"):
        for writer in writers:
            loop.call_soon(said.append, f"{writer}{line}", context=writer.context)
    loop.run_until_complete(loop.spawn(loop.harness, asyncio.sleep(1)))
    return said


def test_a_process_keeps_its_order_and_the_seed_picks_among_processes() -> None:
    seen = set()
    for seed in range(50):
        loop = loop_of(seed)
        said = said_by(loop, loop.process("a"), loop.process("b"))
        assert said.index("a1") < said.index("a2")
        assert said.index("b1") < said.index("b2")
        seen.add(tuple(said))
        loop.close()
    assert len(seen) == 6


def test_a_killed_process_does_nothing_more_and_a_paused_one_does_it_later() -> None:
    loop = loop_of(0)
    killed, paused = loop.process("killed"), loop.process("paused")
    done: list[str] = []
    for process in (killed, paused):
        loop.call_later(1, done.append, process.name, context=process.context)
    loop.kill(killed)
    paused.paused = True

    async def story() -> None:
        await asyncio.sleep(2000)
        assert not done
        paused.paused = False
        await asyncio.sleep(0)
        await asyncio.sleep(1)

    loop.run_until_complete(loop.spawn(loop.harness, story()))
    assert done == ["paused"]
    loop.close()


@pytest.mark.parametrize(
    "wait", [lambda: asyncio.get_running_loop().create_future(), lambda: asyncio.sleep(1e7)]
)
def test_a_schedule_that_does_not_end_is_told(wait: Callable[[], asyncio.Future[None]]) -> None:
    loop = loop_of(0)

    async def endless() -> None:
        await wait()

    with pytest.raises(Stuck):
        loop.run_until_complete(loop.spawn(loop.harness, endless()))
    loop.close()


def test_what_was_sent_arrives_though_its_sender_is_paused_and_not_through_a_cut() -> None:
    loop = loop_of(0)
    network = Network(loop, random.Random(0))
    network.late = 0.0
    server, writer, other = (loop.process(name) for name in ("server", "writer#1", "other#1"))
    served: list[str] = []

    async def ask(what: str) -> None:
        await network.ask(server, lambda: served.append(what), timeout=3.0)

    async def story() -> None:
        loop.spawn(writer, ask("from a paused one"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writer.paused = True
        await asyncio.sleep(5)
        assert served == ["from a paused one"]
        heal = network.cut("other", "server")
        with pytest.raises(Lost):
            await loop.spawn(other, ask("cut"))
        heal()
        await loop.spawn(other, ask("healed"))

    loop.run_until_complete(loop.spawn(loop.harness, story()))
    assert served == ["from a paused one", "healed"]
    loop.close()
