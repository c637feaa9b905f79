# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation pictures side by side in one PNG."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .losses import over

ROWS = 24


def save_sheet(path: str | Path, rows: list[tuple[Tensor, ...]], columns: int = 3) -> None:
    """Rows of premultiplied RGBA pictures of one size, over grey, `columns` rows beside each other."""
    strips = [torch.cat([over(p, torch.tensor(0.5)) for p in row], 1) for row in rows[:ROWS]]
    while len(strips) % columns:
        strips.append(torch.ones_like(strips[0]))
    gap = torch.ones(strips[0].shape[0], 6, 3)
    lines = [
        torch.cat([part for strip in strips[i : i + columns] for part in (strip, gap)], 1)
        for i in range(0, len(strips), columns)
    ]
    picture = (torch.cat(lines, 0).clamp(0, 1) * 255).round().byte().numpy()
    Image.fromarray(picture).save(path)
