# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangle meshes: values at points of their surface, and their normals."""

import numpy as np


def interpolated(values: np.ndarray, corners: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    """[n,...]: values [Nv,...] of the vertices at points in triangles between the vertices `corners` [n,3],
    with barycentric coordinates [n,3]; in the type of their products."""
    weights = barycentric.reshape(*barycentric.shape, *[1] * (values.ndim - 1))
    return sum(values[corners[:, k]] * weights[:, k] for k in range(3))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[Nv,3] float64 unit normals of a mesh, vertices [Nv,3] and faces [Nf,3]: means over the faces about a
    vertex, by their areas; zero where there is no face."""
    corners = vertices[faces].astype(np.float64)
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    rows = faces.T.ravel()
    normals = np.stack([np.bincount(rows, np.tile(flat[:, c], 3), len(vertices)) for c in range(3)], 1)
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
