# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's shape basis: principal components of random phenotypes, and of local changes of the head.

All coefficients have unit variance among the people drawn; the mean body is the adults'.
"""

from dataclasses import dataclass

import numpy as np
from lca_blender.backend.body.canonical_pose import canonical_transforms
from lca_blender.backend.body.skeleton import JOINT_NAMES

from .archive import COUNT, FACE_GROUPS, MakeHuman
from .phenotypes import Phenotype, as_row, displacement, draw
from .skeleton import joint_places

PEOPLE, SEED = 1600, 5
BODY_SHAPES, FACE_SHAPES = 24, 40
LOCAL_SPREAD = 0.14  # of a slider; at 0.35 faces become caricatures
ADULT = 0.55  # the age of eighteen
PARTS = 10  # pieces that large products are made in, for the memory's sake
LEFT_OUT = (  # sliders that move the whole head, or one side of the face only
    "head/head-angle", "head/head-trans", "neck/neck-trans", "mouth/mouth-trans-out", "nose/nose-trans-out",
)  # fmt: skip


@dataclass(frozen=True)
class Shapes:
    """mean [n,3], heads [58,3], tails [58,3] canonical, standing on z = 0; names [S]; deltas [S,n,3] and
    joint_deltas [S,58,3] of one standard deviation; phenotypes [p,11] of people drawn and their coefficients
    of the body's shapes [p,24]."""

    mean: np.ndarray
    heads: np.ndarray
    tails: np.ndarray
    names: tuple[str, ...]
    deltas: np.ndarray
    joint_deltas: np.ndarray
    phenotypes: np.ndarray
    coefficients: np.ndarray


def canonical(data: MakeHuman, vertices, weights, soles):
    """vertices [n,3], heads and tails [58,3] in the canonical pose, the soles' rows on the floor."""
    heads, tails = joint_places(data, vertices)
    turns = canonical_transforms(heads, tails)
    blended = np.einsum("nj,jab->nab", weights, turns[:, :3])
    posed = np.einsum("nab,nb->na", blended[:, :, :3], vertices) + blended[:, :, 3]
    move = lambda points: np.einsum("jab,jb->ja", turns[:, :3, :3], points) + turns[:, :3, 3]  # noqa: E731
    floor = np.array([0, 0, np.sort(posed[soles, 2])[: len(soles) // 20].mean()])
    return posed - floor, move(heads) - floor, move(tails) - floor


def shape_basis(data: MakeHuman, weights, rows, soles) -> Shapes:
    """The basis on all vertices of the base mesh; variances are measured on `rows`."""
    rng = np.random.default_rng(SEED)
    people = [draw(rng) for _ in range(PEOPLE)]
    vertices = np.empty((PEOPLE, COUNT, 3), np.float32)
    heads, tails = np.empty((2, PEOPLE, len(JOINT_NAMES), 3))
    for i, who in enumerate(people):
        body = data.vertices + displacement(data, who)
        vertices[i], heads[i], tails[i] = canonical(data, body, weights, soles)
    adult = np.array([who.age >= ADULT for who in people])
    mean = vertices[adult].mean(0, dtype=np.float64)
    heads_mean, tails_mean = heads[adult].mean(0), tails[adult].mean(0)
    coefficients = _components(vertices - mean.astype(np.float32), rows, BODY_SHAPES) * np.sqrt(PEOPLE)
    # projections on the coefficients, whose mean square is one
    body = _combined(coefficients / PEOPLE, vertices) - coefficients.mean(0)[:, None, None] * mean
    body_joints = np.tensordot(coefficients.T / PEOPLE, heads - heads_mean, 1)
    local, local_joints = _local_changes(data, weights, soles)
    left = _components(local, rows, FACE_SHAPES)
    names = [f"body{i + 1:02d}" for i in range(BODY_SHAPES)] + [
        f"face{i + 1:02d}" for i in range(FACE_SHAPES)
    ]
    return Shapes(
        mean,
        heads_mean,
        tails_mean,
        tuple(names),
        np.concatenate([body, _combined(left, local)]),
        np.concatenate([body_joints, np.tensordot(left.T, local_joints, 1)]),
        np.stack([as_row(who) for who in people]),
        coefficients.round(4).astype(np.float32),
    )


def _components(offsets: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The first left singular vectors [p, count] of displacements [p,n,3] of some rows, with a sign that does
    not depend on the machine."""
    gram = np.zeros((len(offsets),) * 2)
    for some in np.array_split(rows, PARTS):
        part = offsets[:, some].reshape(len(offsets), -1).astype(np.float64)
        gram += part @ part.T
    vectors = np.linalg.eigh(gram)[1][:, ::-1][:, :count]
    return vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(count)])


def _combined(shares: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """[s,n,3]: sums of bodies [p,n,3] by their shares [p,s]."""
    parts = np.array_split(bodies, PARTS, axis=1)
    return np.concatenate([np.tensordot(shares.T, part.astype(np.float64), 1) for part in parts], axis=1)


def _local_changes(data: MakeHuman, weights, soles):
    """Displacements [s,n,3] and joints' [s,58,3] of one standard deviation of the head's sliders."""
    at = data.vertices + displacement(data, Phenotype())
    vertices, heads, _ = canonical(data, at, weights, soles)
    out, joints = [], []
    for positive, negative in data.opposites(FACE_GROUPS):
        if positive[0].startswith(LEFT_OUT):
            continue
        change = sum(data.target(name) for name in positive) - sum(data.target(name) for name in negative)
        moved, moved_heads, _ = canonical(data, at + 0.5 * LOCAL_SPREAD * change, weights, soles)
        out.append(moved - vertices)
        joints.append(moved_heads - heads)
    return np.stack(out).astype(np.float32), np.stack(joints)
