# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people with the same triangles: move landmarks and bones, then fall onto the other body's surface.

Build time only. The differences of such bodies, one parameter at a time, are the template's shape basis.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.interpolate import RBFInterpolator

from .face_fields import close_mouth
from .implicit.body import Body
from .implicit.head import eye_centre
from .implicit.parameters import BodyParameters, for_sex, to_centimetres, to_metres, with_face
from .meshing import project
from .pose import bone_stretch
from .skeleton import INDEX, JOINT_NAMES, joint_places

HEAD_FADE = (-19.0, 4.0)  # head-local height where the landmarks' pull begins, and over how much it grows

# name -> (face parameter, one sigma)
FACE_SHAPES = {
    "head_width": ("width", 0.035), "jaw_width": ("jaw", 0.05), "brow": ("brow", 0.35),
    "nose_length": ("nose_length", 0.06), "nose_width": ("nose_width", 0.11),
    "nose_projection": ("nose_projection", 0.16), "nose_hook": ("nose_hook", 0.12), "lips": ("lip", 0.16),
    "mouth_width": ("mouth_width", 0.16), "chin": ("chin", 0.25), "cheeks": ("cheek", 0.4),
    "cheek_fullness": ("fullness", 0.5), "eye_distance": ("eye_x", 0.12), "eye_size": ("eye_height", 0.12),
    "eye_tilt": ("eye_tilt", 0.09), "ear_size": ("ear", 0.06), "face_length": ("length", 0.04),
}  # fmt: skip
BODY_SHAPES = {
    "weight": ("fat", 0.45), "muscle": ("muscle", 0.4), "bust": ("bust", 0.3),
    "shoulder_width": ("shoulders", 0.9),
    "hip_width": ("hips", 0.9),
}  # fmt: skip
BONE_SHAPES = {"leg_length": 0.035, "arm_length": 0.03}
HEIGHT_SIGMA, HEAD_FOLLOWS_HEIGHT = 6.7 / 169.2, 0.35
SHAPE_NAMES = ("sex", "height", *BODY_SHAPES, *BONE_SHAPES, *FACE_SHAPES)


def landmarks(face):
    """About sixty points of the head [n, 3] that follow from the face parameters; head-local centimetres."""
    length, width, out = face.nose_length, face.nose_width, face.nose_projection - 1
    tip_y, tip_z, ex, half, w = -3.65 * length, 10.72 + 1.5 * out, face.eye_x, face.mouth_width, face.width
    jaw, tilt = w * face.jaw, face.eye_tilt
    points = np.array([
        (0, 11.6, -0.4), (7.65 * w, 3, -0.4), (0, 3, -10.3), (0, 5, 9.0), (0, 1.9, 9.6), (2.6, 1.8, 8.9),
        (5.0 * w, 1.3, 7.0), (6.9 * w, 0, 4), (ex, 0, 8.3), (ex - 1.5, -0.12 - 0.84 * tilt, 8.0),
        (ex + 1.5, -0.12 + 1.16 * tilt, 7.4), (ex, 0.44 * face.eye_height, 8.3),
        (ex, -0.47 * face.eye_height, 8.3),
        (ex, 1.0, 8.4), (ex, -1.2, 8.1), (0, 0.3, 9.1), (0, -1.7 * length, 9.9 + 0.7 * out + face.nose_hook),
        (0, tip_y, tip_z + 0.9), (1.85 * width, -4 * length, 9.5), (0, -4.8 * length, 9.9 + 0.5 * out),
        (0.66 * width, -4.6 * length, 10 + 0.6 * out), (0, -6.2, 10.1), (half, -7.05, 8.3), (0, -7.04, 9.8),
        (0, -8.05, 10), (0, -8.95, 9.4), (0, -10.4, 9.75 + face.chin), (0, -11.7, 8.4 + face.chin),
        (5.6 * jaw, -8, 1.5), (5.0 * w, -3, 7.3), (4.9 * jaw, -9, 4.0), (7.5 * w, -4.7 * face.ear, -1.2),
        (7.6 * w, 1.5 * face.ear, -1.8), (8.6 * w, -1.6, -2.6), (5.5, -15, -2), (0, -16, 2.5), (0, -16, -9),
        (3.0, -16, 0),
    ])  # fmt: skip
    drop = np.minimum(np.maximum(points[:, 1], -12.0), 0.0) * (face.length - 1)
    points[:, 1] += drop * np.clip((points[:, 2] + 2) / 5, 0, 1) * np.clip((points[:, 1] + 20) / 8, 0, 1)
    mirrored = points[points[:, 0] > 0] * np.array([-1, 1, 1])
    return np.concatenate([points, mirrored])


@dataclass
class Rest:
    """The template before its lips are closed: what identities are warped from. Body centimetres."""

    vertices: np.ndarray
    weights: np.ndarray  # dense [n, 58]
    body: Body
    heads: np.ndarray
    is_skin: np.ndarray  # bool [n]; eyes, teeth and tongue are carried, not projected
    fixed: np.ndarray  # bool [n]: the rim hidden behind the eyeballs, carried too


def bone_warp(vertices, weights, heads, new_heads):
    """Carries points along as bones move and lengthen (linear blend of `bone_stretch`). Metres, Z up."""
    stretch = bone_stretch(heads, new_heads)
    shift = new_heads - np.einsum("jab,jb->ja", stretch, heads)
    linear = np.einsum("nj,jab->nab", weights, stretch)
    return np.einsum("nab,nb->na", linear, vertices) + weights @ shift


def warp_to(rest, parameters):
    """Vertices (lips still open) [n, 3] and joint heads [58, 3] of another body; body centimetres."""
    body = Body(parameters)
    new_heads, _ = joint_places(body)
    old, new = to_metres(rest.heads), to_metres(new_heads)
    moved = to_centimetres(bone_warp(to_metres(rest.vertices), rest.weights, old, new))
    q = rest.body.head_local(rest.vertices)
    share = np.clip((q[:, 1] - HEAD_FADE[0]) / HEAD_FADE[1], 0, 1)[:, None]
    at = landmarks(rest.body.parameters.face)
    pull = RBFInterpolator(at, landmarks(parameters.face) - at, kernel="linear", smoothing=0.05)
    touched = share[:, 0] > 0
    in_head = np.zeros_like(moved)
    in_head[touched] = body.from_head(q[touched] + pull(q[touched]))
    moved = moved + share * (in_head - moved)
    moved = _carry_eyes(moved, rest, body)
    skin = rest.is_skin & ~rest.fixed
    moved[skin] = project(moved[skin], body.distance, steps=3, limit=0.5)
    return moved, new_heads, body


def _carry_eyes(moved, rest, body):
    """Eyeballs and the rim behind them are rigid: they go where their centre goes."""
    for side, sign in (("L", 1), ("R", -1)):
        whole = rest.weights[:, INDEX[f"eye.{side}"]] > 0.5
        whole |= rest.fixed & (rest.vertices[:, 0] * sign > 0)
        flip = np.array([sign, 1, 1])
        local = rest.body.head_local(rest.vertices[whole]) - eye_centre(rest.body.parameters.face) * flip
        moved[whole] = body.from_head(local + eye_centre(body.parameters.face) * flip)
    return moved


def closed(vertices, rest, body):
    """Lips together; metres, Z up."""
    out = np.array(vertices, float)
    q = body.head_local(out)
    face = body.parameters.face
    near = rest.is_skin & (q[:, 1] > -12 * face.length)
    straight = q[near].copy()
    lengthened = 1.0
    if face.length != 1:
        straight = body.head.stretch(straight)
        lengthened = face.length
    change = close_mouth(straight, face) - straight
    change[:, 1] *= lengthened
    out[near] = body.from_head(q[near] + change)
    return to_metres(out)


def parameters_at(name, value):
    """The mean body with one shape at `value` sigmas; None for shapes that only move bones."""
    mean = BodyParameters()
    if name == "sex":
        return for_sex(0.5 + 0.5 * value)
    if name in BODY_SHAPES:
        key, sigma = BODY_SHAPES[name]
        changed = replace(mean, **{key: getattr(mean, key) + value * sigma})
        if name == "weight":
            changed = with_face(changed, fullness=0.35 * value)
        return changed
    if name in FACE_SHAPES:
        key, sigma = FACE_SHAPES[name]
        return with_face(mean, **{key: getattr(mean.face, key) + value * sigma})
    return None


def shape_difference(name, rest):
    """(vertex delta [n, 3], joint delta [58, 3]) of one sigma, metres, by a central difference."""
    if name == "height":
        return _height(rest)
    if name in BONE_SHAPES:
        return _bone_shape(name, rest)
    ends = []
    for value in (1.0, -1.0):
        vertices, heads, body = warp_to(rest, parameters_at(name, value))
        ends.append((closed(vertices, rest, body), to_metres(heads)))
    return (ends[0][0] - ends[1][0]) / 2, (ends[0][1] - ends[1][1]) / 2


def _height(rest):
    """Everything grows from the ground; the head less than the rest."""
    vertices, heads = closed(rest.vertices, rest, rest.body), to_metres(rest.heads)
    is_head = np.array([name in ("head", "jaw", "eye.L", "eye.R") for name in JOINT_NAMES])
    neck = heads[INDEX["head"]]
    less = (1 - HEAD_FOLLOWS_HEIGHT) * HEIGHT_SIGMA
    share = rest.weights[:, is_head].sum(1, keepdims=True)
    joint = heads * HEIGHT_SIGMA - np.where(is_head[:, None], (heads - neck) * less, 0)
    return vertices * HEIGHT_SIGMA - share * (vertices - neck) * less, joint


def _bone_shape(name, rest):
    heads = to_metres(rest.heads)
    new, stretch = heads.copy(), BONE_SHAPES[name]
    for side in "LR":
        chain = (
            ("thigh", "shin", "foot")
            if name == "leg_length"
            else ("upper_arm", "forearm", "forearm_twist", "hand")
        )
        below = {
            "foot": ["toe"],
            "hand": [
                n.split(".")[0]
                for n in JOINT_NAMES
                if n.endswith("1.L") or n.endswith("2.L") or n.endswith("3.L")
            ],
        }
        chain = [INDEX[f"{n}.{side}"] for n in chain]
        for a, b in pairwise(chain):
            new[b] = new[a] + (heads[b] - heads[a]) * (1 + stretch)
        last = JOINT_NAMES[chain[-1]].split(".")[0]
        for child in below[last]:
            j = INDEX[f"{child}.{side}"]
            new[j] = heads[j] + new[chain[-1]] - heads[chain[-1]]
    new[:, 2] += heads[INDEX["foot.L"], 2] - new[INDEX["foot.L"], 2]  # the soles stay on the ground
    vertices = closed(rest.vertices, rest, rest.body)
    return bone_warp(vertices, rest.weights, heads, new) - vertices, new - heads
