# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of synthetic people: what stands before a camera, named movements, and the whole range of the
joints.
"""

from __future__ import annotations

import numpy as np

from .figure import Figure, Pose
from .gait import run, walk
from .stance import HIP, PALMS, PLACES, angle, arm_down, bearing, hands, stance


def standing(rng) -> Pose:
    figure = Figure()
    bearing(figure, rng)
    stance(figure, rng)
    for side in "LR":
        arm_down(figure, rng, side, rng.uniform(5, 22), rng.normal(2, 8))
    hands(figure, rng)
    return figure.finish()


def contrapposto(rng) -> Pose:
    """Weight on one leg: pelvis and shoulders tilt against each other."""
    figure = Figure()
    tilt = rng.uniform(5, 11)
    figure.pelvis(side=-tilt, turn=rng.normal(0, 8))
    figure.spine(rng.normal(0, 4), tilt * rng.uniform(1.1, 1.7), rng.normal(0, 8))
    figure.head(rng.normal(3, 8), -tilt * 0.5, rng.normal(0, 20))
    figure.leg("L", 0, -tilt + rng.uniform(2, 5), rng.uniform(0, 12), 0, 0)
    knee = rng.uniform(18, 40)
    figure.leg("R", knee * 0.75, tilt + rng.uniform(2, 9), rng.uniform(5, 20), knee, knee * 0.2)
    if rng.random() < 0.5:
        arm_down(figure, rng, "L", rng.uniform(6, 18))
        figure.reach("R", HIP, (1.0, 0.5, 0.0))
        figure.hand("R", 30, 0, -20)
    else:
        for side in "LR":
            arm_down(figure, rng, side, rng.uniform(5, 20), rng.normal(0, 8))
    hands(figure, rng, "")
    return figure.finish()


def sit(rng) -> Pose:
    """On a seat that is not there: hands on the thighs, beside them, or free."""
    figure = Figure()
    bend = rng.uniform(-5, 18)
    figure.pelvis(tilt=rng.uniform(-15, 8))
    bearing(figure, rng)
    figure.spine(bend)
    for side in "LR":
        flex = rng.uniform(74, 98)
        figure.leg(
            side, flex, rng.uniform(0, 16), rng.uniform(-2, 12), flex + rng.normal(0, 9), rng.normal(3, 4)
        )
        if rng.random() < 0.65:
            on_thigh = (rng.uniform(0.12, 0.2), -rng.uniform(0.3, 0.42), rng.uniform(1.06, 1.12))
            figure.reach(side, on_thigh, (1.0, 0.4, -0.5))
            figure.palm_towards(side, (0, 0, -1))
        else:
            arm_down(figure, rng, side, rng.uniform(8, 24), rng.uniform(-12, 25), rng.uniform(5, 50))
    hands(figure, rng, "")
    return figure.finish()


def squat(rng) -> Pose:
    figure = Figure()
    depth = rng.uniform(0.35, 1.0)
    figure.pelvis(tilt=28 * depth)
    figure.spine(14 * depth, 0, rng.normal(0, 6))
    figure.head(-22 * depth, 0, rng.normal(0, 12))
    for side in "LR":
        figure.leg(side, 118 * depth, 12 + 10 * depth, 14, 122 * depth, 22 * depth)
        figure.arm(side, (0.25, -1, rng.uniform(-0.5, 0.1)), rng.uniform(5, 70))
    hands(figure, rng)
    return figure.finish()


def lunge(rng) -> Pose:
    figure = Figure()
    depth = rng.uniform(0.4, 1)
    figure.spine(rng.uniform(-5, 18), 0, rng.normal(0, 14))
    figure.head(rng.normal(0, 8), 0, rng.normal(0, 15))
    figure.leg("L", 78 * depth, 4, 4, 85 * depth, 6 * depth)
    figure.leg("R", -18 * depth, 4, 4, 48 * depth, -20 * depth, 40 * depth)
    for side in "LR":
        kind = rng.random()
        if kind < 0.4:
            figure.arm(side, (1, 0, rng.normal(0, 0.25)), rng.uniform(0, 20))
        elif kind < 0.7:
            figure.reach(side, HIP, (1.0, 0.6, 0.0))
        else:
            arm_down(figure, rng, side, 12, rng.uniform(-30, 60), rng.uniform(10, 80))
    hands(figure, rng)
    return figure.finish()


def hand_at(place: str, rng, sides="L") -> Pose:
    """Standing with the given hands at a place of the body or about it; see `PLACES`."""
    figure = Figure()
    bearing(figure, rng, 0.7)
    stance(figure, rng)
    _place_hands(figure, rng, dict.fromkeys(sides, place))
    return figure.finish()


def _place_hands(figure, rng, places, jitter=0.015):
    for side in "LR":
        place = places.get(side)
        if place is None:
            arm_down(figure, rng, side, rng.uniform(5, 22), rng.normal(2, 8))
            continue
        target, pole = PLACES[place]
        loose = 0.09 if place in ("ahead", "high", "aside") else jitter
        figure.reach(side, target + rng.normal(0, loose, 3), pole)
        if place in PALMS:
            figure.palm_towards(side, PALMS[place])
    hands(figure, rng, "")


def wave(rng, phase: float | None = None) -> Pose:
    """A raised hand, palm to the viewer."""
    figure = Figure()
    phase = rng.random() if phase is None else phase
    bearing(figure, rng, 0.7)
    stance(figure, rng)
    target = (0.42 + 0.1 * np.sin(2 * np.pi * phase), -0.18, rng.uniform(1.5, 1.75))
    figure.reach("R", target, (0.8, 0.4, -1.0))
    figure.palm_towards("R", (0, -1, 0))
    arm_down(figure, rng, "L")
    figure.fingers("R", 0.03, rng.uniform(3, 11), thumb=0)
    figure.fingers("L", 0.25)
    return figure.finish()


def crossed_arms(rng) -> Pose:
    figure = Figure()
    bearing(figure, rng, 0.6)
    stance(figure, rng)
    figure.reach("L", (-0.09, -0.2, 1.21), (1.0, -0.25, -0.8))
    figure.reach("R", (-0.09, -0.265, 1.245), (1.0, -0.25, -0.8))
    for side in "LR":
        figure.palm_towards(side, (0, 1, -0.2))
        figure.fingers(side, rng.uniform(0.2, 0.5))
    return figure.finish()


def pointing(rng) -> Pose:
    """One arm out, index finger straight."""
    figure = Figure()
    bearing(figure, rng)
    stance(figure, rng)
    figure.arm(
        "L", (rng.uniform(-0.1, 1), rng.uniform(-1, 0.1), rng.uniform(-0.5, 0.8)), rng.uniform(0, 25), 20
    )
    figure.fingers("L", [0.0, 0.85, 0.9, 0.9], thumb=0.6)
    arm_down(figure, rng, "R", rng.uniform(5, 20))
    figure.fingers("R", 0.25)
    return figure.finish()


def arms_up(rng) -> Pose:
    """Cheering or stretching: one arm or both, to the sides, overhead or folded back behind the head."""
    figure = Figure()
    bearing(figure, rng)
    stance(figure, rng)
    raised = "LR" if rng.random() < 0.7 else rng.choice(["L", "R"])
    alike = rng.random() < 0.6
    direction, bend = _raised(rng)
    for side in "LR":
        if side not in raised:
            arm_down(figure, rng, side, rng.uniform(5, 22), rng.normal(2, 8))
            continue
        if not alike:
            direction, bend = _raised(rng)
        figure.arm(side, direction + rng.normal(0, 0.06, 3), bend, rng.normal(0, 25))
    hands(figure, rng, raised)
    return figure.finish()


def _raised(rng):
    """Direction of a raised upper arm (outwards, back, up) and the bend of its elbow in degrees."""
    lift = np.radians(rng.uniform(5, 82))
    ahead = rng.uniform(-0.9, 0.12)
    return np.array([np.cos(lift), ahead * np.cos(lift), np.sin(lift)]), float(rng.beta(1, 2) * 125)


def reach(rng) -> Pose:
    """One hand to something high, ahead, aside or on the ground; trunk and legs help."""
    figure = Figure()
    to = rng.integers(4)
    bearing(figure, rng, 0.5)
    if to == 3:  # the ground
        depth = rng.uniform(0.5, 1)
        figure.pelvis(tilt=30 * depth)
        figure.spine(35 * depth, 0, rng.normal(0, 10))
        for side in "LR":
            figure.leg(side, 85 * depth, 8, 8, 75 * depth, 15 * depth)
        direction = np.array([0.15, -0.75, -1.0])
    else:
        stance(figure, rng)
        figure.spine(0, (-14, 0, 0)[to] * rng.uniform(0.3, 1), rng.normal(0, 12))
        direction = np.array([(0.15, -0.15, 1.0), (0.1, -1.0, 0.1), (1.0, -0.2, 0.2)][to])
    figure.head(rng.normal((-20, 4, 0, 15)[to], 8), 0, rng.normal(0, 15))
    figure.arm("L", direction + rng.normal(0, 0.2, 3), abs(rng.normal(0, 14)), rng.normal(0, 20))
    arm_down(figure, rng, "R", rng.uniform(5, 25), rng.normal(0, 15), rng.uniform(0, 60))
    hands(figure, rng)
    return figure.finish()


def dance(phase: float, rng) -> Pose:
    """A step of a dance, phase 0..1 over two beats: hips sway, knees give, arms swing."""
    figure = Figure()
    beat = 2 * np.pi * phase
    sway = rng.uniform(4, 13) * np.sin(beat)
    figure.pelvis(side=-sway, turn=rng.uniform(-15, 15) * np.cos(beat))
    figure.spine(rng.normal(2, 6), 1.4 * sway, rng.normal(0, 14))
    figure.head(rng.normal(0, 10), -0.6 * sway, rng.normal(0, 20))
    for side, sign in (("L", 1), ("R", -1)):
        give = 18 + 14 * sign * np.sin(beat)
        lifted = rng.random() < 0.2
        figure.leg(
            side, give * 0.6 + (35 if lifted else 0), 5 - sign * sway, rng.uniform(0, 22),
            give + (50 if lifted else 0), give * 0.4 - (25 if lifted else 0),
        )  # fmt: skip
        place = np.array([rng.uniform(0.2, 1), rng.uniform(-0.9, 0.2), rng.uniform(-0.9, 1.1)])
        swing = 0.25 * np.array([0, np.cos(beat), np.sin(beat)])
        figure.arm(side, place + sign * swing, rng.uniform(10, 110), rng.normal(0, 30))
    hands(figure, rng)
    return figure.finish()


def shrug(rng) -> Pose:
    figure = Figure()
    bearing(figure, rng, 0.7)
    stance(figure, rng)
    for side in "LR":
        figure.arm(
            side, (0.35, -0.15, -1), rng.uniform(75, 105), rng.uniform(-60, -35), shrug=rng.uniform(6, 14)
        )
        figure.hand(side, -25, 0, -60)
        figure.fingers(side, 0.1, 8)
    return figure.finish()


def one_leg(rng) -> Pose:
    """A kick, a raised knee or a step to the side, arms out for balance."""
    figure = Figure()
    kind = rng.integers(3)
    figure.spine(rng.normal(0, 8), rng.normal(0, 8), rng.normal(0, 10))
    figure.head(rng.normal(0, 8), 0, rng.normal(0, 15))
    figure.leg("L", 4, -3, 5, 8, 4)
    flex, abduct, knee = [(70, 5, 15), (88, 6, 100), (12, 40, 10)][kind]
    figure.leg("R", flex * rng.uniform(0.5, 1), abduct, rng.uniform(0, 15), knee * rng.uniform(0.7, 1.1), -15)
    for side in "LR":
        figure.arm(side, (1, rng.uniform(-0.8, 0.3), rng.uniform(-0.7, 0.5)), rng.uniform(0, 60))
    hands(figure, rng)
    return figure.finish()


def guard(rng) -> Pose:
    """Fists before the chin, one foot ahead."""
    figure = Figure()
    figure.pelvis(turn=-20)
    figure.spine(10, 0, -12)
    figure.head(8, 0, 28)
    figure.leg("L", 24, 5, 8, 28, 6)
    figure.leg("R", -6, 8, 20, 22, 16)
    figure.reach("L", (0.13, -0.4, 1.4), (0.7, 0.1, -1))
    figure.reach("R", (0.12, -0.25, 1.4), (0.7, 0.1, -1))
    for side in "LR":
        figure.fingers(side, 0.95, thumb=0.9)
    return figure.finish()


def bow(rng) -> Pose:
    figure = Figure()
    depth = rng.uniform(0.3, 1.0)
    figure.pelvis(tilt=40 * depth)
    figure.spine(38 * depth, rng.normal(0, 5), rng.normal(0, 10))
    figure.head(rng.uniform(-25, 15), 0, rng.normal(0, 12))
    for side in "LR":
        figure.leg(side, 40 * depth + 4, 2, 5, 8, 4)
        figure.arm(side, (0.3, rng.uniform(-1, -0.1), -1), rng.uniform(0, 35))
    hands(figure, rng)
    return figure.finish()


def full_range(rng, extent: float = 0.7) -> Pose:
    """Every joint anywhere within `extent` of its range."""
    figure = Figure()
    figure.spine(*(angle(rng, f"spine_{m}", extent) * 0.6 for m in ("bend", "side", "turn")))
    figure.head(*(angle(rng, f"neck_{m}", extent) for m in ("nod", "side", "turn")))
    for side in "LR":
        flex = np.radians(angle(rng, "shoulder_flex", extent))
        away = np.radians(angle(rng, "shoulder_abduct", extent))
        direction = (np.sin(away) + 0.15, -np.sin(flex) * np.cos(away / 2), -np.cos(flex) * np.cos(away))
        figure.arm(side, direction, angle(rng, "elbow", extent), 0.5 * angle(rng, "shoulder_roll", extent))
        figure.leg(
            side, *(angle(rng, f"hip_{m}", extent * 0.8) for m in ("flex", "abduct", "rotate")),
            angle(rng, "knee", extent * 0.8), angle(rng, "ankle", extent * 0.6),
        )  # fmt: skip
    hands(figure, rng)
    return figure.finish()


def _near_body(rng):
    """Each hand somewhere on or about the body."""
    figure = Figure()
    bearing(figure, rng)
    stance(figure, rng)
    names = [*PLACES, None]
    _place_hands(figure, rng, {side: names[rng.integers(len(names))] for side in "LR"})
    return figure.finish()


def _hips(rng):
    return hand_at("hip", rng, "LR")


def spread(rng) -> Pose:
    """Near the A- or the T-pose: what people take up to be captured."""
    figure = Figure()
    bearing(figure, rng, 0.3)
    stance(figure, rng)
    lift = rng.uniform(-1.2, 0.1)
    for side in "LR":
        direction = (1, rng.normal(0, 0.08), lift + rng.normal(0, 0.05))
        figure.arm(side, direction, abs(rng.normal(0, 6)), rng.normal(0, 12))
        figure.fingers(side, rng.uniform(0, 0.2), rng.uniform(0, 8))
    return figure.finish()


_SORTS = (
    (0.15, standing), (0.06, contrapposto), (0.10, lambda r: walk(r.random(), r, r.uniform(0.6, 1.3))),
    (0.05, lambda r: run(r.random(), r)), (0.07, sit), (0.03, squat), (0.04, lunge), (0.04, _hips),
    (0.04, crossed_arms), (0.05, wave), (0.04, pointing), (0.11, arms_up), (0.02, shrug), (0.04, one_leg),
    (0.02, guard), (0.02, bow), (0.10, _near_body), (0.04, spread), (0.06, full_range), (0.05, reach),
    (0.07, lambda r: dance(r.random(), r)),
)  # fmt: skip


def random_pose(rng: np.random.Generator) -> Pose:
    """A pose of any sort, mirrored half of the time; sorts in which arms or legs cross the body are drawn
    again.
    """
    weights = np.array([w for w, _ in _SORTS])
    for _ in range(8):
        pose = _SORTS[rng.choice(len(_SORTS), p=weights / weights.sum())][1](rng)
        figure = Figure.of(pose)
        if not figure.crosses_itself():
            break
    if rng.random() < 0.5:
        figure.mirror()
    return figure.finish()
