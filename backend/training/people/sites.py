# SPDX-License-Identifier: GPL-3.0-or-later
"""Places on the mean template that skin, hair and clothes refer to: the head's frame, limb axes, heights,
neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from .surface import adjacency, averaging, normals

SKIN, EYE, TEETH, MOUTH = range(4)
STATURE = 1.75  # heights in this package are written for a body this tall


@dataclass(frozen=True)
class Sites:
    """Measures of the mean template, metres unless said; `k` scales heights written for a stature of
    `STATURE`.
    """

    template: object
    k: float
    head_origin: np.ndarray  # [3] between the pupils' height and mid-head
    head_scale: float  # metres per head-local unit (one hundred of them: about a metre)
    shoulder: np.ndarray  # [3] left
    arm_axis: np.ndarray  # [3] left, unit, shoulder to wrist
    arm_length: float
    skin_faces: np.ndarray  # [f, 3] triangles of skin only
    average: csr_matrix  # [Nv, Nv] mean over neighbours
    dense_weights: np.ndarray  # [Nv, J]
    skin_vertices: np.ndarray  # [s] indices
    tree: cKDTree  # over the skin vertices

    def joint(self, name: str) -> np.ndarray:
        """Head of a joint on the mean template [3]."""
        return self.template.joint_heads[self.template.joint_names.index(name)]

    def head_local(self, points: np.ndarray) -> np.ndarray:
        """Points [p, 3] -> right-handed head units (about cm): x to the subject's left, y up, z forward."""
        return to_head_axes((points - self.head_origin) / self.head_scale)

    def from_head_local(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `head_local`."""
        return from_head_axes(np.asarray(points) * self.head_scale) + self.head_origin

    def along_arm(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance along and away from the (nearer) arm's axis, each [p], metres; negative above the
        shoulder.
        """
        q = np.stack([np.abs(points[:, 0]), points[:, 1], points[:, 2]], 1) - self.shoulder
        t = (q * self.arm_axis).sum(1)  # not by BLAS, whose bits follow its thread count
        return t, np.linalg.norm(q - t[:, None] * self.arm_axis, axis=1)

    def is_arm(self, points: np.ndarray) -> np.ndarray:
        """[p] bool: outside the armhole seam, a vertical plane at the shoulder joint (the body hangs
        inside it).
        """
        t, away = self.along_arm(points)
        return (np.abs(points[:, 0]) > self.shoulder[0] + 0.01) & (t > 0) & (away < 0.16 * self.k)


def to_head_axes(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] (Z up, facing -Y) along the axes of `Sites.head_local`; lengths stay."""
    return np.stack([vectors[..., 0], vectors[..., 2], -vectors[..., 1]], -1)


def from_head_axes(vectors: np.ndarray) -> np.ndarray:
    """The inverse of `to_head_axes`."""
    return np.stack([vectors[..., 0], -vectors[..., 2], vectors[..., 1]], -1)


@lru_cache(maxsize=1)
def load_sites() -> Sites:
    """The sites of `load_template()`, computed once per process."""
    from ...body.template import load_template

    return find_sites(load_template())


def find_sites(template) -> Sites:
    """Measure a `Template`."""
    heads, names = template.joint_heads, list(template.joint_names)
    shoulder, wrist = heads[names.index("upper_arm.L")], heads[names.index("hand.L")]
    length = float(np.linalg.norm(wrist - shoulder))
    faces = template.faces[(template.part[template.faces] == SKIN).all(1)]
    skin_vertices = np.unique(faces)
    dense = np.zeros((len(template.vertices), len(names)), np.float32)
    np.put_along_axis(dense, template.skin_indices.astype(np.int64), template.skin_weights, 1)
    return Sites(
        template=template,
        k=float(template.vertices[skin_vertices, 2].max()) / STATURE,
        head_origin=np.asarray(template.head_centre, np.float32),
        head_scale=0.01 * float(template.head_scale),
        shoulder=shoulder.astype(np.float32),
        arm_axis=((wrist - shoulder) / length).astype(np.float32),
        arm_length=length,
        skin_faces=faces,
        average=averaging(adjacency(len(template.vertices), template.faces)),
        dense_weights=dense,
        skin_vertices=skin_vertices,
        tree=cKDTree(template.vertices[skin_vertices]),
    )


def smooth_normals(vertices: np.ndarray, sites: Sites, rounds: int = 6) -> np.ndarray:
    """Skin normals [Nv, 3] blurred over neighbours, so that offsets along them do not cross."""
    n = normals(vertices, sites.skin_faces)
    for _ in range(rounds):
        n = 0.4 * n + 0.6 * (sites.average @ n)
    return (n / (np.linalg.norm(n, axis=1, keepdims=True) + 1e-9)).astype(np.float32)
