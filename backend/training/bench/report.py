# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of `lca bench`, their result and its table."""

import runpy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...errors import UserError
from .timing import calibration_gflops, machine, set_threads

GROUPS = ("raster", "drive", "backward", "create", "blender")
COLUMNS = {"case": 27, "gaussians": 9, "size": 9, "ours_ms": 9, "peer_ms": 9, "ratio": 8, "peer": 0}


def run(groups: Sequence[str], threads: int | None, say: Callable[[str], None]) -> dict:
    """{machine, threads, calibration_gflops, cases} of the groups, one at a time in this process. UserError
    where a peer is not installed."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise UserError(f"There is no group {unknown[0]} to time.", f"Choose from {', '.join(GROUPS)}.")
    head = {
        "machine": machine(),
        "threads": set_threads(threads),
        "calibration_gflops": calibration_gflops(),
    }
    cases = []
    for group in groups:
        for case in _cases(group):
            say(f"{case['case']}, {case['gaussians']} Gaussians, {case['size'] or 'no picture'}")
            cases.append(case)
    return {**head, "cases": cases}


def _cases(group: str) -> Iterator[dict]:
    if group == "raster":
        from .raster import forward as cases
    elif group == "backward":
        from .raster import backward as cases
    elif group == "drive":
        from .drive import cases
    elif group == "create":
        from .create import cases
    else:
        cases = _blender_cases()
    return cases()


def _blender_cases():
    """benchmarks/blender.py of a source checkout; it needs bpy, which this package never imports."""
    script = Path(__file__).parents[3] / "benchmarks" / "blender.py"
    if not script.is_file():
        raise UserError("The Blender cases need a source checkout.", "Run `lca bench blender` in one.")
    try:
        return runpy.run_path(str(script))["cases"]
    except ImportError as error:
        raise UserError(f"The Blender cases need bpy: {error}.", "pip install bpy") from error


def row(case: dict) -> str:
    """One line of the table; what a case has beyond its columns is at the end."""
    cells = []
    for name, width in COLUMNS.items():
        value = case[name]
        text = "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
        cells.append(text.ljust(width) if name in ("case", "peer") else text.rjust(width))
    more = [f"{name} {value}" for name, value in case.items() if name not in COLUMNS]
    return "  ".join([*cells, *more]).rstrip()


def table(result: dict) -> str:
    """The result for a person."""
    head = f"{result['machine']}; {result['threads']} threads; {result['calibration_gflops']} GFLOP/s"
    names = row({name: name for name in COLUMNS})
    return "\n".join([head, names, *map(row, result["cases"])])
