# SPDX-License-Identifier: GPL-3.0-or-later
"""Timing: medians of interleaved runs, and what the machine is."""

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from ... import workers


def milliseconds(work) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def medians(ours, peer, repeats: int = 31, peer_repeats: int | None = None) -> tuple[float, float]:
    """Median milliseconds of two pieces of work that take turns, each once before; of a slow peer fewer
    runs, spread over ours."""
    peer_repeats = peer_repeats or repeats
    ours()
    peer()
    mine, theirs = [], []
    for turn in range(repeats):
        if turn * peer_repeats // repeats == len(theirs):
            theirs.append(milliseconds(peer))
            ours()  # the peer has emptied the caches
        mine.append(milliseconds(ours))
    return statistics.median(mine), statistics.median(theirs)


def case(
    name: str,
    gaussians: int,
    size: tuple[int, int] | None,
    ours: float,
    peer: str | None = None,
    theirs: float | None = None,
    **more,
) -> dict:
    """A line of the result: milliseconds of ours and of the peer; ratio: how many times ours is faster."""
    return {
        "case": name,
        "gaussians": gaussians,
        "size": f"{size[0]}x{size[1]}" if size else None,
        "ours_ms": round(ours, 3),
        "peer": peer,
        "peer_ms": None if theirs is None else round(theirs, 3),
        "ratio": None if theirs is None else round(theirs / ours, 3),
        **more,
    }


def set_threads(count: int | None) -> int:
    """For our kernels and for torch's; returns how many."""
    count = count or workers.default_threads()
    workers.set_threads(count)
    torch.set_num_threads(count)
    return count


def calibration_gflops() -> float:
    """The best of a float32 matrix product of torch, [1024,1024] x [1024,1024]: what times are compared
    against on another machine."""
    a, b = torch.rand(2, 1024, 1024)
    out = torch.empty(1024, 1024)
    best = min(milliseconds(lambda: torch.mm(a, b, out=out)) for _ in range(20))
    return round(2 * 1024**3 / best / 1e6, 1)


def machine() -> str:
    """The processor's name and the system's."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        return f"{name}, {platform.system()}"
    return f"{platform.processor() or platform.machine()}, {platform.system()}"


@contextlib.contextmanager
def busy_processes(count: int):
    """Other programs that want the processors too."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def in_fresh_process(function: str, *arguments) -> dict:
    """What `module:function` of this package returns in a process of its own: for memory and for first
    times."""
    module, name = function.split(":")
    code = f"import json; from {__package__}.{module} import {name}; print(json.dumps({name}{arguments!r}))"
    environment = {**os.environ, "OMP_NUM_THREADS": str(workers.default_threads())}
    command = [sys.executable, "-c", code]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(made.stdout.splitlines()[-1])


def peak_mb() -> float:
    """The most memory that this process has held so far, megabytes. NotImplementedError on Windows."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    if sys.platform != "darwin":
        raise NotImplementedError("Peak memory is measured on Linux and macOS.")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
