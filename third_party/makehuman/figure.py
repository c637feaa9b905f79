# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading a figure made with MakeHuman or MPFB2 needs: how the template follows the base mesh. Its
helpers are often deleted: what they carry (joints, eyeballs, teeth, tongue) is learned as a function of the
skin too.
"""

import numpy as np
from lca_blender.backend.body.figure import BODY, by_helpers, in_canonical_pose
from scipy.sparse import csr_matrix, vstack
from scipy.spatial import cKDTree

from .archive import MakeHuman
from .phenotypes import Phenotype, displacement, draw
from .skeleton import joint_carriers

PEOPLE, SEED = 300, 11
SLIDER = 0.5  # of a slider of the details, which are learned beside the people
NEAR, EVERY = 1000, 14  # every fourteenth of the nearest vertices of the skin carries a point
RIDGE = 1e-7  # square metres: of the shares' distance to even ones
HOLD = 100.0  # metres: weight of carrying the mean body's points to where they are, and all translations


def mean_figure(data: MakeHuman) -> np.ndarray:
    """[19158,3] in the rest pose."""
    return data.vertices + displacement(data, Phenotype())


def figure_tensors(data: MakeHuman, follow: csr_matrix, exact: np.ndarray, template) -> dict:
    """The tensors of `body.figure.FigureReader`. follow [Nv,19158]: the template's vertices by the base
    mesh's; exact [Nv+116,3]: those of the mean figure and its joints in the canonical pose; `template`:
    weights and parts of the one that is made."""
    mean = mean_figure(data)
    carriers = vstack([follow, joint_carriers(data)]).tocsr()
    helped, changes = by_helpers(carriers), _changes(data)
    moved = np.stack([carriers[helped] @ change for change in changes])
    learned = _learned(mean[:BODY], changes[:, :BODY], carriers[helped] @ mean, moved)
    return {
        "mean": mean.astype(np.float32),
        "offsets": (exact - in_canonical_pose(carriers @ mean, template)).astype(np.float32),
        **_packed("carriers", carriers),
        **_packed("learned", learned),
    }


def _packed(name: str, matrix: csr_matrix) -> dict:
    return {
        f"{name}_starts": matrix.indptr.astype(np.int32),
        f"{name}_columns": matrix.indices.astype(np.int16),
        f"{name}_shares": matrix.data.astype(np.float32),
    }


def _changes(data: MakeHuman) -> np.ndarray:
    """[p,19158,3] displacements from the mean body to random people, and of the sliders of details."""
    rng = np.random.default_rng(SEED)
    base = displacement(data, Phenotype())
    people = [displacement(data, draw(rng)) - base for _ in range(PEOPLE)]
    for positive, negative in data.opposites(data.groups):
        people += [SLIDER * sum(data.target(name) for name in names) for names in (positive, negative)]
    return np.stack(people).astype(np.float32)


def _learned(skin: np.ndarray, changes: np.ndarray, points: np.ndarray, moved: np.ndarray) -> csr_matrix:
    """[n,BODY]: shares by which the skin [BODY,3] carries points [n,3]; the skin's changes [p,BODY,3] are to
    move them by `moved` [p,n,3] (ridge regression)."""
    _, near = cKDTree(skin).query(points, k=NEAR)
    near = near[:, ::EVERY]
    count = near.shape[1]
    shares = np.empty(near.shape)
    for row, (columns, point) in enumerate(zip(near, points, strict=True)):
        seen = changes[:, columns].transpose(0, 2, 1).reshape(-1, count).astype(np.float64)
        held = HOLD * np.concatenate([skin[columns].T, np.ones((1, count))])
        wanted = np.concatenate([moved[:, row].ravel(), HOLD * np.append(point, 1)])
        seen = np.concatenate([seen, held])
        even = np.full(count, 1 / count)
        system = seen.T @ seen + RIDGE * len(changes) * np.eye(count)
        shares[row] = even + np.linalg.solve(system, seen.T @ (wanted - seen @ even))
    starts = np.arange(0, near.size + 1, count)
    return csr_matrix((shares.ravel(), near.ravel(), starts), (len(points), len(skin)))
