# SPDX-License-Identifier: GPL-3.0-or-later
"""A synthetic person, posed and lit, seen through a camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np

from ...body.expression import apply_face_joints
from ...body.pose import joint_transforms
from ...body.template import load_template
from ...raster.mesh_faces import rasterize_mesh
from .folds import crease, fold_vectors
from .lights import Light, neutral_light
from .occlusion import ambient_visibility, key_visibility
from .places import gather_places
from .shading import linear_to_bytes, lit_colour, srgb_to_linear

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


@dataclass(frozen=True)
class View:
    """One picture. rgba [H, W, 4] uint8 sRGB, straight alpha (colour 0 where alpha is 0).

    template_map [H, W, 3] float32: the point of the mean template's canonical surface each pixel shows
    (clothes and hair show the point below), 0 where alpha is 0; the surface that fills most of a pixel
    counts. transforms [J, 4, 4]: mean template's canonical space -> this posed person, bone lengths
    included. Jaw and eyes are NOT turned in them: `apply_face_joints` adds that from expression and gaze, as
    it does when an avatar is driven. Only if asked for: normal [H, W, 3] float16 world, creases included;
    albedo and specular (highlights and reflections) [H, W, 3] uint8 sRGB; depth [H, W] metres (0 nothing);
    shadow and occlusion [H, W] uint8: the shares of the key light and of the environment that arrive.
    """

    rgba: np.ndarray
    template_map: np.ndarray
    transforms: np.ndarray
    normal: np.ndarray | None = None
    albedo: np.ndarray | None = None
    depth: np.ndarray | None = None
    specular: np.ndarray | None = None
    shadow: np.ndarray | None = None
    occlusion: np.ndarray | None = None


@dataclass(frozen=True)
class Posed:
    """A posed person's mesh: points [n, 3], normals [n, 3] unit, in world metres, folds [n, 4] as from
    `fold_vectors`, and the transforms of `View`.
    """

    points: np.ndarray
    normals: np.ndarray
    transforms: np.ndarray
    folds: np.ndarray


def pose_person(person, rotations, expression=None, gaze=None, root=None) -> Posed:
    """Expression, then jaw and eyes, then linear blend skinning.

    rotations [J, 3] joint-local axis-angle; expression [52] ARKit weights; gaze [2, 2] (yaw, pitch) radians
    of the left and right eye; root [3] metres added to the pelvis.
    """
    template = load_template()
    expression = np.zeros(52, np.float32) if expression is None else np.asarray(expression, np.float32)
    gaze = np.zeros((2, 2), np.float32) if gaze is None else np.asarray(gaze, np.float32)
    root = np.zeros(3, np.float32) if root is None else np.asarray(root, np.float32)
    heads = np.asarray(person.joint_heads, np.float32)
    transforms = joint_transforms(template, np.array(rotations, np.float32), root, joint_heads=heads)
    with_face = np.asarray(apply_face_joints(transforms, expression, gaze), np.float64)
    mesh_transforms = (with_face @ _from_person(heads.tobytes())).astype(np.float32)
    rest = _with_expression(person, expression)
    moves = np.ascontiguousarray(mesh_transforms[:, :3])
    points = skin_mesh(rest, person.skin_indices, person.skin_weights, moves)
    folds = fold_vectors(person.vertices, points, person.faces, person.folds)
    return Posed(points, mesh_normals(points, person.faces), transforms.astype(np.float32), folds)


@lru_cache(maxsize=64)
def _from_person(heads: bytes) -> np.ndarray:
    """Matrices [J, 4, 4] from a person's own canonical space back to the mean template's, given joint heads'
    bytes.
    """
    heads = np.frombuffer(heads, np.float32).reshape(-1, 3).copy()
    to_person = joint_transforms(load_template(), np.zeros_like(heads), joint_heads=heads)
    return np.linalg.inv(to_person.astype(np.float64))


def rest_surface(person) -> np.ndarray:
    """A person's vertices [n, 3] in the mean template's canonical space: what skinning with `View.transforms`
    poses."""
    back = _from_person(np.asarray(person.joint_heads, np.float32).tobytes())
    moves = np.ascontiguousarray(back[:, :3].astype(np.float32))
    return skin_mesh(person.vertices, person.skin_indices, person.skin_weights, moves)


def _with_expression(person, expression: np.ndarray) -> np.ndarray:
    active = np.flatnonzero(expression)
    rest = np.array(person.vertices, np.float32)
    if len(active) and len(person.expression_index):
        deltas = person.expression_deltas[active]
        rest[person.expression_index] += np.einsum("a,aec->ec", expression[active], deltas)
    return rest


def render_person(
    person, rotations, camera, expression=None, gaze=None, root=None, light: Light | None = None, *,
    samples: int = 2, extras: bool = False,
) -> View:  # fmt: skip
    """Draws one view of a `Person`.

    camera: anything with viewmat [4, 4], K [3, 3], width, height. light: `neutral_light()` unless given.
    `samples` x `samples` samples a pixel decide what is seen and in which colour; light is evaluated once
    per surface and pixel. Other arguments: `pose_person`.
    """
    posed = pose_person(person, rotations, expression, gaze, root)
    return render_posed(person, posed, camera, light, samples=samples, extras=extras)


def render_posed(
    person, posed: Posed, camera, light: Light | None = None, *, samples=2, extras=False
) -> View:
    """`render_person` for a mesh that is posed already: several cameras may share one pose."""
    light = neutral_light() if light is None else light
    viewmat, K = np.asarray(camera.viewmat, np.float64), np.asarray(camera.K, np.float64)
    height, width = int(camera.height), int(camera.width)
    faces = np.ascontiguousarray(person.faces, np.int32)
    seen = rasterize_mesh(posed.points, faces, viewmat, K, width, height, samples)
    axes = rest_axes(person, posed.transforms)
    attributes = np.concatenate([posed.normals, posed.points, person.template_points, posed.folds, axes], 1)
    fine = np.concatenate([person.rest_points, posed.normals], 1)
    places = gather_places(seen, attributes, fine, faces, person.face_material, samples)
    eye = (-viewmat[:3, :3].T @ viewmat[:3, 3]).astype(np.float32)
    normals, to_eye = _towards_eye(places.attributes, eye)
    positions = np.ascontiguousarray(places.attributes[:, 3:6])
    sky = ambient_visibility(positions, normals, seen, viewmat, K, samples)
    weave = _average(places.sample_attributes[:, :3], places.place, len(places.pixel))
    crease(normals, np.ascontiguousarray(places.attributes[:, 9:13]), weave, sky)
    _relief(person.materials, places, weave, normals)
    key = np.ones(len(positions), np.float32)
    if light.shadow > 0 and light.key.max() > 1e-4:
        key = key_visibility(positions, normals, posed.points, faces, light.key_direction)
    surface = _materials(person.materials, places)
    matte, shine = lit_colour(*surface, normals, to_eye, sky, key, light)
    first = np.flatnonzero(np.diff(places.pixel, prepend=-1))

    def picture(values, kind):
        out = np.zeros((height * width, values.shape[1]), kind)
        out[places.pixel[first]] = values
        return out.reshape(height, width, -1)

    alpha = np.add.reduceat(places.share, first) if len(first) else np.zeros(0, np.float32)
    rgb = linear_to_bytes(_mix(places, matte + shine, first, alpha))
    rgba = picture(np.concatenate([rgb, (alpha * 255 + 0.5).astype(np.uint8)[:, None]], 1), np.uint8)
    view = View(rgba, picture(places.attributes[first, 6:9], np.float32), posed.transforms)
    if not extras:
        return view
    depth = positions[first] @ viewmat[2, :3].astype(np.float32) + np.float32(viewmat[2, 3])
    return replace(
        view,
        normal=picture(normals[first], np.float16),
        albedo=picture(linear_to_bytes(_mix(places, surface[0], first, alpha)), np.uint8),
        depth=picture(depth[:, None], np.float32)[..., 0],
        specular=picture(linear_to_bytes(_mix(places, shine, first, alpha)), np.uint8),
        shadow=picture(_share(_mix(places, key[:, None], first, alpha)), np.uint8)[..., 0],
        occlusion=picture(_share(_mix(places, sky[:, None], first, alpha)), np.uint8)[..., 0],
    )


def rest_axes(person, transforms) -> np.ndarray:
    """Where a posed person's vertices turn the X and Z axes of the rest space: [n, 6]."""
    turns = transforms[:, :3].copy()
    turns[:, :, 3] = 0
    axes = np.zeros((2, len(person.vertices), 3), np.float32)
    axes[0, :, 0] = axes[1, :, 2] = 1
    return np.concatenate([skin_mesh(a, person.skin_indices, person.skin_weights, turns) for a in axes], 1)


def _relief(materials, places, rest, normals):
    """Tilts the normals [P, 3], in place, by the relief of those materials that have one (`slopes`)."""
    material = np.zeros(len(normals), np.uint8)
    material[places.place] = places.material
    for i in np.unique(material):
        if hasattr(materials[i], "slopes"):
            chosen = np.flatnonzero(material == i)
            slopes = materials[i].slopes(rest[chosen])
            _tilt(normals, chosen, slopes, np.ascontiguousarray(places.attributes[chosen, 13:19]))


@numba.njit(**_JIT)
def _tilt(normals, chosen, slopes, axes):
    """Unit normals [P, 3] of the places chosen [p] less the part of their slopes [p, 3] (rest space, whose X
    and Z axes point to axes [p, 6]) that runs along the surface."""
    g = np.empty(3, np.float32)
    for k in range(len(chosen)):
        n, x, z = normals[chosen[k]], axes[k, :3], axes[k, 3:]
        along = np.float32(0)
        for c in range(3):
            d, e = (c + 1) % 3, (c + 2) % 3
            y = z[d] * x[e] - z[e] * x[d]
            g[c] = slopes[k, 0] * x[c] + slopes[k, 1] * y + slopes[k, 2] * z[c]
            along += g[c] * n[c]
        size = np.float32(0)
        for c in range(3):
            n[c] -= g[c] - along * n[c]
            size += n[c] ** 2
        for c in range(3):
            n[c] /= np.sqrt(size)


def _share(values):
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _mix(places, values, first, alpha):
    """Average [pixels, 3] of the places of each pixel, weighted by their shares."""
    if not len(first):
        return np.zeros((0, 3), np.float32)
    return np.add.reduceat(values * places.share[:, None], first, axis=0) / alpha[:, None]


def _materials(materials, places):
    """Linear albedo [P, 3], roughness [P] and specular [P] of the places: means over their samples."""
    index, rest, normals = places.material, places.sample_attributes[:, :3], places.sample_attributes[:, 3:]
    values = np.zeros((len(index), 5), np.float32)
    for i in np.unique(index):
        chosen = np.flatnonzero(index == i)
        surface = materials[i].shade(
            np.ascontiguousarray(rest[chosen]), np.ascontiguousarray(normals[chosen])
        )
        values[chosen, :3] = srgb_to_linear(surface.albedo)
        values[chosen, 3], values[chosen, 4] = surface.roughness, surface.specular
    mean = _average(values, places.place, len(places.pixel))
    return mean[:, :3], np.ascontiguousarray(mean[:, 3]), np.ascontiguousarray(mean[:, 4])


@numba.njit(**_JIT)
def _average(values, place, count):
    out = np.zeros((count, values.shape[1]), np.float32)
    number = np.zeros(count, np.float32)
    for i in range(len(place)):
        number[place[i]] += 1
        for c in range(values.shape[1]):
            out[place[i], c] += values[i, c]
    for p in range(count):
        for c in range(values.shape[1]):
            out[p, c] /= number[p]
    return out


@numba.njit(**_JIT)
def _towards_eye(attributes, eye):
    """Unit normals [P, 3] turned to the viewer where cloth is seen from inside, and unit directions to the
    eye.
    """
    normals = np.empty((len(attributes), 3), np.float32)
    to_eye = np.empty((len(attributes), 3), np.float32)
    for i in range(len(attributes)):
        n, v, dot = np.float32(1e-12), np.float32(1e-12), np.float32(0)
        for c in range(3):
            to_eye[i, c] = eye[c] - attributes[i, 3 + c]
            n += attributes[i, c] ** 2
            v += to_eye[i, c] ** 2
            dot += attributes[i, c] * to_eye[i, c]
        n, v = np.sqrt(n), np.sqrt(v)
        side = np.float32(-1) if dot < np.float32(-0.2) * n * v else np.float32(1)
        for c in range(3):
            normals[i, c] = side * attributes[i, c] / n
            to_eye[i, c] /= v
    return normals, to_eye


@numba.njit(**_JIT)
def skin_mesh(points, skin_indices, skin_weights, transforms):
    """Points [n, 3], indices and weights [n, k], transforms [J, 3, 4] -> posed points [n, 3] float32."""
    out = np.empty((len(points), 3), np.float32)
    m = np.empty((3, 4), np.float32)
    for i in range(len(points)):
        m[:] = 0
        for k in range(skin_indices.shape[1]):
            w = skin_weights[i, k]
            if w == 0:
                continue
            g = transforms[skin_indices[i, k]]
            for r in range(3):
                for c in range(4):
                    m[r, c] += w * g[r, c]
        for r in range(3):
            out[i, r] = m[r, 0] * points[i, 0] + m[r, 1] * points[i, 1] + m[r, 2] * points[i, 2] + m[r, 3]
    return out


@numba.njit(**_JIT)
def mesh_normals(points, faces):
    """Area-weighted unit vertex normals [n, 3] float32."""
    out = np.zeros((len(points), 3), np.float32)
    for t in range(len(faces)):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            out[i, 0] += nx
            out[i, 1] += ny
            out[i, 2] += nz
    for i in range(len(out)):
        length = np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2)
        if length > 0:
            out[i] /= length
    return out
