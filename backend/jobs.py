# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on one worker thread: progress, cancelling, errors.

    job = jobs.start(lambda progress, cancelled: create(photos, progress, cancelled))
    ...
    if job.ended:  # on the main thread, from a timer
        show(job.result)

A target is called as `target(progress, cancelled)`. `progress(fraction, message)` reports and, once the job
was cancelled, raises `Cancelled`: a target that reports often needs no other check. `cancelled()` is
True from the moment of cancelling, for targets that report seldom.
"""

import atexit
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from .errors import UserError, memory_error, out_of_memory

log = logging.getLogger(__name__)

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
ENDED = (DONE, FAILED, CANCELLED)

Target = Callable[[Callable[..., None], Callable[[], bool]], Any]


class Cancelled(Exception):
    """Raised inside a target that reports progress after it was cancelled."""


class Job:
    """A task and its state.

    Fields: `state` (waiting, running, done, failed, cancelled), `fraction` in 0..1 (never decreases),
    `message`, `result` when done, `error` (a `UserError`) when failed.
    """

    def __init__(self, target: Target, name: str = "Working"):
        self.name = name
        self.state = WAITING
        self.fraction = 0.0
        self.message = ""
        self.result: Any = None
        self.error: UserError | None = None
        self._target = target
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._began = time.monotonic()

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def cancel(self) -> None:
        """Ends the job now. The target stops at its next report; its result is discarded."""
        self._cancel.set()
        self._end(CANCELLED, message="Cancelled")

    def remaining(self) -> float | None:
        """Estimated seconds left, by the fraction done; None while that is too small."""
        if self.state != RUNNING or self.fraction < 0.02:
            return None
        return (time.monotonic() - self._began) * (1.0 - self.fraction) / self.fraction

    def run(self) -> None:
        """Runs the target in the calling thread. Never raises: see `state`, `result` and `error`."""
        with self._lock:
            if self.state != WAITING:
                return
            self.state = RUNNING
            self._began = time.monotonic()
        try:
            result = self._target(self._progress, self._cancel.is_set)
        except Cancelled:
            self._end(CANCELLED, message="Cancelled")
        except UserError as error:
            self._end(FAILED, error=error, message=error.message)
        except BaseException as fault:
            if out_of_memory(fault):
                error = memory_error(self.name)
            else:
                log.exception("%s failed", self.name)
                error = UserError(
                    f"{self.name} failed unexpectedly ({type(fault).__name__}: {_first_line(fault)}).",
                    "The system console has the details.",
                )
            self._end(FAILED, error=error, message=error.message)
        else:
            self._end(CANCELLED if self._cancel.is_set() else DONE, result=result)

    def _progress(self, fraction: float, message: str = "") -> None:
        if self._cancel.is_set():
            raise Cancelled
        self.fraction = max(self.fraction, min(max(float(fraction), 0.0), 1.0))
        if message:
            self.message = message

    def _end(self, state: str, result=None, error: UserError | None = None, message: str = "") -> None:
        with self._lock:
            if self.state in ENDED:
                return
            self.result, self.error = result, error
            if state == DONE:
                self.fraction = 1.0
            self.message = message or self.message
            self.state = state
        self._target = None  # releases photos and models that the closure holds


def _first_line(fault: BaseException) -> str:
    lines = str(fault).strip().splitlines()
    return lines[0][:200] if lines else "no message"


class _Worker:
    """One thread that runs jobs in the order in which they were started. It begins with the first job."""

    def __init__(self):
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._unfinished: list[Job] = []

    def put(self, job: Job) -> None:
        with self._lock:
            self._unfinished = [other for other in self._unfinished if not other.ended] + [job]
            self._jobs.put(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name="lca-jobs", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # not kept alive until the next one

    def first(self) -> Job | None:
        with self._lock:
            return next((job for job in self._unfinished if not job.ended), None)

    def stop(self, timeout: float) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            for job in self._unfinished:
                job.cancel()
            self._unfinished = []
            if thread is not None:
                self._jobs.put(None)
        if thread is not None:
            thread.join(timeout)


_worker = _Worker()


def start(target: Target, name: str = "Working") -> Job:
    """Queues `target` for the worker thread."""
    job = Job(target, name)
    _worker.put(job)
    return job


def current() -> Job | None:
    """The job that runs, or waits to run; None when all have ended."""
    return _worker.first()


def run_sync(target: Target, name: str = "Working", on_progress: Callable[..., None] | None = None) -> Any:
    """Runs `target` in the calling thread and returns its result; errors are raised unchanged, but a lack of
    memory is a UserError.

    `on_progress(fraction, message)` receives the reports, with fractions that never decrease.
    """
    highest = 0.0

    def progress(fraction: float, message: str = "") -> None:
        nonlocal highest
        highest = max(highest, min(max(float(fraction), 0.0), 1.0))
        if on_progress is not None:
            on_progress(highest, message)

    log.debug("%s begins", name)
    try:
        return target(progress, lambda: False)
    except (MemoryError, RuntimeError, OSError) as fault:
        if out_of_memory(fault):
            raise memory_error(name) from fault
        raise


def shutdown(timeout: float = 2.0) -> None:
    """Cancels every job and waits up to `timeout` seconds for the worker; `start` begins a new one."""
    _worker.stop(timeout)


atexit.register(shutdown)
