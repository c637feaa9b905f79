# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a synthetic person's visible surface (build, clothes, hair) stands off the template.

Silhouettes say it too, but of small pictures a network learns it slowly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ...body.pose import bone_stretch
from ...body.template import load_template
from ...model.config import ModelConfig
from ..people.person import Person, sample_person
from ..people.render import rest_surface
from .prepare import add_beside
from .prepared import surface_path
from .sites import Sites, make_sites

NEIGHBOURS = 12
LAYER = 0.012  # metres: vertices this much farther than the nearest still belong to a site
DEPTH = 0.03  # metres: what lies this much deeper than the outermost there is hidden
SOFT = 0.003  # metres


def surface_offsets(person: Person, positions: np.ndarray) -> np.ndarray:
    """[S,3] metres from template points `positions` [S,3] to the person's surface there, all that is worn
    included, in the mean template's canonical space: the mean of the outermost vertices that belong to the
    points.
    """
    drawn = np.unique(person.faces)
    below = person.template_points[drawn]
    offsets = rest_surface(person)[drawn] - below
    distance, index = cKDTree(below).query(positions, k=NEIGHBOURS)
    near = distance <= distance[:, :1] + LAYER
    away = np.where(near, np.linalg.norm(offsets, axis=1)[index], 0)
    near &= away >= away.max(1, keepdims=True) - DEPTH
    weight = np.where(near, 1 / (distance + SOFT) ** 2, 0)
    return np.einsum("sk,skc->sc", weight / weight.sum(1, keepdims=True), offsets[index])


def write_surfaces(data: Path, config: ModelConfig, progress=None, share: tuple[int, int] = (0, 1)) -> None:
    """Store the surfaces of the prepared synthetic people of a dataset folder that have none yet.

    Resumable and safe to kill; share: (number, of how many) processes that share the work. People whom the
    generator makes otherwise by now, and captured ones, get offsets that are NaN: not known.
    """
    sites = make_sites(config)
    make = lambda record: {"offsets": _offsets(record, sites).astype(np.float16)}  # noqa: E731
    add_beside(data, config, surface_path, make, "Measuring", progress, share, views=[0], maps=False)


def shows(record: dict, person: Person) -> bool:
    """Whether a record is of the person whom the generator makes of its seed today, with bones scaled as
    today (`bone_stretch`).
    """
    linear = np.asarray(record["transforms"][0], np.float64)[:, :3, :3]
    stretch = bone_stretch(load_template().joint_heads, person.joint_heads)
    return np.allclose(person.joint_heads, record["joint_heads"], atol=1e-4) and np.allclose(
        linear.transpose(0, 2, 1) @ linear, stretch @ stretch, atol=1e-3
    )


def _offsets(record: dict, sites: Sites) -> np.ndarray:
    if "joint_heads" in record and record.get("domain", "synthetic") == "synthetic":
        person = sample_person(int(record["seed"]))
        if shows(record, person):
            return surface_offsets(person, sites.positions)
    return np.full_like(sites.positions, np.nan)
