# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's mesh: MakeHuman's body, refined where it is coarse, with eyes, teeth and tongue."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from lca_blender.backend.body.skeleton import INDEX, mirror_joints
from lca_blender.backend.body.template import MOUTH, SKIN
from lca_blender.backend.raster.camera import look_at
from lca_blender.backend.raster.mesh_faces import rasterize_mesh
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_matrix, vstack
from scipy.sparse import eye as identity
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from .archive import COUNT, MPFB, MakeHuman
from .mouth import pieces
from .subdivision import subdivide
from .weights import smooth_torn

COARSE = 0.018  # metres: quads with a longer edge are refined
REGIONS = ("ears", "eyelids", "face", "lips", "fingernails", "toenails")
FLATTENED = (*range(1778, 1794), *range(8450, 8466))  # the nipples
SOCKET = 1.35  # radii of an eyeball: hidden skin nearer than that to its centre is left out
DIRECTIONS, PICTURE = 80, 900  # views, and their size in pixels, that decide what is hidden


@dataclass
class Mesh:
    """vertices [n,3] canonical, which follow the base mesh by carriers [n,19158]; faces [f,3]; uvs, face_uvs;
    part [n]; own [n] bool: not MakeHuman's (eyeballs, teeth, tongue); weights [n,58]; mirror [n]; regions
    [r,n] in 0..1; visible [f] bool."""

    carriers: csr_matrix
    own: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    face_uvs: np.ndarray
    part: np.ndarray
    weights: np.ndarray
    mirror: np.ndarray
    regions: np.ndarray
    visible: np.ndarray

    def move(self, displacement: np.ndarray) -> np.ndarray:
        """Displacements [n,3] of the mesh's vertices for the base mesh's [19158,3]."""
        return self.carriers @ displacement


def build_mesh(data: MakeHuman, base: np.ndarray, weights: np.ndarray, heads: np.ndarray) -> Mesh:
    """base [19158,3] canonical; weights [19158,58]; heads [58,3] of the joints."""
    smooth = flattened(data)
    corners = data.quads("body")
    quads = corners[..., 0]
    flat = smooth @ base
    longest = np.linalg.norm(flat[quads] - flat[np.roll(quads, -1, 1)], axis=2).max(1)
    fine = subdivide(flat, corners, data.uvs, longest > COARSE)
    carriers, part = fine.matrix @ smooth, np.full(fine.matrix.shape[0], SKIN, np.uint8)
    skin_weights = np.asarray(fine.matrix @ weights)
    regions = _regions(data, fine)
    part[_mask(data, fine, "inside-mouth") > 0.5] = MOUTH
    stack = [(carriers, carriers @ base, fine.faces, part, skin_weights)]
    count = carriers.shape[0]
    for piece in pieces(data, base):
        rigid = np.zeros((len(piece.points), weights.shape[1]))
        rigid[:, piece.joint] = 1
        parts = np.full(len(piece.points), piece.part, np.uint8)
        stack.append((piece.carriers, piece.points, piece.faces + count, parts, rigid))
        count += len(piece.points)
    matrices, vertices, faces, parts, dense = zip(*stack, strict=True)
    inner = sum(map(len, faces[1:]))
    mesh = Mesh(
        vstack(matrices).tocsr(),
        np.arange(count) >= len(part),
        np.concatenate(vertices),
        np.concatenate(faces).astype(np.int32),
        fine.uvs,
        np.concatenate([fine.face_uvs, np.zeros((inner, 3), np.int32)]),
        np.concatenate(parts),
        np.concatenate(dense),
        np.zeros(0),
        np.pad(regions, ((0, 0), (0, count - regions.shape[1]))),
        np.zeros(0),
    )
    mesh.visible = visible_triangles(mesh.vertices, mesh.faces)
    _leave_out_unused(mesh, ~_in_socket(mesh))
    mesh.mirror = _mirror(mesh)
    mesh.vertices = 0.5 * (mesh.vertices + mesh.vertices[mesh.mirror] * (-1, 1, 1))
    mesh.weights = _even(mesh.weights, mesh.mirror)
    smooth = smooth_torn(mesh.vertices, mesh.faces, mesh.weights, heads, mesh.mirror, mesh.part == SKIN)
    mesh.weights = _even(smooth, mesh.mirror)
    return mesh


def flattened(data: MakeHuman) -> csr_matrix:
    """[19158,19158]: carries the base mesh to one whose chest is plain: the solution of Laplace's equation
    over the vertices left out."""
    rows = np.array(FLATTENED)
    quads = data.quads("body")[..., 0]
    ends = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
    ends = np.unique(np.sort(ends, 1), axis=0)
    ends = np.concatenate([ends, ends[:, ::-1]])
    link = csr_matrix((np.ones(len(ends)), ends.T), (COUNT, COUNT))[rows]
    mean = csr_matrix((1 / np.asarray(link.sum(1)).ravel(), (range(len(rows)),) * 2)) @ link
    inner = mean[:, rows]
    outer = mean.tolil()
    outer[:, rows] = 0
    solved = spsolve((identity(len(rows)) - inner).tocsc(), outer.tocsc())
    keep = identity(COUNT, format="lil")
    keep[rows] = solved
    return keep.tocsr()


def _mask(data: MakeHuman, fine, name: str) -> np.ndarray:
    """[n] 0..1: a grey picture over the texture coordinates at every vertex, the mean of its corners'."""
    picture = Image.open(BytesIO(data.zip.read(f"{MPFB}textures/mpfb_{name}.jpg")), formats=("JPEG",))
    grey = np.asarray(picture.convert("L"), np.float64) / 255
    height, width = grey.shape
    at = np.array([(1 - fine.uvs[:, 1]) * height - 0.5, fine.uvs[:, 0] * width - 0.5])
    values = map_coordinates(grey, at, order=1, mode="nearest")[fine.face_uvs]
    count = fine.matrix.shape[0]
    total = np.bincount(fine.faces.ravel(), values.ravel(), count)
    return total / np.maximum(np.bincount(fine.faces.ravel(), minlength=count), 1)


def _regions(data: MakeHuman, fine) -> np.ndarray:
    return np.stack([_mask(data, fine, name) for name in REGIONS])


def visible_triangles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """[f] bool: seen from some direction around the body, or around the head from nearer by."""
    seen = np.zeros(len(faces), bool)
    top = vertices[:, 2].max()
    turn, height = np.pi * (1 + 5**0.5) * np.arange(DIRECTIONS), np.linspace(-0.97, 0.97, DIRECTIONS)
    flat = np.sqrt(1 - height**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
    for centre, extent in (((0, 0, top / 2), 1.1 * top), ((0, -0.04, top - 0.13), 0.36)):
        focal = 20 * PICTURE / extent
        K = np.array([[focal, 0, PICTURE / 2], [0, focal, PICTURE / 2], [0, 0, 1.0]])
        for direction in directions:
            viewmat = look_at(centre + 20 * direction, centre, (0, 0, 1))
            face = rasterize_mesh(vertices, faces, viewmat, K, PICTURE, PICTURE).face
            seen[np.unique(face[face >= 0])] = True
    return seen


def _in_socket(mesh: Mesh) -> np.ndarray:
    """[f] bool: skin behind an eyeball that no view shows, but for a rim at the lids."""
    shown = np.zeros(len(mesh.vertices), bool)
    shown[mesh.faces[mesh.visible]] = True
    rim = shown[mesh.faces].any(1)
    near = np.zeros(len(mesh.vertices), bool)
    skin = mesh.part == SKIN
    for side in ("eye.L", "eye.R"):
        ball = mesh.vertices[mesh.weights[:, INDEX[side]] == 1]
        centre = (ball.min(0) + ball.max(0)) / 2
        reach = SOCKET * np.median(np.linalg.norm(ball - centre, axis=1))
        near |= skin & (np.linalg.norm(mesh.vertices - centre, axis=1) < reach)
    return near[mesh.faces].all(1) & ~mesh.visible & ~rim


def _leave_out_unused(mesh: Mesh, kept: np.ndarray) -> None:
    """Keeps some faces [f] bool and the vertices that they use."""
    faces, uvs = mesh.faces[kept], mesh.face_uvs[kept]
    used, numbers = np.unique(faces, return_inverse=True)
    used_uvs, uv_numbers = np.unique(uvs, return_inverse=True)
    mesh.faces = numbers.reshape(-1, 3).astype(np.int32)
    mesh.face_uvs = uv_numbers.reshape(-1, 3).astype(np.int32)
    mesh.uvs, mesh.visible = mesh.uvs[used_uvs], mesh.visible[kept]
    mesh.carriers, mesh.regions = mesh.carriers[used], mesh.regions[:, used]
    for name in ("own", "vertices", "part", "weights"):
        setattr(mesh, name, getattr(mesh, name)[used])


def _mirror(mesh: Mesh) -> np.ndarray:
    """[n] the vertex at x -> -x of each, within the same connected piece of the mesh or its counterpart."""
    n = len(mesh.vertices)
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    _, piece = connected_components(csr_matrix((np.ones(len(ends)), ends.T), (n, n)), directed=False)
    flip, out = mesh.vertices * (-1, 1, 1), np.zeros(n, np.int32)
    for own in np.unique(piece):
        rows = np.flatnonzero(piece == own)
        centre = flip[rows].mean(0)
        same = [p for p in np.unique(piece) if (piece == p).sum() == len(rows)]
        other = min(same, key=lambda p: np.linalg.norm(mesh.vertices[piece == p].mean(0) - centre))
        at = np.flatnonzero(piece == other)
        out[rows] = at[cKDTree(mesh.vertices[at]).query(flip[rows])[1]]
    return out


def _even(weights: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    return 0.5 * (weights + weights[mirror][:, mirror_joints()])
