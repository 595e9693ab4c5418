"""One network on all cores: every core takes pieces of work of its own instead of a share of each.

Nobody waits for the slowest at the end of every layer, reading beside it costs what it costs and no more, and what is
computed does not depend on how many cores there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def lanes_on(device: torch.device | str) -> int:
    """How many pieces of work are computed at once: one for each core that torch may use, one on a GPU."""
    return torch.get_num_threads() if torch.device(device).type == "cpu" else 1


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items in lists of `size`, the last with what is left."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some


def in_lanes(
    count: int, work: Callable[[Item], Made], items: Iterable[Item]
) -> Generator[tuple[Item, Made], None, None]:
    """Items with what `work` makes of them in `count` threads of one core each, in their order; with one, in this one.

    Close it (`contextlib.closing`) where it may not be gone through to its end. torch keeps the number of threads for
    each thread, and one for those to come: what begins beside this works with one core, and the number is back at the
    end.
    """
    if count == 1:
        yield from ((item, work(item)) for item in items)
        return
    waiting: deque[tuple[Item, Future[Made]]] = deque()
    pool = ThreadPoolExecutor(count, "workbench-lane", initializer=torch.set_num_threads, initargs=(1,))
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > count:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:  # who stops in the middle waits for what is being computed alone
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(count)
