# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on the template the face landmarks lie: `python -m lca_blender.backend.training.bundled.face_ties`
measures it anew, to be run when the template's head changes.
"""

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ...body.anchors import nearest_on_surface
from ...body.skeleton import INDEX
from ...body.template import SKIN, load_template
from ...imaging.fit.face_ties import FILE
from ...imaging.landmarks.face import MESH, find_face
from ...imaging.landmarks.people import find_people
from ...tensor_file import write_tensors
from ..people.dataset import make_person_record
from ..people.records import restore_map

PEOPLE, VIEWS, SIZE = 60, 4, (512, 384)  # pictures that `measure` takes
# Landmarks of the inner lips. In a closed mouth both lips lie at one place: the jaw's weight tells them
# apart.
UPPER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LEAST = 12  # pictures that must show a landmark


def measure(people: int = PEOPLE, path: Path = FILE) -> None:
    """Writes the bundled file from pictures of the first `people` synthetic people's heads."""
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
