# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: JSON lines, a line for the person, and TensorBoard's files where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


class Journal:
    """Rows of `log.jsonl`: where the run is, then what was measured. Silent unless `active`."""

    def __init__(self, out: Path, active: bool, say):
        self.say = say if active else lambda text: None
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

    def close(self) -> None:
        for file in (self.log, self.board):
            if file is not None:
                file.close()


def _board(out: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))
