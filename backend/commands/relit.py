# SPDX-License-Identifier: GPL-3.0-or-later
"""`lca relit`: one performance under many lights."""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from ..errors import UserError
from . import say

EVERY = 5.0  # seconds between two lines of progress


def add(subparsers) -> None:
    p = subparsers.add_parser("relit", help="render avatars of a .blend under many lights")
    add_options(p)
    p.add_argument(
        "--blender",
        metavar="FILE",
        help="the Blender that renders, with the extension installed (without it: the bpy of this Python)",
    )
    p.set_defaults(run=lambda args: run(args, _command(args.blender)))


def add_options(p: argparse.ArgumentParser) -> None:
    """The options that `lca relit` and `blender --command lca_relit` share."""
    p.add_argument("job", type=Path, metavar="JOB.json")
    p.add_argument("--workers", type=int, metavar="N", help="processes, in place of what the job says")
    p.add_argument("--frames", metavar="1-8", help="these frames alone")
    p.add_argument("--lights", metavar="1-5", help="these lights alone, by their numbers in the job's order")
    p.add_argument("--list", action="store_true", help="print the lights with their numbers, and end")


def run(args, command: list[str]) -> None:
    """Renders; `SystemExit` 1 where pictures are missing in the end. Raises `UserError`."""
    from ..relit.job import read_job
    from ..relit.run import run_job

    job = read_job(args.job)
    if args.list:
        for number, light in enumerate(job.lights, 1):
            print(f"{number}\t{light.name}")
        return
    if args.workers is not None and not 1 <= args.workers <= 256:
        raise UserError(f"--workers {args.workers} is not valid.", "Give 1 to 256.")
    outcome = run_job(
        job, command, args.workers, _numbers("frames", args.frames), _numbers("lights", args.lights),
        Lines(), say,
    )  # fmt: skip
    made = f"{outcome.made} pictures made, {outcome.skipped} were there, {len(outcome.failed)} failed"
    print("\n".join([made, *map(str, outcome.files)]), flush=True)
    if outcome.failed:
        sys.exit(1)


class Lines:
    """Progress in lines, seldom: "12 %  58 of 480 pictures, about 8 min left"."""

    def __init__(self):
        self._said, self._began, self._first = 0.0, 0.0, 0.0

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if not message or (now - self._said < EVERY and fraction < 1):
            return
        self._said = now
        if fraction and not self._began:
            self._began, self._first = now, fraction
        left = ""
        if self._first < fraction < 1:
            left = f", {time_left((now - self._began) * (1 - fraction) / (fraction - self._first))}"
        say(f"{100 * fraction:3.0f} %  {message}{left}")


def time_left(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


def _numbers(name: str, text: str | None) -> list[int] | None:
    from ..relit.job import frames_of

    if text is None:
        return None
    numbers = frames_of(text)
    if numbers is None:
        raise UserError(f"--{name} {text!r} is not valid.", 'Write for instance "1-8,12".')
    return numbers


def _command(blender: str | None) -> list[str]:
    """What starts a worker (`relit.worker_process`)."""
    if blender:
        return [blender, "--background", "--command", "lca_relit", "--worker"]
    if importlib.util.find_spec("bpy") is None:
        raise UserError("This Python has no bpy to render with.", "Name a Blender with --blender FILE.")
    return [sys.executable, "-m", f"{__package__.rpartition('.backend')[0]}.relit"]
