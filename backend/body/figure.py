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
from .skeleton import INDEX, JOINT_NAMES, mirror_joints
from .template import SKIN, Template, load_template

FILE = Path(__file__).parent / "data" / "figure.safetensors"
BODY = 13380  # vertices of the body, which come first
COUNTS = (BODY, 19158)  # of the body alone, and with the helpers that MPFB2 hides
# Root mean square distance to the mean figure, by that figure's size, that only MakeHuman's order of vertices
# stays below.
UNLIKE = 0.35
JOINTS = len(JOINT_NAMES)
# What the built file holds reaches 0.87 m, 0.0094 m and 2.1; its shares' sums are off by 9e-6.
MOST = {"mean": 1.5, "offsets": 0.05, "shares": 10.0}
SUM_OFF = 1e-3


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
    """The built-in reader. `TensorFileError` where the file is missing, damaged or of another template."""
    file = TensorFile(path, "data for MakeHuman figures", REINSTALL)
    rows = len(load_template().vertices) + 2 * JOINTS
    file.check(_tensors(rows))
    t = file.arrays()
    try:
        for name in ("mean", "offsets"):
            if not (np.abs(t[name]) < MOST[name]).all():
                raise ValueError(f"{name} leaves the room of a body")
        if np.ptp(t["mean"][:BODY, 2]) < 1:
            raise ValueError("mean is no figure of a metre or more")
        carriers = _matrix(t, "carriers", COUNTS[1])
        learned = _matrix(t, "learned", BODY)
        if learned.shape[0] != len(by_helpers(carriers)):
            raise ValueError("learned are other points than those that follow helpers")
    except ValueError as error:
        raise file.wrong(f"{path.name} is damaged: {error}.") from error
    return FigureReader(t["mean"], carriers, learned, t["offsets"])


def _tensors(rows: int) -> dict[str, tuple]:
    """What the file holds, as `TensorFile.check` takes it."""
    of_points = {"mean": ("F32", (COUNTS[1], 3)), "offsets": ("F32", (rows, 3))}
    matrices = {
        f"{name}_{part}": (kind, (size,))
        for name, starts in (("carriers", rows + 1), ("learned", "starts"))
        for part, kind, size in (("starts", "I32", starts), ("columns", "I16", name), ("shares", "F32", name))
    }
    return of_points | matrices


def _matrix(t: dict[str, np.ndarray], name: str, width: int) -> csr_matrix:
    """[n,width] whose rows add up to one. ValueError where the tensors are no such matrix."""
    starts, columns, shares = (t[f"{name}_{part}"] for part in ("starts", "columns", "shares"))
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] != len(columns):
        raise ValueError(f"{name}_starts do not divide their rows")
    if columns.min() < 0 or columns.max() >= width:
        raise ValueError(f"{name}_columns lead out of the figure")
    matrix = csr_matrix((shares, columns, starts), (len(starts) - 1, width))
    sums = np.asarray(matrix.sum(1))
    if not (np.abs(shares) < MOST["shares"]).all() or np.abs(sums - 1).max() > SUM_OFF:
        raise ValueError(f"{name}_shares do not add up to one")
    return matrix


def figure_shape(vertices: np.ndarray) -> BodyShape:
    """The shape of a figure by its vertices [19158,3], or [13380,3] without helpers, in MakeHuman's rest
    pose, in metres, decimetres or centimetres, any axis up. `UserError` where they are no such figure's.

    A mirror image of a figure, whose left hand is where its right one was, is a shape like any other: that
    of the person in the mirror.
    """
    reader = load_figure_reader()
    figure, mirrored = _in_metres(vertices, reader.mean[:BODY])
    posed = in_canonical_pose(reader.carried(figure), load_template()) + reader.offsets
    shape = BodyShape(*np.split(posed.astype(np.float32), _parts(posed)))
    return _mirror_image(shape) if mirrored else shape


def _mirror_image(body: BodyShape) -> BodyShape:
    """The body in the mirror x = 0: its left side is the right side of the other."""
    flip, joints = np.array([-1, 1, 1], np.float32), mirror_joints()
    rows = (load_template().mirror, joints, joints)
    return BodyShape(*(flip * points[at] for points, at in zip(body, rows, strict=True)))


def _parts(carried: np.ndarray) -> list[int]:
    """Where joints' heads and tails begin."""
    return [len(carried) - 2 * JOINTS, len(carried) - JOINTS]


def _in_metres(vertices: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, bool]:
    """The vertices in metres, Z up, facing -Y, where the mean figure stands, and whether they were mirrored
    for that. The unit is the power of ten and the axes are the signed ones by which the figure is nearest to
    the mean one."""
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
        axes = max(_signed_axes(), key=lambda axes: np.sum(axes * (ours.T @ theirs)))
        unlike = np.linalg.norm(theirs @ axes.T / size - ours / our_size)
        if unlike < UNLIKE:
            unit = 10.0 ** round(np.log10(our_size / size))
            return vertices @ axes.T * unit + mean.mean(0), bool(np.linalg.det(axes) < 0)
    raise UserError(
        "The mesh has as many vertices as a MakeHuman body, but does not have its shape.",
        "Choose a figure in its rest pose whose vertices were not reordered.",
    )


@cache
def _signed_axes() -> tuple[np.ndarray, ...]:
    """The 48 matrices [3,3] that take axes to axes: right-angled turns, and those with a mirror."""
    return tuple(np.eye(3)[list(p)] * s for p in permutations(range(3)) for s in product((1, -1), repeat=3))


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
