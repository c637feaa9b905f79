# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's vertices on an avatar's surface, in the canonical pose.

The skin is the smoothest displacement of the template that the Gaussians agree with (least squares with the
umbrella operator's square, Kobbelt et al. 1998); eyes, teeth and tongue are moved and scaled as wholes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu

from ..avatar import Avatar, Signal
from ..body.anchors import closest_barycentric, nearest_on_surface
from ..body.skeleton import INDEX
from ..body.template import EYEBALL, MOUTH, SKIN, Template, load_template
from ..gaussians import Gaussians
from ..likeness.places import HANDS, load_places
from ..raster.mesh_faces import rasterize_flat
from .parts import adjacency, components, loose_parts

SMOOTHNESS = 0.5  # of the umbrella operator against the Gaussians, both by area
STIFF = 50.0  # times as smooth: ears, lips and the inside of the mouth keep the template's shape
TIPS = (*HANDS, "toe.L", "toe.R")
STIFF_TIPS = 0.2  # of that for hands and toes
# Standard deviations along the surface by which a body of splats reaches beyond their means. From the front
# and the sides of three avatars 1 to 2 % of the silhouette are missing then, without it 4 to 5 %.
OUTSIDE = 0.6
FARTHEST = 0.004  # metres, of the same
FREE = 0.05  # metres from its place beyond which a Gaussian is loose hair or cloth, not the surface
IN_MOUTH = 0.02  # of its weight: the inside of the mouth follows the lips, so that it stays behind them
PIXEL = 0.0005  # metres, of the depth image from the front
BEHIND, THROUGH = 0.002, 0.02  # metres that the mouth's inside is kept behind the skin, and may be before it
ROUNDS = 3  # of reweighting
OUTLIER = 3.0  # median distances from the surface at which a Gaussian's weight is halved
LEAST = 0.0005  # metres, of that median
AGREED = 0.005  # metres, of the median, within which these parts' Gaussians move as wholes
SIZES = (0.7, 1.4)  # of eyes, teeth and tongue against the template's


@dataclass(frozen=True, eq=False)
class Footing:
    """Where N Gaussians stand: triangle [N] of the template and barycentric [N,3] in it."""

    triangle: np.ndarray
    barycentric: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """Values [Nv,c] of the vertices there: [N,c]."""
        return np.einsum("nk,nkc->nc", self.barycentric, values[load_template().faces[self.triangle]])


def resting(avatar: Avatar) -> Gaussians:
    """The avatar's splats in the canonical pose with a neutral face."""
    joints = len(avatar.joint_names)
    return avatar.drive(Signal(torch.eye(4).repeat(joints, 1, 1), torch.zeros(52), torch.zeros(2, 2)))


def footing(avatar: Avatar) -> Footing:
    """Where each Gaussian stands on the template: the places in order and then pixels at some of them, or
    else the nearest points.
    """
    places = load_places()
    if np.array_equal(avatar.skin_indices[: len(places)].numpy(), places.skin_indices):
        lifted = (avatar.means - avatar.offsets.float())[len(places) :].numpy()
        place = np.concatenate([np.arange(len(places)), places.tree.query(lifted, workers=-1)[1]])
        return Footing(places.triangle[place], places.barycentric[place])
    base, template = (avatar.means - avatar.offsets.float()).numpy().astype(np.float64), load_template()
    made = [nearest_on_surface(base, template, mouth) for mouth in (False, True)]
    away = [
        closest_barycentric(base, template.vertices[template.faces[triangle]].astype(np.float64))[1]
        for triangle, _ in made
    ]
    inner = away[1] < away[0]
    return Footing(np.where(inner, made[1][0], made[0][0]), np.where(inner[:, None], made[1][1], made[0][1]))


def fitted_vertices(splats: Gaussians, feet: Footing) -> np.ndarray:
    """[Nv,3] float64: the template's vertices where the splats have the surface."""
    template, (label, skin) = load_template(), components()
    area, outside = _shapes(splats, feet.at(template.normals))
    at_part = template.part[template.faces[feet.triangle]].max(1)
    surface = splats.means.numpy() + outside * (at_part == SKIN)[:, None]
    moved = surface - feet.at(template.vertices.astype(np.float64))
    weight = splats.opacities.numpy() * area * np.where(at_part == MOUTH, IN_MOUTH, 1)
    weight[np.linalg.norm(moved, axis=1) > FREE] = 0
    vertices = template.vertices.astype(np.float64).copy()
    own = label[template.faces[feet.triangle, 0]] == skin
    inside = np.flatnonzero(label == skin)
    vertices[inside] += _smooth_displacement(
        template, inside, Footing(feet.triangle[own], feet.barycentric[own]), moved[own], weight[own]
    )
    for part in loose_parts():
        _move_whole(vertices, template, part, feet, moved, weight)
    keep_behind_lips(vertices)
    return vertices


def keep_behind_lips(vertices: np.ndarray) -> None:
    """Moves back what of the mouth and the teeth has come through the closed lips and the skin about them;
    vertices [Nv,3] are changed in place."""
    template = load_template()
    skin = (template.part[template.faces] == SKIN).all(1) & (template.face_mask[template.faces] > 0).all(1)
    pixels = (vertices[:, [0, 2]] - vertices[:, [0, 2]].min(0)) / PIXEL
    size = np.ceil(pixels.max(0)).astype(int) + 1
    front = rasterize_flat(pixels, vertices[:, 1], template.faces[skin], *size).depth
    inside = np.flatnonzero(template.part > EYEBALL)
    column, row = pixels[inside].astype(int).T
    back = front[row, column] + BEHIND - vertices[inside, 1]
    vertices[inside, 1] += np.where((back > 0) & (back < THROUGH), back, 0)


def _shapes(splats: Gaussians, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square metres [N] that each splat covers, from its two longest axes, and how far [N,3] its visible
    outside stands before its mean, along the shortest axis, which is turned to the side of `normals`."""
    squared, axes = torch.linalg.eigh(splats.covariances.double())
    sides, out = squared.clamp_min(1e-12).sqrt().numpy(), axes[:, :, 0].numpy()
    out = out * np.where((out * normals).sum(1, keepdims=True) < 0, -1, 1)
    return sides[:, 1] * sides[:, 2], np.minimum(OUTSIDE * sides[:, 1:2], FARTHEST) * out


def _smooth_displacement(template, inside, feet: Footing, moved, weight) -> np.ndarray:
    """Displacement [n,3] of the vertices `inside`, from that of Gaussians [m,3]."""
    number = np.full(len(template.vertices), -1)
    number[inside] = np.arange(len(inside))
    columns = number[template.faces[feet.triangle]]
    rows = np.repeat(np.arange(len(columns)), 3)
    at = sparse.csr_matrix(
        (feet.barycentric.astype(np.float64).ravel(), (rows, columns.ravel())), (len(columns), len(inside))
    )
    near = adjacency()[inside][:, inside]
    mean = sparse.diags(1 / np.asarray(near.sum(1)).ravel()) @ near
    umbrella = mean - sparse.identity(len(inside))
    area = sparse.diags(_vertex_areas(template)[inside])
    stiff = sparse.diags(SMOOTHNESS * (1 + STIFF * _held(template)[inside]))
    smooth = umbrella.T @ (area @ stiff) @ umbrella
    weight = weight * area.diagonal().sum() / max(weight.sum(), 1e-12)
    trust = np.ones(len(moved))
    for _ in range(ROUNDS):
        weighted = sparse.diags(weight * trust) @ at
        system = (at.T @ weighted + smooth).tocsc()
        solve = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve
        found = solve(weighted.T @ moved)
        away = np.linalg.norm(at @ found - moved, axis=1)
        trust = 1 / (1 + (away / (OUTLIER * max(np.median(away), LEAST))) ** 2)
    return found


def _held(template: Template) -> np.ndarray:
    """[Nv] 0..1: how much a vertex keeps the template's shape."""
    ends = np.isin(template.skin_indices, [INDEX[name] for name in TIPS])
    ends = (template.skin_weights * ends).sum(1)
    ears = template.region("ears")
    return np.maximum.reduce([ears, template.region("lips"), template.part == MOUTH, STIFF_TIPS * ends])


def _vertex_areas(template: Template) -> np.ndarray:
    a, b, c = (template.vertices[template.faces[:, k]].astype(np.float64) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(template.faces.ravel(), np.repeat(area, 3), len(template.vertices))


def _move_whole(vertices, template, part, feet: Footing, moved, weight) -> None:
    """Moves and scales a part as its Gaussians say; where these do not agree, as the skin about it moves."""
    before = template.vertices[part].astype(np.float64)
    own = np.isin(template.faces[feet.triangle, 0], part)
    if own.sum() >= 8:
        w = weight[own, None] / weight[own].sum()
        foot = feet.at(template.vertices.astype(np.float64))[own]
        there = foot + moved[own]
        middle, to = (w * foot).sum(0), (w * there).sum(0)
        size = (w * (there - to) * (foot - middle)).sum() / (w * (foot - middle) ** 2).sum()
        size = np.clip(size, *SIZES)
        if np.median(np.linalg.norm(to + size * (foot - middle) - there, axis=1)) < AGREED:
            vertices[part] = to + size * (before - middle)
            return
    near = np.argsort(np.linalg.norm(template.vertices - before.mean(0), axis=1))[: 4 * len(part)]
    near = near[~np.isin(near, part)]
    vertices[part] += (vertices - template.vertices)[near].mean(0)
