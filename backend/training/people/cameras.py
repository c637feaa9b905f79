# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that frame a posed person as photographs do."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...body.skeleton import INDEX
from ...body.template import load_template
from ...raster.camera import Camera, look_at
from .lights import direction

# Half sizes of the head with hair about the point midway between the pupils' level and mid-head, metres.
_HEAD = (0.1, 0.125, 0.15)


@lru_cache(maxsize=1)
def _landmarks() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Canonical points of the mean template that reach as far as the body does: per region (joints [p],
    points [p, 3]).
    """
    template = load_template()
    heads, tails, centre = template.joint_heads, template.joint_tails, np.asarray(template.head_centre)
    corners = np.stack(np.meshgrid(*[(-1, 1)] * 3), -1).reshape(-1, 3)
    head = [("head", centre + np.array(_HEAD) * corner) for corner in corners]
    trunk, legs = [], []
    for side, sign in (("L", 1), ("R", -1)):
        at = {
            name: heads[INDEX[f"{name}.{side}"]] for name in ("upper_arm", "thigh", "shin", "foot", "forearm")
        }
        trunk += [(f"upper_arm.{side}", at["upper_arm"] + [0, y, 0.05]) for y in (-0.07, 0.07)]
        trunk += [(f"forearm.{side}", at["forearm"] + [0, y, 0]) for y in (-0.06, 0.06)]
        trunk += [("pelvis", at["thigh"] + [sign * 0.1, y, 0]) for y in (-0.15, 0.15)]
        trunk += [(f"{f}3.{side}", tails[INDEX[f"{f}3.{side}"]]) for f in ("thumb", "middle", "pinky")]
        legs += [(f"shin.{side}", at["shin"] + [0, y, 0]) for y in (-0.08, 0.08)]
        legs.append((f"toe.{side}", tails[INDEX[f"toe.{side}"]]))
        legs += [
            (f"foot.{side}", at["foot"] + offset) for offset in ([0, 0.08, -0.08], [sign * 0.07, 0, -0.08])
        ]
    shoulders = [p for p in trunk if p[0].startswith("upper_arm")]
    regions = {"head": head, "bust": head + shoulders, "upper": head + trunk, "body": head + trunk + legs}
    return {
        name: (np.array([INDEX[j] for j, _ in points]), np.array([p for _, p in points]))
        for name, points in regions.items()
    }


def body_extent(transforms: np.ndarray, region: str = "body") -> np.ndarray:
    """World points [p, 3] on the outside of a posed person; region "body", "upper", "bust" or "head".

    transforms [J, 4, 4] as in `View.transforms`.
    """
    joints, points = _landmarks()[region]
    matrices = np.asarray(transforms, np.float64)[joints]
    return (matrices[:, :3, :3] @ points[:, :, None])[:, :, 0] + matrices[:, :3, 3]


def frame(
    points, eye, width: int, height: int, fill: float = 0.9, shift=(0.0, 0.0), roll: float = 0.0
) -> Camera:
    """A camera at `eye` whose picture holds world points [p, 3], which fill `fill` of its tighter side.

    shift moves them by shares of the free space, -1..1; roll in degrees. The crop is free: the principal
    point lies where the cut leaves it, as in a photograph cropped to a person.
    """
    points = np.asarray(points, np.float64)
    viewmat = look_at(eye, 0.5 * (points.min(0) + points.max(0)))
    turn = np.eye(4)
    c, s = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    turn[:2, :2] = [[c, -s], [s, c]]
    viewmat = turn @ viewmat
    seen = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    flat = seen[:, :2] / np.maximum(seen[:, 2:], 0.05)
    low, high = flat.min(0), flat.max(0)
    size = np.array([width, height])
    focal = fill * float((size / (high - low)).min())
    room = size - focal * (high - low)
    corner = 0.5 * room * (1 + np.clip(shift, -1, 1))
    centre = corner - focal * low
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    return Camera(viewmat, K, width, height)


def _around(points, azimuth, elevation, distance):
    centre = 0.5 * (points.min(0) + points.max(0))
    eye = centre + distance * direction(azimuth, elevation)
    eye[2] = max(eye[2], 0.05)
    return eye


def studio_ring(transforms, count: int, width: int, height: int, elevation=4.0, distance=4.0, region="body"):
    """`count` cameras evenly round the person, the first in front, then towards their left."""
    points = body_extent(transforms, region)
    return [
        frame(points, _around(points, 360 * i / count, elevation, distance), width, height, 0.92)
        for i in range(count)
    ]


def facing(transforms: np.ndarray, joint: str = "pelvis") -> float:
    """Azimuth in degrees towards which a joint's canonical front looks, 0 for -Y, growing towards +X."""
    ahead = -np.asarray(transforms, np.float64)[INDEX[joint], :3, 1]
    return float(np.degrees(np.arctan2(ahead[0], -ahead[1])))


def body_camera(
    rng: np.random.Generator, transforms, width: int, height: int, region: str = "body"
) -> Camera:
    """The whole body from anywhere: half of the time within 70 degrees of the front, at head to hip height
    mostly.
    """
    azimuth = facing(transforms) + (rng.uniform(-70, 70) if rng.random() < 0.5 else rng.uniform(0, 360))
    return _random(rng, transforms, azimuth, region, (2.2, 7.0), width, height)


def upper_body_camera(rng: np.random.Generator, transforms, width: int, height: int) -> Camera:
    """Head, arms and trunk; the legs leave the picture."""
    azimuth = facing(transforms) + rng.uniform(-110, 110)
    return _random(rng, transforms, azimuth, "upper", (1.4, 4.0), width, height)


def head_camera(rng: np.random.Generator, transforms, width: int, height: int) -> Camera:
    """Head, or head and shoulders, mostly from the front half of the head."""
    azimuth = facing(transforms, "head") + (rng.normal(0, 38) if rng.random() < 0.85 else rng.uniform(0, 360))
    region = "head" if rng.random() < 0.65 else "bust"
    return _random(rng, transforms, azimuth, region, (0.6, 2.5), width, height, spread=11.0)


def _random(rng, transforms, azimuth, region, distances, width, height, spread=13.0):
    elevation = float(np.clip(rng.normal(4, spread), -25, 50))
    distance = float(np.exp(rng.uniform(*np.log(distances))))
    return from_direction(rng, transforms, azimuth, elevation, distance, region, width, height)


def from_direction(
    rng: np.random.Generator, transforms, azimuth, elevation, distance, region: str, width: int, height: int
) -> Camera:
    """A region of the person seen from a direction (degrees) and distance (metres), framed by hand: somewhat
    loose, off centre, tilted.
    """
    points = body_extent(transforms, region)
    eye = _around(points, azimuth, elevation, distance)
    return frame(
        points, eye, width, height, rng.uniform(0.76, 0.96), rng.uniform(-1, 1, 2), rng.normal(0, 2.0)
    )
