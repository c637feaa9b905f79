# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar in the shape of another body: its own body's shape is estimated, and its Gaussians move by the
difference, so that clothes and hair stand off as they did.

Such an avatar's canonical space is the other body's: it has that body's skeleton.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from ..avatar import Avatar
from ..body.anchors import nearest_on_surface
from ..body.figure import JOINTS, BodyShape
from ..body.mesh import interpolated, vertex_normals
from ..body.pose import head_size, joint_transforms
from ..body.skeleton import INDEX
from ..body.skinning import skin_points, unskin_points
from ..body.template import EYEBALL, VERSION, Template, load_template
from ..drive_torch import AvatarOnDevice
from ..errors import UserError
from ..model.create import rest_signal, with_thumbnail
from ..quaternions import matrix_to_quaternion, quaternion_to_matrix

HEAD = ("head", "jaw", "eye.L", "eye.R")
SAMPLED = 40_000  # Gaussians that the body's shape is estimated from
# Inverse variance times density, 1/m^4: of what tells of the body (a centimetre of clothes, one opinion every
# 80 cm^2) and of the face (two millimetres, one every 3 cm^2).
SURE, SURE_FACE = 1 / (0.01**2 * 0.008), 1 / (0.002**2 * 0.0003)
STEPS = 6
ROUNDED = 0.0003  # metres: error of a place on the template, by the file's half floats
ROUNDS = 4  # of averaging over neighbours, of what the surface's linear maps are made of
FLAT = 1e-5  # metres: keeps those maps solvable
NEIGHBOURS = 8  # of a Gaussian, which tell how its surroundings are stretched
HELD = 0.05  # of their summed squared distances: weight of the surface's map


def reshaped(
    avatar: Avatar,
    figure: BodyShape,
    keep_face: bool = True,
    name: str = "",
    progress: Callable[..., None] | None = None,
) -> Avatar:
    """The avatar with the figure's skeleton, build and girth; `keep_face`: with its own head, in the size of
    the figure's. `name` of the figure is kept in the header. UserError for an avatar of another template.
    """
    report = progress or (lambda fraction, message="": None)
    template = load_template()
    if avatar.template_version != VERSION:
        raise UserError("The avatar was made on an older body.", "Create it again from its photos.")
    report(0.0, "Estimating the avatar's own shape")
    triangle, barycentric = template_places(avatar, template)
    changes = AvatarOnDevice(avatar, "cpu").changes(rest_signal().features(avatar.joint_parents.numpy()))
    own = own_shape(avatar, (avatar.means + changes[:, 3:6]).numpy(), triangle, barycentric)
    report(0.6, "Moving the Gaussians")
    linear = linear_maps(template, own.vertices, figure.vertices)
    if keep_face:
        figure, size = with_head_of(own, figure)
        linear += _head_share(template)[:, None, None] * (size * np.eye(3) - linear)
    at = _values_at(template, triangle, barycentric)
    moved = _moved(avatar, changes, at(own.vertices), at(figure.vertices), at(linear))
    report(0.9, "Drawing the avatar")
    made_of = {"avatar": avatar.hash, "figure": name, "own_face": keep_face}
    return with_thumbnail(
        replace(
            moved,
            joint_heads=figure.joint_heads,
            joint_tails=figure.joint_tails,
            header={**avatar.header, "made_of": made_of},
        )
    )


def _moved(avatar: Avatar, changes: torch.Tensor, before, after, linear) -> Avatar:
    """Gaussians about places [N,3] of one surface, about those of another; linear [N,3,3] maps the first
    surface's neighbourhoods to the second's. They are moved as they are drawn at rest, with the changes
    [N,13] of the pose decoder."""
    means = (avatar.means + changes[:, 3:6]).numpy()
    moved = after + np.einsum("nij,nj->ni", linear, means - before)
    places = (avatar.means - avatar.offsets.float()).numpy()
    linear = torch.from_numpy(_about_neighbours(places, means, moved, linear).astype(np.float32))
    quats, factors = _stretched(
        avatar.quats + changes[:, 6:10], avatar.scales * changes[:, 10:].exp(), linear
    )
    shift = torch.from_numpy(moved - means)
    rows = slice(None) if avatar.expression_rows is None else avatar.expression_rows.long()
    return replace(
        avatar,
        means=avatar.means + shift,
        offsets=avatar.offsets + shift,
        quats=quats - changes[:, 6:10],
        scales=avatar.scales * factors,
        expression_basis=torch.einsum("nij,enj->eni", linear[rows], avatar.expression_basis.float()),
        normals=None if avatar.normals is None else _turned(avatar.normals.float(), linear),
    )


def _turned(normals: torch.Tensor, linear: torch.Tensor) -> torch.Tensor:
    """Unit normals [N,3] of surfaces under linear maps [N,3,3]."""
    a, b, c = linear.unbind(1)
    cofactors = torch.stack([torch.linalg.cross(*pair) for pair in ((b, c), (c, a), (a, b))], 1)
    turned = (cofactors @ normals[..., None])[..., 0]
    flat = turned.norm(dim=1, keepdim=True) < 1e-6
    return torch.nn.functional.normalize(torch.where(flat, normals, turned), dim=1)


def _about_neighbours(places: np.ndarray, before: np.ndarray, after: np.ndarray, linear: np.ndarray):
    """[N,3,3]: the linear maps of a move of points [N,3], by their neighbours on the template (`places`), and
    `linear` where these do not tell: clothes that stand off shrink less than the body.
    """
    _, near = cKDTree(places).query(places, k=NEIGHBOURS + 1)
    edges = [points[near[:, 1:]] - points[:, None] for points in (before, after)]
    hold = (HELD * (edges[0] ** 2).sum((1, 2)) + FLAT**2)[:, None, None]
    spread, mixed = (edge.transpose(0, 2, 1) @ edges[0] for edge in edges)
    spread, mixed = spread + hold * np.eye(3), mixed + hold * linear
    return np.linalg.solve(spread, mixed.transpose(0, 2, 1)).transpose(0, 2, 1)


def _stretched(quats: torch.Tensor, scales: torch.Tensor, linear: torch.Tensor):
    """Quaternions [N,4] of Gaussians under linear maps [N,3,3], and the factors [N,3] of their scales: discs
    stay on the surface that they lie on (Gram-Schmidt, the longest axis first)."""
    order = scales.argsort(dim=1, descending=True, stable=True)[:, None].expand(-1, 3, -1)
    axes = (linear @ quaternion_to_matrix(quats)).gather(2, order)
    unit = torch.nn.functional.normalize
    first = unit(axes[:, :, 0], dim=1)
    second = unit(axes[:, :, 1] - first * (first * axes[:, :, 1]).sum(1, keepdim=True), dim=1)
    third = torch.linalg.cross(first, second)
    third = third * torch.sign((third * axes[:, :, 2]).sum(1, keepdim=True))
    turned = torch.stack([first, second, third], 2)
    factors = torch.empty_like(scales).scatter(1, order[:, 0], (turned * axes).sum(1))
    turned = torch.empty_like(turned).scatter(2, order, turned)
    made = matrix_to_quaternion(turned) * quats.norm(dim=1, keepdim=True)
    return torch.where((made * quats).sum(1, keepdim=True) < 0, -made, made), factors


def template_places(avatar: Avatar, template: Template) -> tuple[np.ndarray, np.ndarray]:
    """Triangle [N] and barycentric coordinates [N,3] of the template under every Gaussian."""
    points = (avatar.means - avatar.offsets.float()).numpy().astype(np.float64)
    away = lambda found, of: np.linalg.norm(  # noqa: E731
        _values_at(template, *found)(template.vertices) - of, axis=1
    )
    triangle, barycentric = nearest_on_surface(points, template)
    outer = away((triangle, barycentric), points)
    rows = np.flatnonzero(outer > ROUNDED)
    if len(rows):
        inside = nearest_on_surface(points[rows], template, mouth=True)
        nearer = away(inside, points[rows]) < outer[rows]
        triangle[rows[nearer]], barycentric[rows[nearer]] = (values[nearer] for values in inside)
    return triangle, barycentric


def _values_at(template: Template, triangle: np.ndarray, barycentric: np.ndarray) -> Callable:
    """Carries the vertices' values [Nv,...] to places [n] on the template, float32 [n,...]."""
    corners, shares = template.faces[triangle], barycentric.astype(np.float32)
    return lambda values: interpolated(values, corners, shares)


def own_shape(avatar: Avatar, means: np.ndarray, triangle: np.ndarray, barycentric: np.ndarray) -> BodyShape:
    """The body under an avatar's clothes and hair, in its canonical space, where it has its Gaussians at rest
    at means [N,3]: coefficients of the template's shapes by least squares with unit prior (Gauss-Newton).
    """
    template = load_template()
    heads = avatar.joint_heads.numpy()
    rows = np.arange(0, len(avatar), max(1, len(avatar) // SAMPLED))
    rows = rows[template.part[template.faces[triangle[rows], 0]] <= EYEBALL]
    triangle, barycentric = triangle[rows], barycentric[rows]
    at = _values_at(template, triangle, barycentric)
    to_avatar = joint_transforms(template, np.zeros_like(heads), joint_heads=heads)
    skinning = (a[rows].numpy() for a in (avatar.skin_indices, avatar.skin_weights.float()))
    surface = unskin_points(means[rows], *skinning, to_avatar)
    weight = _areas(template, triangle) * (SURE + (SURE_FACE - SURE) * at(template.face_mask))
    basis = np.stack([at(delta) for delta in _basis()]).reshape(len(_basis()), -1)
    weighted = basis * np.repeat(weight, 3).astype(np.float32)
    system = (weighted @ basis.T).astype(np.float64) + np.eye(len(basis))
    missed = lambda betas: (surface - at(in_template_pose(betas))).reshape(-1)  # noqa: E731
    cost = lambda wrong, betas: (np.repeat(weight, 3) * wrong**2).sum() + betas @ betas  # noqa: E731
    betas, length = np.zeros(len(basis)), 1.0
    wrong = missed(betas)
    for _ in range(STEPS):
        there = betas + length * np.linalg.solve(system, weighted @ wrong - betas)
        left = missed(there)
        if cost(left, there) < cost(wrong, betas):
            betas, wrong, length = there, left, min(1.0, 2 * length)
        else:  # the basis is that of the mean body: far from it a step may be too long
            length /= 4
    tensors = (template.skin_indices, template.skin_weights, np.asarray(to_avatar))
    tensors = (torch.from_numpy(np.array(a)) for a in (in_template_pose(betas), *tensors))
    return BodyShape(skin_points(*tensors).numpy(), heads, avatar.joint_tails.numpy())


def _areas(template: Template, triangle: np.ndarray) -> np.ndarray:
    """[n] square metres that each of the points on some triangles stands for."""
    a, b, c = (template.vertices[template.faces[triangle, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    return area / np.bincount(triangle)[triangle]


def in_template_pose(betas: np.ndarray) -> np.ndarray:
    """[Nv,3] a person's body with the bones' lengths of the template."""
    template, betas = load_template(), betas.astype(np.float32)
    vertices = template.vertices + np.tensordot(betas, template.shape_deltas, 1)
    heads = template.joint_heads + np.tensordot(betas, template.shape_joint_deltas, 1)
    to_person = joint_transforms(template, np.zeros_like(heads), joint_heads=heads)
    return unskin_points(vertices, template.skin_indices, template.skin_weights, to_person)


@cache
def _basis() -> np.ndarray:
    """[S,Nv,3] derivatives of `in_template_pose` at the mean body."""
    template = load_template()
    skin = [torch.from_numpy(np.array(a)) for a in (template.skin_indices, template.skin_weights)]
    mean, rest, out = torch.from_numpy(np.array(template.vertices)), np.zeros((JOINTS, 3), np.float32), []
    for delta, joints in zip(template.shape_deltas, template.shape_joint_deltas, strict=True):
        matrices = joint_transforms(template, rest, joint_heads=template.joint_heads + joints)
        lengthened = skin_points(mean, *skin, torch.from_numpy(np.asarray(matrices)))
        out.append(delta - (lengthened - mean).numpy())
    return np.stack(out)


def with_head_of(own: BodyShape, figure: BodyShape) -> tuple[BodyShape, float]:
    """The figure with the head of another body, in the size of its own; and the factor of that size."""
    joint = INDEX["head"]
    size = head_size(figure.joint_heads) / head_size(own.joint_heads)
    there = lambda points: figure.joint_heads[joint] + size * (points - own.joint_heads[joint])  # noqa: E731
    share = _head_share(load_template())[:, None]
    vertices = figure.vertices + share * (there(own.vertices) - figure.vertices)
    heads, tails = figure.joint_heads.copy(), figure.joint_tails.copy()
    rows = [INDEX[name] for name in HEAD]
    heads[rows], tails[rows] = there(own.joint_heads[rows]), there(own.joint_tails[rows])
    return BodyShape(vertices.astype(np.float32), heads, tails), size


def _head_share(template: Template) -> np.ndarray:
    """[Nv] 0..1."""
    rows = np.isin(template.skin_indices, [INDEX[name] for name in HEAD])
    return (template.skin_weights * rows).sum(1)


def linear_maps(template: Template, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """[Nv,3,3] that take the neighbourhood of every vertex on one surface [Nv,3] to that on another, and
    unit normals to unit normals (least squares over the triangles' edges).
    """
    a, b, c = template.faces.T
    ends = np.concatenate([np.stack(pair, 1) for pair in ((a, b), (b, c), (c, a))])
    spread, mixed, size = (np.zeros((len(before), *shape)) for shape in ((3, 3), (3, 3), ()))
    edges = [surface[ends[:, 1]].astype(np.float64) - surface[ends[:, 0]] for surface in (before, after)]
    for total, other in ((spread, edges[0]), (mixed, edges[1])):
        _add(total, ends, other[:, :, None] * edges[0][:, None])
    _add(size, ends, (edges[0] ** 2).sum(1))
    normals = [vertex_normals(surface, template.faces) for surface in (before, after)]
    for total, other in ((spread, normals[0]), (mixed, normals[1])):
        total += size[:, None, None] * other[:, :, None] * normals[0][:, None] + FLAT**2 * np.eye(3)
    mean = _averaging(ends, len(before))
    for _ in range(ROUNDS):
        spread, mixed = ((mean @ total.reshape(-1, 9)).reshape(-1, 3, 3) for total in (spread, mixed))
    return np.linalg.solve(spread, mixed.transpose(0, 2, 1)).transpose(0, 2, 1)


def _add(total: np.ndarray, ends: np.ndarray, values: np.ndarray) -> None:
    """Adds values [e,...] of edges [e,2] to both of their ends."""
    flat = values.reshape(len(values), -1)
    for column in range(flat.shape[1]):
        weight = np.repeat(flat[:, column], 2)
        total.reshape(len(total), -1)[:, column] += np.bincount(ends.ravel(), weight, len(total))


def _averaging(ends: np.ndarray, count: int) -> csr_matrix:
    """[n,n]: a vertex and its neighbours, evenly."""
    pairs = np.concatenate([ends, ends[:, ::-1], np.repeat(np.arange(count)[:, None], 2, 1)])
    links = csr_matrix((np.ones(len(pairs)), pairs.T), (count, count))
    links.data[:] = 1
    return csr_matrix((1 / np.asarray(links.sum(1)).ravel(), (range(count),) * 2)) @ links
