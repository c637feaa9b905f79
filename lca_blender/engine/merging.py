# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars and meshes as one picture, pass by pass; and the passes that are made of others."""

from collections.abc import Iterable

import bpy
import numpy as np

from ..backend.raster import Camera
from .cryptomatte import mattes, names_of
from .passes import CRYPTOMATTES, NOTHING_DEPTH, OBJECT_INDEX, Pictures

# Of one surface at each pixel, which cannot be mixed: the avatar's where it covers half.
HARD = ("Depth", "Position", "Normal", "Vector", OBJECT_INDEX, "Material Index", "IndexMA", "UV")


def finish(
    own: Pictures, below: Pictures, names: Iterable[str], camera: Camera, mist, shown: list[bpy.types.Object]
) -> Pictures:
    """The passes `names` [H,W,C] of avatars over what lies below them.

    own: painted passes, with Cover [H,W,1], and People [H,W,A] in the order of the avatars `shown`. below:
    passes of the meshes; what is not there is empty. mist: start, depth, falloff, as `WorldMistSettings` has
    them.
    """
    cover = own["Cover"]
    own = own | derived(own, names, camera, mist, shown)
    if "Depth" in below:
        made = derived({"Depth": below["Depth"]}, names, camera, mist, [])
        below = made | below
    result = {}
    for name in names:
        if name.startswith(tuple(CRYPTOMATTES)):
            continue
        empty = np.float32(1.0 if name == "Mist" else 0.0)
        front, back = own.get(name), below.get(name)
        if name == "Combined" and back is None:
            result[name] = front
        elif name in HARD and back is not None:
            result[name] = np.where(cover >= 0.5, empty if front is None else front, back)
        elif name == "Mist":
            back = np.where(below["Depth"] < NOTHING_DEPTH, back, empty) if back is not None else empty
            result[name] = cover * front + (1 - cover) * back
        elif front is None:
            result[name] = back * (1 - cover)
        else:
            result[name] = front if back is None else front + (1 - cover) * back
    for kind in CRYPTOMATTES:
        ranks = [name for name in names if name.startswith(kind)]
        if ranks:
            called = [names_of(obj)[kind] for obj in shown]
            behind = [below[name] for name in ranks] if ranks[0] in below else None
            made = mattes(called, own["People"], cover, behind, len(ranks))
            result |= dict(zip(ranks, made, strict=True))
    return {name: np.ascontiguousarray(result[name], np.float32) for name in names}


def derived(own: Pictures, names: Iterable[str], camera: Camera, mist, shown) -> Pictures:
    """Mist, Position and Object Index of painted passes."""
    found = {}
    if "Mist" in names:
        found["Mist"] = mist_of(distances(own["Depth"], camera), mist)
    if "Position" in names:
        found["Position"] = np.where(own["Depth"] < NOTHING_DEPTH, positions(own["Depth"], camera), 0)
    if OBJECT_INDEX in names and "People" in own:
        numbers = np.array([obj.pass_index for obj in shown], np.float32)
        most = own["People"].argmax(-1) if shown else np.zeros(own["Cover"].shape[:2], int)
        numbers = numbers[most][..., None] if shown else np.zeros_like(own["Cover"])
        found[OBJECT_INDEX] = np.where(own["Cover"] >= 0.5, numbers, 0)
    return found


def camera_points(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """Camera points [H,W,3] at the pixel centres of a depth image [H,W,1], metres."""
    x = (np.arange(camera.width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
    y = (np.arange(camera.height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
    ways = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width))], -1)
    if camera.orthographic:
        return np.concatenate([ways[..., :2], depth], -1)
    return ways * depth


def positions(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """World points [H,W,3] of a depth image [H,W,1]."""
    to_world = np.linalg.inv(camera.viewmat)
    return camera_points(depth, camera) @ to_world[:3, :3].T + to_world[:3, 3]


def distances(depth: np.ndarray, camera: Camera) -> np.ndarray:
    """How far [H,W,1] the points of a depth image are from the camera, as Cycles measures mist."""
    if camera.orthographic:
        return np.abs(depth)
    return np.linalg.norm(camera_points(depth, camera), axis=-1, keepdims=True)


def mist_of(distance: np.ndarray, mist) -> np.ndarray:
    """0 before the mist begins, 1 where it ends; its falloff as in Cycles."""
    share = np.clip((distance - mist.start) / max(mist.depth, 1e-6), 0, 1)
    return share ** {"LINEAR": 1.0, "QUADRATIC": 2.0, "INVERSE_QUADRATIC": 0.5}[mist.falloff]
