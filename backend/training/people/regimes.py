# SPDX-License-Identifier: GPL-3.0-or-later
"""How people are photographed: what a capture stage records, and what one camera sees in the wild.

studio: calibrated cameras on fixed stands round a stage; several see the same instant; even light.
wild: one camera that moves round the person while they move, another instant in every picture; any light.
mixed: another pose and another camera in every picture, any light.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import cameras
from .expressions import random_expression, random_gaze, with_gaze
from .gait import run, walk
from .lights import Light, direction, neutral_light, random_light, studio_light
from .poses import dance, random_pose
from .render import Posed, pose_person

REGIMES = ("mixed", "studio", "wild")
STAGE = np.array([0.0, 0.0, 1.0])  # what the studio's cameras stand round


@dataclass(frozen=True)
class Shot:
    """All that a picture of a person is made of. expression [52]; gaze [2, 2]; shots of one `instant`, a
    number, share `posed`.
    """

    posed: Posed
    expression: np.ndarray
    gaze: np.ndarray
    camera: object
    light: Light
    is_face: bool
    instant: int


def shots(
    person, rng: np.random.Generator, regime: str, height: int, width: int, body_views: int, face_views: int
) -> Iterator[Shot]:
    """`body_views` shots of the whole or upper body, then `face_views` of the head, in one of `REGIMES`.

    Errors: ValueError for another regime.
    """
    if regime not in REGIMES:
        raise ValueError(f"There is no regime {regime!r}; there are {', '.join(REGIMES)}.")
    make = {"mixed": _mixed, "studio": _studio, "wild": _wild}[regime]
    return make(person, rng, (width, height), body_views, face_views)


def _act(person, rng, pose=None):
    """(posed, expression, gaze) of a random moment."""
    pose = random_pose(rng) if pose is None else pose
    gaze = random_gaze(rng)
    expression = with_gaze(random_expression(rng), gaze).astype(np.float32)
    return pose_person(person, pose.rotations, expression, gaze, pose.root), expression, gaze


def _mixed(person, rng, size, body_views, face_views):
    light = neutral_light() if rng.random() < 0.25 else random_light(rng)
    for v in range(body_views + face_views):
        face = v >= body_views
        posed, expression, gaze = _act(person, rng)
        if face:
            camera = cameras.head_camera(rng, posed.transforms, *size)
        elif v > 0 and rng.random() < 0.2:
            camera = cameras.upper_body_camera(rng, posed.transforms, *size)
        else:
            camera = cameras.body_camera(rng, posed.transforms, *size)
        yield Shot(posed, expression, gaze, camera, light, face, v)


def _studio(person, rng, size, body_views, face_views, together=3):
    """`together` views share an instant. Stands are every 15 degrees at three heights, the same all day; the
    pictures are cropped to the person, which the cameras' K says.
    """
    light = studio_light(rng)
    distance, start = rng.uniform(2.6, 4.2), rng.uniform(0, 15)
    heights = np.array([rng.uniform(-4, 2), rng.uniform(6, 14), rng.uniform(22, 34)])
    moments = [_act(person, rng) for _ in range(max(1, -(-body_views // together)))]

    def stand(azimuth):
        azimuth = start + 15 * np.round((azimuth - start) / 15)
        return STAGE + distance * direction(azimuth, heights[rng.choice(3, p=[0.4, 0.4, 0.2])])

    for v in range(body_views + face_views):
        face = v >= body_views
        instant = (v - body_views if face else v) % len(moments)
        posed, expression, gaze = moments[instant]
        if face:
            azimuth = cameras.facing(posed.transforms, "head") + rng.uniform(-75, 75)
            points = cameras.body_extent(posed.transforms, "head" if rng.random() < 0.65 else "bust")
        else:
            azimuth = 360 * (v + rng.uniform(-0.3, 0.3)) / max(body_views, 1)
            points = cameras.body_extent(posed.transforms)
        camera = cameras.frame(points, stand(azimuth), *size, rng.uniform(0.86, 0.96))
        yield Shot(posed, expression, gaze, camera, light, face, instant)


def _wild(person, rng, size, body_views, face_views):
    """The camera walks an arc round the person, comes closer or goes away; the head shots come from the same
    path, zoomed in.
    """
    light = random_light(rng)
    azimuth, sweep = rng.normal(0, 60), rng.choice([-1, 1]) * rng.uniform(40, 300)
    elevation = rng.normal(4, 9) + np.array([0, rng.normal(0, 10)])
    distance = np.exp(rng.uniform(np.log(1.9), np.log(6.0), 2))
    kind, cycles, first = rng.choice(4, p=[0.62, 0.16, 0.08, 0.14]), rng.uniform(0.6, 2.5), rng.random()
    order = np.concatenate([rng.permutation(body_views), rng.permutation(face_views)])
    for v in range(body_views + face_views):
        face = v >= body_views
        t = (order[v] + rng.random()) / max(face_views if face else body_views, 1)
        phase = (first + cycles * t) % 1
        pose = (
            None,
            lambda p=phase: walk(p, rng),
            lambda p=phase: run(p, rng),
            lambda p=phase: dance(p, rng),
        )[kind]
        posed, expression, gaze = _act(person, rng, pose and pose())
        tilt = float(np.clip(np.interp(t, [0, 1], elevation) + rng.normal(0, 3), -25, 50))
        turn, away = (
            azimuth + sweep * t + rng.normal(0, 6),
            float(np.exp(np.interp(t, [0, 1], np.log(distance)))),
        )
        if face:
            region = "head" if rng.random() < 0.65 else "bust"
            turn = cameras.facing(posed.transforms, "head") + 0.45 * ((turn + 180) % 360 - 180)
        else:
            region = "body" if rng.random() < 0.8 else "upper"
        camera = cameras.from_direction(rng, posed.transforms, turn, tilt, away, region, *size)
        yield Shot(posed, expression, gaze, camera, light, face, v)
