# SPDX-License-Identifier: GPL-3.0-or-later
"""A synthetic person, posed and lit, seen through a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from ..body.expression import apply_face_joints
from ..body.pose import joint_transforms
from ..body.template import load_template
from .lights import Light, neutral_light
from .mesh_raster import rasterize_mesh, shading_points
from .occlusion import ambient_visibility, key_visibility

_JIT = {"cache": True, "nogil": True}


@dataclass(frozen=True)
class View:
    """One picture. rgba [H, W, 4] uint8 sRGB, straight alpha (colour 0 where alpha is 0).

    template_map [H, W, 3] float16: the point of the mean template's canonical surface each pixel shows
    (clothes and hair show the point below), 0 where alpha is 0; the surface that fills most of a pixel
    counts. transforms [J, 4, 4]: mean template's canonical space -> this posed person, bone lengths
    included. Jaw and eyes are NOT turned in them: `apply_face_joints` adds that from expression and gaze, as
    it does when an avatar is driven. normal [H, W, 3] float16 world, albedo [H, W, 3] uint8 sRGB, depth [H,
    W] metres (0 nothing): only if asked for.
    """

    rgba: np.ndarray
    template_map: np.ndarray
    transforms: np.ndarray
    normal: np.ndarray | None = None
    albedo: np.ndarray | None = None
    depth: np.ndarray | None = None


@dataclass(frozen=True)
class Posed:
    """A posed person's mesh: points [n, 3], normals [n, 3] unit, in world metres, and the transforms of
    `View`.
    """

    points: np.ndarray
    normals: np.ndarray
    transforms: np.ndarray


def pose_person(person, rotations, expression=None, gaze=None, root=None, template=None) -> Posed:
    """Expression, then jaw and eyes, then linear blend skinning.

    rotations [J, 3] joint-local axis-angle; expression [52] ARKit weights; gaze [2, 2] (yaw, pitch) radians
    of the left and right eye; root [3] metres added to the pelvis.
    """
    template = load_template() if template is None else template
    expression = np.zeros(52, np.float32) if expression is None else np.asarray(expression, np.float32)
    gaze = np.zeros((2, 2), np.float32) if gaze is None else np.asarray(gaze, np.float32)
    root = np.zeros(3, np.float32) if root is None else np.asarray(root, np.float32)
    heads = np.asarray(person.joint_heads, np.float32)
    rotations = np.asarray(rotations, np.float32)
    transforms = joint_transforms(template, rotations, root, joint_heads=heads)
    with_face = np.asarray(apply_face_joints(transforms, expression, gaze), np.float64)
    # The mesh is already in the person's canonical space: undo the step from the mean template to it.
    to_person = joint_transforms(template, np.zeros_like(rotations), joint_heads=heads).astype(np.float64)
    mesh_transforms = (with_face @ np.linalg.inv(to_person)).astype(np.float32)
    rest = _with_expression(person, expression)
    points = skin_mesh(
        rest, person.skin_indices, person.skin_weights, np.ascontiguousarray(mesh_transforms[:, :3])
    )
    return Posed(points, mesh_normals(points, person.faces), transforms.astype(np.float32))


def _with_expression(person, expression: np.ndarray) -> np.ndarray:
    active = np.flatnonzero(expression)
    rest = np.array(person.vertices, np.float32)
    if len(active) and len(person.expression_index):
        rest[person.expression_index] += np.tensordot(expression[active], person.expression_deltas[active], 1)
    return rest


def render_person(
    person, rotations, camera, expression=None, gaze=None, root=None, light: Light | None = None, *,
    samples: int = 2, shade_every_sample: bool = False, extras: bool = False, template=None,
) -> View:  # fmt: skip
    """Draws one view of a `Person`.

    camera: anything with viewmat [4, 4], K [3, 3], width, height. light: `neutral_light()` unless given.
    `samples` x `samples` visibility samples a pixel; colours are evaluated once per surface and pixel, or at
    every sample when `shade_every_sample` (finer brows and prints, about twice the time). Other arguments:
    `pose_person`.
    """
    posed = pose_person(person, rotations, expression, gaze, root, template)
    return render_posed(
        person, posed, camera, light, samples=samples, shade_every_sample=shade_every_sample, extras=extras
    )


def render_posed(
    person, posed: Posed, camera, light=None, *, samples=2, shade_every_sample=False, extras=False
) -> View:
    """`render_person` for a mesh that is posed already: several cameras may share one pose."""
    light = neutral_light() if light is None else light
    viewmat, K = np.asarray(camera.viewmat, np.float64), np.asarray(camera.K, np.float64)
    width, height = int(camera.width), int(camera.height)
    faces = np.ascontiguousarray(person.faces, np.int32)
    seen = rasterize_mesh(posed.points, faces, viewmat, K, width, height, samples)
    attributes = np.concatenate([person.rest_points, person.template_points, posed.normals, posed.points], 1)
    merge = 0.0 if shade_every_sample else 0.02
    places = shading_points(seen, attributes, faces, person.face_material, samples, merge)
    rest, on_template, normals, positions = np.split(places.attributes, 4, axis=1)
    eye = -viewmat[:3, :3].T @ viewmat[:3, 3]
    to_eye = _unit(eye.astype(np.float32) - positions)
    # Cloth is seen from inside too: the normal is the one that faces the viewer.
    normals = _unit(normals)
    normals = np.where((normals * to_eye).sum(1, keepdims=True) < -0.2, -normals, normals)
    albedo, roughness, specular = _materials(person.materials, places.material, rest, normals)
    sky = ambient_visibility(positions, normals, seen, viewmat, K, samples)
    key = np.ones(len(positions), np.float32)
    if light.shadow > 0 and light.key.max() > 1e-4:
        key = key_visibility(positions, normals, posed.points, faces, light.key_direction)
    linear = srgb_to_linear(albedo)
    colour = lit_colour(linear, normals, to_eye, roughness, specular, sky, key, light)
    pixels = width * height
    alpha = np.bincount(places.pixel, places.share, pixels)
    cover = np.maximum(alpha, 1e-9)[:, None]
    rgba = np.zeros((pixels, 4), np.uint8)
    rgba[:, :3] = to_bytes(linear_to_srgb(_gather(places, colour, pixels) / cover))
    rgba[:, 3] = to_bytes(alpha)
    first = np.concatenate([[True], places.pixel[1:] != places.pixel[:-1]])[: len(places.pixel)]
    target = places.pixel[first]
    shape = (height, width)

    def picture(values, kind):
        out = np.zeros((pixels, values.shape[1]), kind)
        out[target] = values[first]
        return out.reshape(*shape, -1)

    view = View(rgba.reshape(*shape, 4), picture(on_template, np.float16), posed.transforms)
    if not extras:
        return view
    albedo_picture = to_bytes(linear_to_srgb(_gather(places, linear, pixels) / cover)).reshape(*shape, 3)
    depth = positions @ viewmat[2, :3].astype(np.float32) + np.float32(viewmat[2, 3])
    return View(
        view.rgba, view.template_map, view.transforms, picture(normals, np.float16), albedo_picture,
        picture(depth[:, None], np.float32)[..., 0],
    )  # fmt: skip


def _materials(materials, index, rest, normals):
    albedo = np.zeros((len(index), 3), np.float32)
    roughness, specular = np.ones(len(index), np.float32), np.zeros(len(index), np.float32)
    for i in np.unique(index):
        chosen = np.flatnonzero(index == i)
        surface = materials[i].shade(
            np.ascontiguousarray(rest[chosen]), np.ascontiguousarray(normals[chosen])
        )
        albedo[chosen], roughness[chosen], specular[chosen] = surface
    return albedo, roughness, specular


def lit_colour(albedo, normals, to_eye, roughness, specular, sky, key, light: Light) -> np.ndarray:
    """Linear colour [p, 3] of points: environment times occlusion, wrapped key light, GGX highlight, soft
    reflections.

    albedo [p, 3] linear; sky, key [p] visibility in 0..1. Occlusion is lifted on bright surfaces, whose
    creases light each other (Jimenez et al. 2016, equation for multiple bounces).
    """
    sky = sky[:, None]
    a, b, c = 2.0404 * albedo - 0.3324, -4.7951 * albedo + 0.6417, 2.7552 * albedo + 0.6903
    bounced = np.maximum(sky, ((a * sky + b) * sky + c) * sky)
    facing = normals @ light.key_direction
    wrapped = np.clip((facing + light.wrap) / (1 + light.wrap), 0, 1)
    wrapped *= 1 - light.shadow * (1 - key)
    diffuse = light.diffuse(normals) * bounced + wrapped[:, None] * light.key
    reflectance = 0.08 * specular
    view_cosine = np.clip((normals * to_eye).sum(1), 0.05, 1)
    fresnel = environment_reflectance(reflectance, roughness, view_cosine)
    mirror = 2 * view_cosine[:, None] * normals - to_eye
    gloss = fresnel[:, None] * light.radiance(mirror) * sky
    half = _unit(to_eye + light.key_direction)
    a2 = np.maximum(roughness, 0.08) ** 4
    d = np.clip((normals * half).sum(1), 0, 1) ** 2 * (a2 - 1) + 1
    strength = reflectance * a2 / (d * d) * np.clip(facing, 0, 1) * (1 - light.shadow * (1 - key)) / 4
    highlight = np.minimum(strength, 4)[:, None] * light.key
    return ((albedo * diffuse + gloss + highlight) * light.exposure).astype(np.float32)


def environment_reflectance(reflectance, roughness, view_cosine) -> np.ndarray:
    """Share of an even environment that a rough mirror returns, [p] (Karis 2014, analytic fit of the split
    sum).
    """
    x, y = 1 - roughness, 0.0425 - 0.0275 * roughness
    a = np.minimum(x * x, np.exp2(-9.28 * view_cosine)) * x + y
    share = reflectance * (1.04 - 0.572 * roughness - 1.04 * a) + 1.04 * a + 0.022 * roughness - 0.04
    return np.where(reflectance > 0, np.maximum(share, 0), 0)


def _gather(places, values, pixels):
    weighted = values * places.share[:, None]
    return np.stack([np.bincount(places.pixel, weighted[:, k], pixels) for k in range(values.shape[1])], 1)


def srgb_to_linear(value: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 decoding, elementwise, float32."""
    value = np.clip(value, 0, 1).astype(np.float32)
    return np.where(
        value <= 0.04045,
        value / np.float32(12.92),
        ((value + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4),
    )


def linear_to_srgb(value: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 encoding after a soft shoulder above 0.7, so that highlights keep their shape; values in
    0..1.
    """
    value = np.maximum(value, 0).astype(np.float32)
    value = np.where(
        value > 0.7, 1 - np.float32(0.3) * np.exp((np.float32(0.7) - value) / np.float32(0.3)), value
    )
    return np.where(
        value <= 0.0031308,
        value * np.float32(12.92),
        np.float32(1.055) * value ** np.float32(1 / 2.4) - np.float32(0.055),
    )


def to_bytes(value: np.ndarray) -> np.ndarray:
    """0..1 -> uint8, rounded."""
    return (np.clip(value, 0, 1) * 255 + 0.5).astype(np.uint8)


def _unit(vectors):
    length = np.sqrt((vectors * vectors).sum(1, keepdims=True, dtype=np.float32))
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)


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
