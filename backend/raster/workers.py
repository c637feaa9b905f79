# SPDX-License-Identifier: GPL-3.0-or-later
"""A few threads that share out a kernel's work. Idle threads sleep; nothing spins, nothing is forked.

Kernels release the interpreter lock and take tickets from a shared counter (`lanes.take_ticket`), so a
thread that is held up elsewhere costs nothing but its own share. Which thread did which ticket never changes
a result.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


MAX_THREADS = 32
_threads: int | None = None


def set_threads(count: int | None) -> None:
    """How many threads kernels may use from now on; None is the default again."""
    global _threads
    if count is not None and count < 1:
        raise ValueError(f"The number of threads must be at least one, not {count}.")
    _threads = count


def default_threads() -> int:
    """What was set, else OMP_NUM_THREADS, else one for each processor this process may use."""
    if _threads:
        return _threads
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isdecimal() and int(wish) > 0:
        return min(int(wish), MAX_THREADS)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_THREADS)


def _forget_pool() -> None:
    global _pool, _pool_size, _lock
    _pool, _pool_size, _lock = None, 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork


def _executor(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            _pool, _pool_size = ThreadPoolExecutor(size, thread_name_prefix="lca-raster"), size
        return _pool


def share(kernel, tickets: int, threads: int, *arguments) -> None:
    """Runs kernel(counter, *arguments) on up to `threads` threads, this one among them, until every ticket
    is done.

    counter is int64 [1], from 0; a kernel takes tickets until it draws one that is >= the number of its
    pieces. An error of any thread is raised here, after all have stopped.
    """
    counter = np.zeros(1, np.int64)
    helpers = min(threads, tickets) - 1
    if helpers < 1:
        kernel(counter, *arguments)
        return
    pool = _executor(threads - 1)
    futures = [pool.submit(kernel, counter, *arguments) for _ in range(helpers)]
    try:
        kernel(counter, *arguments)
    finally:
        # A helper that never started is not needed any more; one that did still holds a piece.
        running = [future for future in futures if not future.cancel()]
        for future in running:
            future.exception()
    for future in running:
        future.result()
