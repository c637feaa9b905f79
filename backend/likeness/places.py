# SPDX-License-Identifier: GPL-3.0-or-later
"""Evenly spread places on the template, where an avatar's Gaussians sit: a centroidal Voronoi tessellation
with a spacing of its own for face, head, hands and body (Lloyd 1982; Du, Faber & Gunzburger 1999).

`python -m lca_blender.backend.likeness.places` computes them once; build.py does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ..body.anchors import blend_weights, nearest_on_surface
from ..body.mesh import interpolated
from ..body.skeleton import FINGERS, INDEX
from ..body.template import EYEBALL, Template, load_template
from ..body.template import PATH as TEMPLATE
from ..tensor_file import REINSTALL, TensorFile, write_tensors

FILE = Path(__file__).parent / "data" / "places.safetensors"
# Metres between neighbours. Finer bodies make prints readable (4.9 against 7 mm: 0.5 dB in the photo's own
# pose).
SPACING = {"face": 0.001, "head": 0.003, "hands": 0.003, "body": 0.0049, "mouth": 0.0015}
HEAD = ("head", "neck2", "jaw", "eye.L", "eye.R")
HANDS = tuple(
    f"{name}.{s}" for s in "LR" for name in ("hand", *(f"{f}{n}" for f in FINGERS for n in (1, 2, 3)))
)
NECK = ("neck1", "neck2")
HAIRLINE = 0.03  # metres over which the scalp's lower edge fades
FEET = ("foot.L", "toe.L", "foot.R", "toe.R")
CANDIDATES, ROUNDS = 10, 14  # points a place, rounds of Lloyd's algorithm
NEIGHBOURS = 8
COARSE = 16
TENSORS = {
    "triangle": ("I32", ("N",)),
    "barycentric": ("F32", ("N", 3)),
    "skin_indices": ("U8", ("N", 8)),
    "skin_weights": ("F32", ("N", 8)),
    "neighbours": ("I32", ("N", NEIGHBOURS)),
    "spacing": ("F32", ("N",)),
    "mirror": ("I32", ("N",)),
}
HEXAGON = 0.866  # area of a cell of the hexagonal grid of spacing 1


@dataclass(frozen=True, eq=False)
class Places:
    """N places on the template, and what is known there.

    triangle [N], barycentric [N,3]; skin_indices uint8, skin_weights [N,8]; neighbours [N,8] the nearest
    other places; spacing [N] metres, their mean distance; mirror [N] the place nearest to the image under x
    -> -x.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    skin_indices: np.ndarray
    skin_weights: np.ndarray
    neighbours: np.ndarray
    spacing: np.ndarray
    mirror: np.ndarray

    def __len__(self) -> int:
        return len(self.triangle)

    @cached_property
    def corners(self) -> np.ndarray:
        """[N,3] the template's vertices about each place."""
        return load_template().faces[self.triangle]

    def at(self, values: np.ndarray) -> np.ndarray:
        """Values [Nv,...] of the template's vertices at the places, float32 [N,...]."""
        return interpolated(values, self.corners, self.barycentric.astype(np.float32))

    @cached_property
    def positions(self) -> np.ndarray:
        return self.at(load_template().vertices)

    @cached_property
    def normals(self) -> np.ndarray:
        normals = self.at(load_template().normals)
        return normals / np.linalg.norm(normals, axis=1, keepdims=True)

    @cached_property
    def part(self) -> np.ndarray:
        """[N] uint8, of the template: 0 skin, 1 eyeball, 2 teeth, 3 inside of the mouth."""
        return load_template().part[self.corners[:, 0]]

    @cached_property
    def face(self) -> np.ndarray:
        """[N] 0..1: how much a place belongs to the face."""
        return self.at(load_template().face_mask)

    @cached_property
    def ears(self) -> np.ndarray:
        """[N] 0..1."""
        return np.clip(2 * self.at(load_template().region("ears")), 0, 1)

    @cached_property
    def held(self) -> np.ndarray:
        """[N] 0..1: face, ears and neck."""
        return np.clip(np.maximum.reduce([4 * self.face, self.ears, 2 * self.share(NECK)]), 0, 1)

    @cached_property
    def head(self) -> np.ndarray:
        """[N] 0..1."""
        return self.share(HEAD)

    @cached_property
    def hands(self) -> tuple[np.ndarray, np.ndarray]:
        """[N] 0..1 of the left and the right hand."""
        return tuple(self.share([n for n in HANDS if n.endswith(side)]) for side in (".L", ".R"))

    @cached_property
    def ends(self) -> np.ndarray:
        """[N] 0..1: hands and feet."""
        return np.clip(self.share(HANDS + FEET), 0, 1)

    @cached_property
    def scalp(self) -> np.ndarray:
        """[N] 0..1: where hair grows: on the head, not on face and ears, above or behind the head's joint."""
        joint = load_template().joint_heads[INDEX["head"]]
        behind = (self.positions - joint) @ np.array([0, 1, 1], np.float32)
        head = np.clip(2 * self.share(("head", "neck2")) - 1, 0, 1)
        bare = np.clip(np.maximum(4 * self.face, self.ears), 0, 1)
        return head * (1 - bare) * np.clip(behind / HAIRLINE, 0, 1)

    @cached_property
    def weight_matrix(self) -> sparse.csr_matrix:
        """[N,J] skinning weights, float32."""
        starts = np.arange(len(self) + 1) * self.skin_weights.shape[1]
        size = len(self), len(load_template().joint_names)
        return sparse.csr_matrix((self.skin_weights.ravel(), self.skin_indices.ravel(), starts), size)

    @cached_property
    def unit_weights(self) -> np.ndarray:
        """[N,J] skinning weights of unit length, float32."""
        dense = self.weight_matrix.toarray()
        return dense / np.linalg.norm(dense, axis=1, keepdims=True)

    def share(self, joints: Sequence[str]) -> np.ndarray:
        """[N] skinning weight of some joints."""
        return (self.skin_weights * np.isin(self.skin_indices, [INDEX[n] for n in joints])).sum(1)

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.positions)

    @cached_property
    def coarse_tree(self) -> cKDTree:
        """Of every `COARSE`-th place."""
        return cKDTree(self.positions[::COARSE])

    @cached_property
    def expressive(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows [M] of the places that expressions move, and their displacements [52,M,3]."""
        template = load_template()
        moved = template.expression_deltas.any((0, 2))
        rows = np.flatnonzero(moved[self.corners].any(1))
        weight = self.barycentric[rows].astype(np.float32)
        deltas = np.einsum("enkc,nk->enc", template.expression_deltas[:, self.corners[rows]], weight)
        return rows, np.ascontiguousarray(deltas)  # else every use copies them


@cache
def load_places(path: Path = FILE) -> Places:
    """The built-in places. `UserError` where the file is missing or damaged."""
    file = TensorFile(path, "file of places", REINSTALL)
    file.check(TENSORS)
    return Places(**file.arrays())


def places_at(triangle: np.ndarray, barycentric: np.ndarray) -> Places:
    """Everything about places by their triangles [N] and barycentric coordinates [N,3]."""
    template = load_template()
    corners = template.faces[triangle]
    positions = interpolated(template.vertices, corners, barycentric)
    shares = template.skin_weights[corners] * barycentric[..., None]
    indices, weights = blend_weights(template.skin_indices[corners], shares)
    tree = cKDTree(positions)
    distance, nearest = tree.query(positions, k=NEIGHBOURS + 1, workers=1)
    return Places(
        triangle=triangle.astype(np.int32),
        barycentric=barycentric.astype(np.float32),
        skin_indices=indices.astype(np.uint8),
        skin_weights=weights.astype(np.float32),
        neighbours=nearest[:, 1:].astype(np.int32),
        spacing=distance[:, 1:].mean(1).astype(np.float32),
        mirror=tree.query(positions * (-1, 1, 1), workers=1)[1].astype(np.int32),
    )


def wanted_spacing(template: Template) -> np.ndarray:
    """[Nv] metres between places about each vertex; regions blend by the logarithm."""
    joints = lambda names: np.isin(template.skin_indices, [INDEX[n] for n in names])  # noqa: E731
    share = lambda names: (template.skin_weights * joints(names)).sum(1)  # noqa: E731
    spacing = np.full(len(template.vertices), np.log(SPACING["body"]))
    for region, weight in (
        ("head", share(HEAD)),
        ("hands", share(HANDS)),
        ("face", np.clip(1.5 * template.face_mask, 0, 1)),
    ):
        spacing += weight * (np.log(SPACING[region]) - spacing)
    return np.exp(spacing)


def compute(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """triangle [N], barycentric [N,3] of the tessellation of skin and eyes, then of teeth and mouth; the
    same on every run.
    """
    template, rng = load_template(), np.random.default_rng(seed)
    inner = np.full(len(template.vertices), SPACING["mouth"])
    made = [
        _tessellated(template, spacing, mouth, rng)
        for spacing, mouth in ((wanted_spacing(template), False), (inner, True))
    ]
    return tuple(np.concatenate(part) for part in zip(*made, strict=True))


def _tessellated(template: Template, spacing: np.ndarray, mouth: bool, rng) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [n] and barycentric coordinates [n,3]; spacing [Nv] metres; the mouth, or all else."""
    usable = np.flatnonzero(((template.part[template.faces] > EYEBALL) == mouth).all(1))
    corners = template.vertices[template.faces[usable]].astype(np.float64)
    spacing = spacing[template.faces[usable]]
    flat = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    cells = flat / (HEXAGON * spacing.mean(1) ** 2)
    count = round(cells.sum())
    chosen = rng.choice(len(usable), count * CANDIDATES, p=cells / cells.sum())
    u, v = np.sqrt(rng.random(len(chosen))), rng.random(len(chosen))
    barycentric = np.stack([1 - u, u * (1 - v), u * v], 1)
    candidates = (corners[chosen] * barycentric[..., None]).sum(1)
    # Candidates lie as densely as places shall; Lloyd's cells even out a density's fourth root in the plane,
    # so that the candidates' weight makes up the rest.
    weight = 1 / (spacing[chosen] * barycentric).sum(1) ** 2
    places = candidates[rng.permutation(len(candidates))[:count]]
    for _ in range(ROUNDS):
        nearest = cKDTree(places).query(candidates, workers=-1)[1]
        mass = np.bincount(nearest, weight, count)
        sums = np.stack([np.bincount(nearest, weight * candidates[:, c], count) for c in range(3)], 1)
        filled = mass > 0
        places[filled] = sums[filled] / mass[filled, None]
    return nearest_on_surface(places, template, mouth)


def write(path: Path = FILE) -> None:
    """Computes the file, unless it was made by this code for this template."""
    sources = sha256(TEMPLATE.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if path.exists() and TensorFile(path).metadata.get("sources") == sources:
        return
    print("Spreading the places of an avatar's Gaussians", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, vars(places_at(*compute())), sources=sources)


if __name__ == "__main__":
    write()
