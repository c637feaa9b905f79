# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a run: JSON lines, text lines, a progress bar in a terminal, TensorBoard files.

The bar needs the package tqdm and TensorBoard's files tensorboard; without them there are none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image


class Journal:
    """Rows of `log.jsonl`: where the run is, then what was measured. Silent unless `active`."""

    def __init__(self, out: Path, active: bool, say):
        self.bar = _bar() if active else None
        self.say = (say if self.bar is None else self.bar.write) if active else lambda text: None
        self.log = open(out / "log.jsonl", "a") if active else None  # noqa: SIM115 until close()
        self.board = _board(out) if active else None

    def write(self, where: dict, values: dict, picture: Path | None = None) -> None:
        """One row; `values` may hold one level of groups."""
        if self.log is None:
            return
        self.log.write(json.dumps({**where, **values}) + "\n")
        self.log.flush()
        self.say(" ".join(f"{k} {v}" for k, v in {**where, **values}.items()))
        if self.board is None:
            return
        for key, value in values.items():
            for name, number in (value if isinstance(value, dict) else {"": value}).items():
                self.board.add_scalar(f"{key}/{name}" if name else key, number, where["step"])
        if picture is not None:
            self.board.add_image("people", np.asarray(Image.open(picture)), where["step"], dataformats="HWC")

    def advance(self, fraction: float, step: int, loss: float) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.n = min(fraction, 1.0)
            self.bar.set_postfix_str(f"step {step} loss {loss:.4f}")  # draws it anew

    def close(self) -> None:
        for file in (self.log, self.board, self.bar):
            if file is not None:
                file.close()


def _bar():
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=1.0, bar_format="{percentage:3.0f} %|{bar}| {elapsed}, {remaining} left {postfix}")


def _board(out: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))
