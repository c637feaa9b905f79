# SPDX-License-Identifier: GPL-3.0-or-later
"""Many files by several processes: what is done is not redone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable
from pathlib import Path


def make_files(jobs: Iterable[tuple[str, list[int], dict]], make: Callable, workers: int, progress) -> int:
    """Runs `make(job)` -> (path, people) for every job (path, seeds, options) whose file is missing; returns
    how many people were made.
    """
    jobs = [job for job in jobs if not Path(job[0]).exists()]
    progress(f"{sum(len(seeds) for _, seeds, _ in jobs)} people to make")
    if workers <= 1:
        results = map(make, jobs)
    else:
        # Fresh processes: numba and torch hold threads that do not survive a fork.
        pool = multiprocessing.get_context("spawn").Pool(min(workers, max(len(jobs), 1)))
        results = pool.imap_unordered(make, jobs)
    made, start = 0, time.monotonic()
    try:
        for path, count in results:
            made += count
            progress(f"{Path(path).name}  {made} made, {made / (time.monotonic() - start):.2f} a second")
    finally:
        if workers > 1:
            pool.terminate()
    return made
