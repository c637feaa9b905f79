# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a job by worker processes on this machine: what is there is skipped, what fails is tried again."""

import os
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from ..files import disk_error, require_writable
from ..lighting.environment_file import EnvironmentFileError, load_environment
from .finish import finish
from .job import Job, JobError, Light
from .log import NAME, Log
from .pictures import is_whole
from .plan import Facts, Picture, Plan, Shot, output_folder, plan
from .worker_process import BEGUN, DONE, ENDED, FAILED, MADE, READY, REFUSED, WorkerProcess

STALE = 600.0  # seconds after which a temporary file is that of a process that has been killed
MOST_DEATHS = 3  # of workers one after the other that made no picture: something is wrong with all

Progress = Callable[[float, str], None]


@dataclass
class Outcome:
    """Pictures that were made now, were there before, and could not be made, with the reason of each."""

    made: int = 0
    skipped: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)  # films and sheet


def check_maps(lights: Iterable[Light]) -> list[str]:
    """Reads every environment map; what is odd about them, a sentence each. JobError for those that cannot
    be read."""
    faults, remarks = [], []
    for path in dict.fromkeys(light.map for light in lights if light.map):
        try:
            remarks += [f"{path.name}: {remark}" for remark in load_environment(path)[1]]
        except EnvironmentFileError as error:
            faults.append(str(error))
    if faults:
        raise JobError("\n".join(faults))
    return remarks


def run_job(
    job: Job,
    command: Sequence[str],
    workers: int | None = None,
    frames: Iterable[int] | None = None,
    lights: Iterable[int] | None = None,
    progress: Progress = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Renders what of the job is not there yet. The films and the sheet are made where all of it is rendered.

    command starts a worker (`WorkerProcess`), workers: how many, else as the job says. frames and lights
    (numbers from 1) limit it to a part. progress(fraction, message) may raise: the workers are ended, and
    finished pictures stay. Raises `UserError` before the first picture where the job cannot be rendered, and
    later where no more can be written.
    """
    folder = output_folder(job)
    make_folder(folder)
    require_writable(folder / NAME)
    for remark in check_maps(job.lights):
        say(remark)
    run = _Run(job, command, workers or job.workers, Log(folder), progress, say)
    try:
        whole = frames is None and lights is None
        outcome = run.render(lambda facts: plan(job, facts, frames, lights))
        if whole and not outcome.failed:
            outcome.files = finish(job, run.plan, lambda _, text: progress(1.0, text))
        return outcome
    finally:
        run.stop()


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it. UserError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error


class _Run:
    def __init__(self, job: Job, command: Sequence[str], workers: int, log: Log, progress: Progress, say):
        self.job, self.log, self.progress, self.say = job, log, progress, say
        self.command, self.count = [*command, str(job.file)], workers
        self.threads = max((os.cpu_count() or 1) // workers, 1)
        self.events: queue.SimpleQueue = queue.SimpleQueue()
        self.workers: list[WorkerProcess] = []
        self.todo: deque[Shot] = deque()
        self.tries: Counter[Path] = Counter()
        self.outcome, self.plan = Outcome(), None
        self.deaths, self.began, self.wanted, self.said = 0, time.monotonic(), 0, ""

    def render(self, planned: Callable[[Facts], Plan]) -> Outcome:
        self._start_worker()
        self.plan = planned(self._facts())
        self._make_folders()
        self._skip_finished()
        self.log.write("started", job=str(self.job.file), left=self.wanted, skipped=self.outcome.skipped)
        self.began = time.monotonic()
        while len(self.workers) < min(self.count, len(self.todo)):
            self._start_worker()
        self._give(self.workers[0])
        while self.todo or any(worker.shot for worker in self.workers):
            self._wait(self._heard)
        outcome = self.outcome
        self.log.write(
            "ended", made=outcome.made, skipped=outcome.skipped, failed=len(outcome.failed),
            seconds=round(time.monotonic() - self.began, 3),
        )  # fmt: skip
        return outcome

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.workers = []

    def _start_worker(self) -> None:
        self.workers.append(WorkerProcess(self.command, self.events, self.threads))

    def _wait(self, heard: Callable[[WorkerProcess, str, dict], object]) -> object:
        """What `heard` makes of the next event. Progress is reported meanwhile, which may raise."""
        while True:
            self._report()
            try:
                event = self.events.get(timeout=0.25)
            except queue.Empty:
                continue
            return heard(*event)

    def _facts(self) -> Facts:
        """Waits for the first worker. UserError where it refuses, or cannot be started."""

        def first(worker: WorkerProcess, kind: str, facts: dict) -> Facts:
            if kind == READY:
                return Facts(**facts)
            if kind == REFUSED:
                raise JobError(facts["reason"])
            raise UserError(
                "The worker process ended before it had opened the scene.", "\n".join(worker.words)
            )

        return self._wait(first)

    def _make_folders(self) -> None:
        folders = {file.parent for file in self.plan.files()}
        for folder in sorted(folders):
            make_folder(folder)
            for part in folder.glob(".*.part"):
                _remove_stale(part)

    def _skip_finished(self) -> None:
        """Leaves out what is there and whole; `todo` is the rest."""
        pictures = [picture for shot in self.plan.shots for picture in shot.pictures]
        size = self.plan.size
        with ThreadPoolExecutor(4) as pool:
            whole = pool.map(lambda one: all(is_whole(file, size) for file in one.files), pictures)
            there = dict(zip((one.files for one in pictures), whole, strict=True))
        for shot in self.plan.shots:
            left = tuple(one for one in shot.pictures if not there[one.files])
            self.wanted += len(left)
            if left:
                self.todo.append(shot._replace(pictures=left))
        self.outcome.skipped = len(pictures) - self.wanted

    def _give(self, worker: WorkerProcess) -> None:
        if self.todo:
            worker.render(self.todo.popleft())

    def _heard(self, worker: WorkerProcess, kind: str, facts: dict) -> None:
        if kind == READY and worker.shot is None:
            self._give(worker)
        elif kind == BEGUN:
            worker.begun = facts["number"]
        elif kind == MADE:
            self._made(worker.left.pop(facts["number"]), facts["seconds"])
        elif kind == FAILED:
            if facts["final"]:
                raise UserError(facts["reason"])
            self._failed(worker.shot, worker.left.pop(facts["number"]), facts["reason"])
        elif kind == DONE:
            worker.shot = None
            self._give(worker)
        elif kind in (ENDED, REFUSED):
            self._lost(worker, facts.get("reason") or "\n".join(worker.words) or "The worker process ended.")

    def _made(self, picture: Picture, seconds: float | None) -> None:
        self.deaths = 0
        if seconds is None:  # another job on this folder was quicker
            self.outcome.skipped += 1
            self.wanted -= 1
            return
        self.outcome.made += 1
        self.log.write("made", files=[str(file) for file in picture.files], seconds=seconds)

    def _failed(self, shot: Shot, picture: Picture, reason: str) -> None:
        """Puts a picture last, to be tried again, or gives it up."""
        file = picture.files[0]
        self.tries[file] += 1
        final = self.tries[file] > self.job.retries
        self.log.write("failed", file=str(file), tries=self.tries[file], final=final, reason=reason)
        if final:
            self.outcome.failed[str(file)] = reason
            self.say(f"{file} could not be rendered: {reason}")
        else:
            self.todo.append(shot._replace(pictures=(picture,)))

    def _lost(self, worker: WorkerProcess, reason: str) -> None:
        """A worker has ended: what it was at has failed, what it had before it goes to others."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        worker.stop()
        self.deaths += 1
        self.log.write("lost", reason=reason)
        if worker.shot is not None:
            if worker.begun in worker.left:
                self._failed(worker.shot, worker.left.pop(worker.begun), reason)
            if worker.left:
                self.todo.appendleft(worker.shot._replace(pictures=tuple(worker.left.values())))
        if self.deaths >= MOST_DEATHS:
            raise UserError(f"{self.deaths} worker processes ended one after the other.", reason)
        if self.todo:
            self._start_worker()

    def _report(self) -> None:
        done = self.outcome.made + len(self.outcome.failed)
        text = f"{done} of {self.wanted} pictures" if self.wanted else "Opening the scene"
        self.progress(done / max(self.wanted, 1), text if text != self.said else "")
        self.said = text


def _remove_stale(part: Path) -> None:
    """Removes a temporary file that nobody is writing."""
    try:
        if time.time() - part.stat().st_mtime > STALE:
            part.unlink()
    except OSError:
        pass  # gone, or somebody else's
