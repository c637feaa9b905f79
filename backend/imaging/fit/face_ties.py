# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on the template each of the 478 face landmarks lies.

The places are those that the landmark network itself shows: medians over pictures of synthetic people, of
which every pixel's place on the template is known. `python -m lca_blender.backend.imaging.fit.face_ties`
measures them again and writes the bundled file: to be run when the template's head changes.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import Delaunay, cKDTree

from ...body.anchors import nearest_on_surface
from ...body.skeleton import INDEX
from ...body.template import SKIN, load_template
from ...tensor_file import REINSTALL, TensorFile, write_tensors
from ..landmarks.face import MESH, NOSE_TIP

FILE = Path(__file__).parent / "data" / "face_ties.safetensors"
TOWARDS = 0.25  # least cosine of a landmark's normal and the view; what is turned away slides along the rim
NOSE = (NOSE_TIP, 4, 5, 195)  # landmarks that look ahead
PEOPLE, VIEWS, SIZE = 60, 4, (512, 384)  # pictures that `measure` takes
# Landmarks of the inner lips. In a closed mouth both lips lie at one place: the jaw's weight tells them
# apart.
UPPER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LEAST = 12  # pictures that must show a landmark


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
    mesh = load_ties().mesh
    corners, normals = points[mesh], np.zeros((MESH, 3))
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for corner in range(3):
        np.add.at(normals, mesh[:, corner], flat)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    towards = normals[:, 2] * np.sign(normals[list(NOSE), 2].mean())
    return np.concatenate([np.flatnonzero(towards > TOWARDS), np.arange(MESH, len(points))])


def _positions(triangle: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
    template = load_template()
    return (template.vertices[template.faces[triangle]] * barycentric[..., None]).sum(1)


def _mesh(positions: np.ndarray) -> np.ndarray:
    """Triangles between the landmarks of the skin, laid flat round the head's axis."""
    skin, head = positions[:MESH], load_template().head_centre
    round_head = np.arctan2(skin[:, 0] - head[0], head[1] + 0.02 - skin[:, 1]) * 0.09
    return Delaunay(np.stack([round_head, skin[:, 2]], 1)).simplices.astype(np.int64)


def measure(people: int = PEOPLE, path: Path = FILE) -> None:
    """Writes the bundled file from pictures of the first `people` synthetic people's heads."""
    from ...people.dataset import make_person_record
    from ...people.records import restore_map

    places: list[list[np.ndarray]] = [[] for _ in range(MESH + 10)]
    for seed in range(people):
        record = make_person_record(seed, *SIZE, body_views=0, face_views=VIEWS, regime="studio")
        for rgba, steps in zip(record["rgba"], record["template_map"], strict=True):
            _collect(rgba, restore_map(steps), places)
    few = [n for n, found in enumerate(places) if len(found) < LEAST]
    if few:
        raise ValueError(f"The landmarks {few} were hardly seen.")
    medians = np.stack([np.median(found, axis=0) for found in places]).astype(np.float64)
    triangle, barycentric = nearest_on_surface(medians, load_template())
    for rows, of_jaw in ((UPPER_LIP, False), (LOWER_LIP, True)):
        triangle[list(rows)], barycentric[list(rows)] = _nearest_vertices(medians[list(rows)], of_jaw)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {"triangle": triangle.astype(np.int32), "barycentric": barycentric.astype(np.float32)}
    write_tensors(path, tensors)


def _nearest_vertices(points: np.ndarray, of_jaw: bool) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and barycentric coordinates of the vertices of the skin that are nearest to points [n,3] and
    move with the jaw, or do not.
    """
    template = load_template()
    jaw = (template.skin_weights * (template.skin_indices == INDEX["jaw"])).sum(1)
    allowed = np.flatnonzero((template.part == SKIN) & ((jaw > 0.5) == of_jaw))
    vertices = allowed[cKDTree(template.vertices[allowed]).query(points)[1]]
    triangle = np.array([np.flatnonzero((template.faces == vertex).any(1))[0] for vertex in vertices])
    return triangle, (template.faces[triangle] == vertices[:, None]).astype(np.float64)


def _collect(rgba: np.ndarray, template_map: np.ndarray, places: list[list[np.ndarray]]) -> None:
    """Adds the template's points [H,W,3] at the landmarks of one picture."""
    from ..landmarks.face import find_face
    from ..landmarks.people import find_people

    alpha = rgba[..., 3:].astype(np.float32) / 255
    image = (rgba[..., :3] * alpha + 128 * (1 - alpha)).astype(np.uint8)
    people = find_people(image)
    face = find_face(image, people[0].pose) if people else None
    if face is None:
        return
    rows = range(MESH + 10)
    for row in rows:
        x, y = face.points[row, :2].round().astype(int)
        if 0 <= x < template_map.shape[1] and 0 <= y < template_map.shape[0] and template_map[y, x].any():
            places[row].append(template_map[y, x])


if __name__ == "__main__":
    measure()
