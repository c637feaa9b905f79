# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures with the topology of MakeHuman's base mesh, as MPFB2 makes them, read as shapes of the template."""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from ..errors import UserError
from ..tensor_file import REINSTALL, TensorFile
from .canonical_pose import canonical_transforms
from .skeleton import INDEX, JOINT_NAMES
from .template import SKIN, Template, load_template

FILE = Path(__file__).parent / "data" / "figure.safetensors"
BODY = 13380  # vertices of the body, which come first
COUNTS = (BODY, 19158)  # of the body alone, and with the helpers that MPFB2 hides
# Root mean square distance to the mean figure, by that figure's size, that only MakeHuman's order of vertices
# stays below.
UNLIKE = 0.35
JOINTS = len(JOINT_NAMES)


class BodyShape(NamedTuple):
    """A body in the canonical pose, metres, float32: the template's vertices [Nv,3], joint_heads and
    joint_tails [58,3]."""

    vertices: np.ndarray
    joint_heads: np.ndarray
    joint_tails: np.ndarray


@dataclass(frozen=True)
class FigureReader:
    """mean [19158,3] metres, a figure in MakeHuman's rest pose; carriers [Nv+116,19158]: the template's
    vertices and the joints' heads and tails in that pose; learned [n,BODY]: those that follow helpers,
    by the skin alone; offsets [Nv+116,3] metres, added in the canonical pose.
    """

    mean: np.ndarray
    carriers: csr_matrix
    learned: csr_matrix
    offsets: np.ndarray

    def carried(self, figure: np.ndarray) -> np.ndarray:
        """[Nv+116,3] of a figure with or without helpers, metres, in the rest pose."""
        if len(figure) > BODY:
            return self.carriers @ figure
        points = self.carriers[:, :BODY] @ figure
        points[by_helpers(self.carriers)] = self.learned @ figure
        return points


def by_helpers(carriers: csr_matrix) -> np.ndarray:
    """The rows [n] that depend on helpers."""
    return np.flatnonzero(np.diff(carriers[:, BODY:].indptr))


@cache
def load_figure_reader(path: Path = FILE) -> FigureReader:
    """The built-in reader. `UserError` where the file is missing or damaged."""
    file = TensorFile(path, "data for MakeHuman figures", REINSTALL)
    t = file.arrays()
    try:
        matrices = (
            csr_matrix(
                tuple(t[f"{name}_{part}"] for part in ("shares", "columns", "starts")), (rows, columns)
            )
            for name, rows, columns in (
                ("carriers", len(t["carriers_starts"]) - 1, len(t["mean"])),
                ("learned", len(t["learned_starts"]) - 1, BODY),
            )
        )
        return FigureReader(t["mean"], *matrices, t["offsets"])
    except (KeyError, ValueError) as error:
        raise file.wrong(f"{path.name} is damaged: {error}.") from error


def figure_shape(vertices: np.ndarray) -> BodyShape:
    """The shape of a figure by its vertices [19158,3], or [13380,3] without helpers, in MakeHuman's rest
    pose, in metres, decimetres or centimetres, any axis up. `UserError` where they are no such figure's.
    """
    reader = load_figure_reader()
    carried = reader.carried(_in_metres(vertices, reader.mean[:BODY]))
    shape = (in_canonical_pose(carried, load_template()) + reader.offsets).astype(np.float32)
    return BodyShape(*np.split(shape, _parts(shape)))


def _parts(carried: np.ndarray) -> list[int]:
    """Where joints' heads and tails begin."""
    return [len(carried) - 2 * JOINTS, len(carried) - JOINTS]


def _in_metres(vertices: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The vertices in metres, Z up, facing -Y, where the mean figure stands. The unit is the power of ten and
    the axes are the right-angled turn by which the figure is nearest to that one."""
    vertices = np.asarray(vertices, np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) not in COUNTS:
        counts = " or ".join(f"{count:,}" for count in COUNTS)
        raise UserError(
            f"The mesh has {len(vertices):,} vertices, a MakeHuman body has {counts}.",
            "Choose the body itself, not its clothes, with its base mesh's topology.",
        )
    vertices, ours = vertices - vertices[:BODY].mean(0), mean - mean.mean(0)
    theirs = vertices[:BODY]
    size, our_size = np.linalg.norm(theirs), np.linalg.norm(ours)
    if np.isfinite(size) and size > 0:
        turn = max(_right_angled(), key=lambda turn: np.sum(turn * (ours.T @ theirs)))
        unlike = np.linalg.norm(theirs @ turn.T / size - ours / our_size)
        if unlike < UNLIKE:
            return vertices @ turn.T * 10.0 ** round(np.log10(our_size / size)) + mean.mean(0)
    raise UserError(
        "The mesh has as many vertices as a MakeHuman body, but does not have its shape.",
        "Choose a figure in its rest pose whose vertices were not reordered.",
    )


@cache
def _right_angled() -> tuple[np.ndarray, ...]:
    """The 24 rotations [3,3] that take axes to axes."""
    signed = (np.eye(3)[list(p)] * s for p in permutations(range(3)) for s in product((1, -1), repeat=3))
    return tuple(turn for turn in signed if np.linalg.det(turn) > 0)


def in_canonical_pose(carried: np.ndarray, template: Template) -> np.ndarray:
    """A body's vertices, joints' heads and tails [Nv+116,3] from MakeHuman's rest pose to the canonical one,
    the soles on z = 0; of the template, weights and parts are read.
    """
    indices, weights = template.skin_indices, template.skin_weights
    vertices, heads, tails = np.split(carried, _parts(carried))
    turns = canonical_transforms(heads, tails)[:, :3]
    blended = np.einsum("nk,nkab->nab", weights, turns[indices])
    matrices = np.concatenate([blended, turns, turns])
    posed = np.einsum("nab,nb->na", matrices[:, :, :3], carried) + matrices[:, :, 3]
    feet = (weights * np.isin(indices, [INDEX["foot.L"], INDEX["foot.R"]])).sum(1)
    height = np.sort(posed[: len(vertices)][(feet > 0.5) & (template.part == SKIN), 2])
    return posed - np.array([0, 0, height[: len(height) // 20].mean()])
