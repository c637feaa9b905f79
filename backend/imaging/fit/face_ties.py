# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on the template each of the 478 face landmarks lies.

The places are those that the landmark network itself shows: medians over pictures of synthetic people, of
which every pixel's place on the template is known.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import Delaunay

from ...body.mesh import interpolated, vertex_normals
from ...body.template import load_template
from ...tensor_file import REINSTALL, TensorFile
from ..landmarks.face import MESH, NOSE_TIP

FILE = Path(__file__).parent / "data" / "face_ties.safetensors"
TOWARDS = 0.25  # least cosine of a landmark's normal and the view; what is turned away slides along the rim
NOSE = (NOSE_TIP, 4, 5, 195)  # landmarks that look ahead


class FaceTies(NamedTuple):
    """triangle [478] of the template's faces and barycentric [478,3] in it: a landmark's place; mesh [n,3]
    triangles between the 468 landmarks of the skin.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    mesh: np.ndarray


@cache
def load_ties(path: Path = FILE) -> FaceTies:
    """The ties in a file. Raises `TensorFileError`."""
    file = TensorFile(path, "file of face landmarks", REINSTALL)
    file.check({"triangle": ("I32", (MESH + 10,)), "barycentric": ("F32", (MESH + 10, 3))})
    tensors = file.arrays()
    triangle, barycentric = tensors["triangle"].astype(np.int64), tensors["barycentric"].astype(np.float64)
    return FaceTies(triangle, barycentric, _mesh(_positions(triangle, barycentric)))


def visible_landmarks(points: np.ndarray) -> np.ndarray:
    """Rows of landmarks [478,3] (pixels, z smaller is nearer) that look at the camera; the irises too."""
    normals = vertex_normals(points[:MESH], load_ties().mesh)
    towards = normals[:, 2] * np.sign(normals[list(NOSE), 2].mean())
    return np.concatenate([np.flatnonzero(towards > TOWARDS), np.arange(MESH, len(points))])


def _positions(triangle: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    template = load_template()
    return interpolated(template.vertices, template.faces[triangle], barycentric)


def _mesh(positions: np.ndarray) -> np.ndarray:
    """Triangles between the landmarks of the skin, laid flat round the head's axis."""
    skin, head = positions[:MESH], load_template().head_centre
    round_head = np.arctan2(skin[:, 0] - head[0], head[1] + 0.02 - skin[:, 1]) * 0.09
    return Delaunay(np.stack([round_head, skin[:, 2]], 1)).simplices.astype(np.int64)
