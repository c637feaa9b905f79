# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread pool that shares the tickets of a kernel. Idle threads sleep; nothing spins, nothing is forked.

Kernels release the interpreter lock and take tickets from a shared counter, so a thread that is
delayed does less of the work. Which thread takes which ticket never changes a result.
"""

import os
import queue
import threading

import numpy as np

MAX_THREADS = 32
_threads: int | None = None


def set_threads(count: int | None) -> None:
    """How many threads kernels may use from now on; None is the default again."""
    global _threads
    if count is not None and count < 1:
        raise ValueError(f"The number of threads must be at least one, not {count}.")
    _threads = count


def default_threads() -> int:
    """The number that was set, else OMP_NUM_THREADS, else one for each CPU this process may use."""
    if _threads:
        return _threads
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), MAX_THREADS)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_THREADS)


class _Turn:
    """One thread's part in a shared piece of work: run by the first to claim it."""

    def __init__(self, work):
        self.work, self.error = work, None
        self.claim, self.done = threading.Lock(), threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        if not self.claim.acquire(blocking=False):
            return  # the work ended before this thread was free
        try:
            self.work()
        except BaseException as error:
            self.error = error
        finally:
            self.done.release()


class _Pool:
    def __init__(self):
        self.turns: queue.SimpleQueue[_Turn] = queue.SimpleQueue()
        self.size, self.lock = 0, threading.Lock()

    def _serve(self) -> None:
        while True:
            self.turns.get().run()

    def grow(self, size: int) -> None:
        with self.lock:
            while self.size < size:
                threading.Thread(target=self._serve, name=f"lca-kernel-{self.size}", daemon=True).start()
                self.size += 1


_pool = _Pool()


def _forget_pool() -> None:
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)  # threads do not survive a fork


def share(kernel, tickets: int, threads: int, *arguments) -> None:
    """Runs kernel(counter, *arguments) on up to `threads` threads, this one among them, until every ticket
    is done.

    counter is int64 [1], from 0; a kernel takes tickets until it draws one that is >= the number of its
    pieces. An error of any thread is raised here, after all have stopped.
    """
    counter = np.zeros(1, np.int64)
    bind = getattr(kernel, "bind", None)  # a compiled kernel turns its arguments into pointers once
    work = bind(counter, *arguments) if bind else lambda: kernel(counter, *arguments)
    helpers = min(threads, tickets) - 1
    if helpers < 1:
        work()
        return
    _pool.grow(threads - 1)
    turns = [_Turn(work) for _ in range(helpers)]
    for turn in turns:
        _pool.turns.put(turn)
    try:
        work()
    finally:
        # A helper that has not started is not needed any more; one that has must finish.
        running = [turn for turn in turns if not turn.claim.acquire(blocking=False)]
        for turn in running:
            turn.done.acquire()
    for turn in running:
        if turn.error:
            raise turn.error
