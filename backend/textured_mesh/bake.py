# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour texture: the avatar's Gaussians drawn in texture space.

Every Gaussian is carried into the texture by the affine map of the triangle that it stands on: its mean and
covariance in texels, and its height over the mesh as the depth. The rasteriser then blends them as a viewer
who looks along the surface's normal would see them, so no part is hidden and none is seen at a slant.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..body.anchors import closest_barycentric
from ..body.template import load_template
from ..gaussians import Gaussians
from ..raster import Camera, rasterize
from .atlas import Atlas
from .geometry import Footing
from .parts import components

REACH = 3.0  # standard deviations that a Gaussian is drawn beyond a seam
NEAR_SEAMS = 8  # triangles at seams that are tried for a Gaussian
SAME = 0.006  # of the texture's side: two images of a Gaussian nearer than that are one
ASIDE = 0.003  # metres
STRETCH = 3.0  # of a Gaussian by a sliver of the layout, against the usual of its part
COVERED = 0.5  # coverage from which the first Gaussians hide what is behind them
DEPTH = 0.002  # metres behind the visible height to which Gaussians are one surface
THIN = 0.05  # of the opacity, with which these are averaged: their order then does not matter
KNOWN = 0.02  # coverage by them from which a texel's colour is theirs alone
ALIKE = 0.5  # cosine between two triangles' normals from which a Gaussian of one is seen on the other


@dataclass(frozen=True, eq=False)
class Charts:
    """The affine map of every triangle into the texture: texel = origin [Nf,2] + matrix [Nf,3,3] (x - corner
    [Nf,3]), whose third row is the height over the triangle in metres; usable [Nf], where the texture has
    room for it."""

    origin: np.ndarray
    matrix: np.ndarray
    corner: np.ndarray
    usable: np.ndarray


def charts_of(vertices: np.ndarray, atlas: Atlas, size: int) -> Charts:
    """The maps from a mesh, vertices [Nv,3], into a texture of `size` texels, row 0 at the top."""
    corners = vertices[load_template().faces]
    texels = np.stack([atlas.uvs[:, 0], 1 - atlas.uvs[:, 1]], 1).astype(np.float64)[atlas.face_uvs] * size
    edges, flat = (np.stack([p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]], 2) for p in (corners, texels))
    normal = np.cross(edges[:, :, 0], edges[:, :, 1])
    area = np.linalg.norm(normal, axis=1)
    room = np.abs(np.linalg.det(flat))
    usable = (area > 1e-12) & (room > 1e-6 * size * size / len(corners))
    inverse = np.linalg.pinv(np.where(usable[:, None, None], edges, np.eye(3)[:, :2]))
    density = _usual(np.sqrt(room / np.maximum(area, 1e-12)), usable)
    u, stretch, vt = np.linalg.svd(flat @ inverse, full_matrices=False)
    limited = np.clip(stretch, density[:, None] / STRETCH, density[:, None] * STRETCH)
    normal = normal / np.maximum(area, 1e-12)[:, None]
    matrix = np.concatenate([u * limited[:, None] @ vt, normal[:, None]], 1)
    return Charts(texels[:, 0], matrix, corners[:, 0], usable)


def _usual(density: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """[Nf] median of the values of the usable triangles of the same connected part."""
    label = components()[0][load_template().faces[:, 0]]
    out = np.ones(len(density))
    for number in np.unique(label[usable]):
        out[label == number] = np.median(density[usable & (label == number)])
    return out


def seam_triangles(atlas: Atlas) -> np.ndarray:
    """Triangles [m] with an edge across which the texture coordinates jump."""
    faces = load_template().faces
    count = len(faces)
    starts, ends = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    first, last = atlas.face_uvs.ravel(), atlas.face_uvs[:, [1, 2, 0]].ravel()
    flip = starts > ends
    key = np.where(flip, ends, starts).astype(np.int64) * faces.max() + np.where(flip, starts, ends)
    uv = np.stack([np.where(flip, last, first), np.where(flip, first, last)], 1)
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    jump = same & (uv[order[1:]] != uv[order[:-1]]).any(1)
    triangle = np.repeat(np.arange(count), 3)[order]
    return np.unique(np.concatenate([triangle[1:][jump], triangle[:-1][jump]]))


def in_texture(splats: Gaussians, feet: Footing, vertices: np.ndarray, atlas: Atlas, size: int) -> Gaussians:
    """The splats in texels: x to the right, y down, z below the surface; once more beyond every seam."""
    charts = charts_of(vertices, atlas, size)
    means = _near_their_feet(splats.means.numpy().astype(np.float64), feet, vertices)
    carry = lambda rows, triangle: (  # noqa: E731
        np.einsum("nij,nj->ni", charts.matrix[triangle], means[rows] - charts.corner[triangle])
        + np.pad(charts.origin[triangle], ((0, 0), (0, 1)))
    )
    every = np.arange(len(means))
    own = carry(every, feet.triangle)
    rows, triangles, places = [every], [feet.triangle], [own]
    candidates = _beyond_seams(splats, feet, vertices, atlas)
    found: list[np.ndarray] = [own[:, :2]]
    for near in candidates:
        at = np.flatnonzero(near >= 0)
        place = carry(at, near[at])
        new = np.min([np.linalg.norm(f[at] - place[:, :2], axis=1) for f in found], 0) > SAME * size
        kept = np.full_like(own[:, :2], np.inf)
        kept[at[new]] = place[new, :2]
        found.append(kept)
        rows.append(at[new]), triangles.append(near[at[new]]), places.append(place[new])
    rows, triangles, places = (np.concatenate(part) for part in (rows, triangles, places))
    fits = charts.usable[triangles]
    rows, triangles, places = rows[fits], triangles[fits], places[fits]
    places[:, 2] *= -1
    to_texels = torch.from_numpy(charts.matrix[triangles])
    covariances = to_texels @ splats.covariances[rows].double() @ to_texels.mT
    covariances[:, 2, :2] *= -1
    covariances[:, :2, 2] *= -1
    return Gaussians(
        torch.from_numpy(places).float(), covariances.float(), splats.opacities[rows], splats.colors[rows]
    )


def _near_their_feet(means: np.ndarray, feet: Footing, vertices: np.ndarray) -> np.ndarray:
    """Means [N,3] no farther than ASIDE along the surface from where they stand: colours keep to the part of
    the body that they belong to where the smooth mesh does not follow its splats."""
    foot, normal = feet.at(vertices), _normals(vertices[load_template().faces[feet.triangle]])
    away = means - foot
    above = (away * normal).sum(1, keepdims=True) * normal
    along = away - above
    length = np.linalg.norm(along, axis=1, keepdims=True)
    return foot + above + along * np.minimum(1, ASIDE / np.maximum(length, 1e-12))


def _beyond_seams(splats: Gaussians, feet: Footing, vertices: np.ndarray, atlas: Atlas) -> np.ndarray:
    """[k,N] triangles at seams within a Gaussian's reach, the nearest first; -1: none."""
    faces, seams = load_template().faces, seam_triangles(atlas)
    corners = vertices[faces[seams]]
    half = np.linalg.norm(corners - corners.mean(1, keepdims=True), axis=2).max()
    foot = feet.at(vertices)
    reach = REACH * torch.linalg.eigvalsh(splats.covariances.double())[:, 2].clamp_min(0).sqrt().numpy()
    tree = cKDTree(corners.mean(1))
    close = np.flatnonzero(tree.query(foot, workers=1)[0] < reach + half)
    near = tree.query(foot[close], k=min(NEAR_SEAMS, len(seams)), workers=1)[1]
    distance = np.stack([closest_barycentric(foot[close], corners[n])[1] for n in near.T], 1)
    normal = _normals(vertices[faces])
    agree = (normal[seams[near]] * normal[feet.triangle[close], None]).sum(2) > ALIKE
    distance = np.where(agree, distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")
    near, distance = np.take_along_axis(near, order, 1), np.take_along_axis(distance, order, 1)
    out = np.full((near.shape[1], len(foot)), -1)
    out[:, close] = np.where(distance < reach[close, None] ** 2, seams[near], -1).T
    return out


def _normals(corners: np.ndarray) -> np.ndarray:
    """Unit normals [n,3] of triangles [n,3,3]."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)


def bake(splats: Gaussians, feet: Footing, vertices: np.ndarray, atlas: Atlas, size: int) -> np.ndarray:
    """The texture, uint8 sRGB [size,size,3], row 0 at the top; what no Gaussian covers is filled smoothly
    from around, which also gives the islands a margin."""
    flat = in_texture(splats, feet, vertices, atlas, size)
    camera = Camera(np.eye(4), np.eye(3), size, size, orthographic=True, near=-1e3)
    seen = rasterize(flat, camera, ("alpha", "depth"))
    front = torch.where(seen["alpha"] > COVERED, seen["depth"] + DEPTH, torch.inf)
    del seen  # a picture of 8K takes a gigabyte
    thin = dataclasses.replace(flat, opacities=flat.opacities * THIN)
    made = filled(rasterize(thin, camera, scene_depth=front)["combined"].numpy())
    made *= 255
    made += 0.5
    return made.astype(np.uint8)


def filled(premultiplied: np.ndarray) -> np.ndarray:
    """Premultiplied colours [S,S,4] -> colours [S,S,3] everywhere, by push and pull over a pyramid (Gortler
    et al. 1996); S a power of two."""
    known = np.clip(premultiplied[..., 3:] / KNOWN, 0, 1)
    levels = [premultiplied * (known / np.maximum(premultiplied[..., 3:], 1e-6))]
    levels[0][..., 3:] = known
    while len(levels[-1]) > 1:
        half = len(levels[-1]) // 2
        finer = levels[-1].reshape(half, 2, half, 2, 4)
        coarse = finer[:, 0, :, 0] + finer[:, 0, :, 1] + finer[:, 1, :, 0] + finer[:, 1, :, 1]
        levels.append(coarse / np.maximum(coarse[..., 3:], 1.0))
    out = levels[-1][..., :3] / np.maximum(levels[-1][..., 3:], 1e-6)
    for level in levels[-2::-1]:
        out = _twice(_twice(out).swapaxes(0, 1)).swapaxes(0, 1)
        out *= 1 - level[..., 3:]
        out += level[..., :3]
    return np.clip(out, 0, 1, out=out)


def _twice(values: np.ndarray) -> np.ndarray:
    """Rows [n,...] -> [2 n,...] between them, linearly."""
    out = np.repeat(0.75 * values, 2, axis=0)
    out[2::2] += 0.25 * values[:-1]
    out[0] += 0.25 * values[0]
    out[1:-1:2] += 0.25 * values[1:]
    out[-1] += 0.25 * values[-1]
    return out
