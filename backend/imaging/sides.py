# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of the body a template point lies on: front or back, by the normal of the surface there."""

from functools import cache

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..body.template import load_template

CELL = 0.0125  # metres


@cache
def _grid() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(origin [3], counts [3], forwardness [cells]) of a grid over the template's box."""
    template = load_template()
    outer = template.part < 2  # skin and eyes
    vertices, normals = template.vertices[outer], template.normals[outer]
    origin = vertices.min(0) - 2 * CELL
    counts = np.ceil((vertices.max(0) + 2 * CELL - origin) / CELL).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 3)
    _, nearest = cKDTree(vertices).query(origin + (index + 0.5) * CELL, k=4, workers=1)
    forward = -normals[nearest, 1].mean(1)
    as_tensor = lambda a, t: torch.from_numpy(np.asarray(a).astype(t))  # noqa: E731
    return as_tensor(origin, np.float32), as_tensor(counts, np.int64), as_tensor(forward, np.float32)


def forwardness(points: torch.Tensor) -> torch.Tensor:
    """-y of the template's normal near points [...,3] in metres: 1 in front, -1 behind, about 0 on the
    sides [...].
    """
    origin, counts, forward = (tensor.to(points.device) for tensor in _grid())
    cell = ((points - origin) / CELL).long()
    cell = torch.minimum(cell.clamp_min(0), counts - 1)
    return forward[(cell[..., 0] * counts[1] + cell[..., 1]) * counts[2] + cell[..., 2]]
