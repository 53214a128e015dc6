"""A role is several works side by side: it lasts until the first of them ends."""

import asyncio
from collections.abc import Awaitable, Callable


async def first_of(*works: Callable[[], Awaitable[None]]) -> None:
    """Runs all until one ends; then cancels the others and raises what that one raised."""
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
