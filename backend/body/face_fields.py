# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit expressions as displacement fields. Build time only; head-local centimetres (x left, y up, z
forward).

Most are sums of bells, listed in `BELLS`; lids, lips that press or part, puffed cheeks and the tongue have
functions of their own. Turning the jaw is the jaw joint's work, so the jaw shapes hold only what bone does
not do.
"""

from dataclasses import dataclass

import numpy as np

from .implicit.head import eye_centre, lid_curves, mouth_line

JAW_PIVOT, JAW_OPEN, JAW_SLIDE = np.array([0.0, -2.0, -0.2]), np.deg2rad(20.0), np.array([0.0, -0.24, 0.32])

LOOK_PITCH = {"Up": np.deg2rad(20), "Down": np.deg2rad(-25)}

# shape -> (lip, centre, sigma, displacement for the left side). lip: 0 all, 1 above the mouth line, -1 below.
# Centres written with "m" in x sit at the corner of the mouth, with "e" at the pupil.
BELLS = {
    "mouthSmile": [
        (0, ("m", 0.15, -7.0, 8.0), (1.15, 1.05, 1.6), (0.84, 0.7, -0.41)),
        (0, (4.4, -3.3, 7.3), (1.5, 1.2, 1.8), (0.14, 0.38, 0.24)),
        (0, (3.0, -5.3, 8.3), (0.35, 1.0, 1.2), (0, 0.03, -0.19)),
        (0, (0.8, -7.1, 9.6), (1.0, 0.8, 1.2), (0.11, 0.05, -0.22)),
        (0, ("e", 0, -1.1, 8.0), (1.3, 0.45, 1.2), (0, 0.14, 0.05)),
    ],
    "mouthFrown": [
        (0, ("m", 0.15, -7.2, 8.0), (1.1, 1.0, 1.5), (0.13, -0.8, -0.08)),
        (0, (2.6, -8.8, 8.2), (0.9, 0.9, 1.4), (0.08, -0.24, 0.19)),
    ],
    "mouthDimple": [
        (0, ("m", 0.25, -7.0, 7.9), (0.9, 0.9, 1.3), (0.39, 0.08, -0.45)),
        (0, ("m", 0.9, -6.9, 7.4), (0.5, 0.8, 1.0), (0.07, 0, -0.17)),
    ],
    "mouthStretch": [
        (0, ("m", 0.2, -7.2, 8.0), (1.3, 1.1, 1.6), (0.72, -0.23, -0.39)),
        (0, (4.2, -9.5, 5.5), (1.6, 1.6, 2.2), (0.23, -0.16, 0.07)),
        (0, (0.9, -7.1, 9.6), (1.2, 0.8, 1.2), (0.16, 0, -0.16)),
    ],
    "mouthUpperUp": [
        (1, (1.1, -6.45, 9.5), (0.95, 0.75, 1.6), (0.03, 0.6, 0.07)),
        (0, (2.3, -4.6, 8.9), (0.7, 1.0, 1.2), (0.03, 0.18, 0.06)),
    ],
    "mouthLowerDown": [
        (-1, (1.05, -7.6, 9.4), (0.95, 0.75, 1.6), (0.04, -0.58, 0.02)),
        (0, (1.2, -9.2, 9.0), (1.2, 0.8, 1.2), (0.02, -0.14, 0.05)),
    ],
    "mouthPress": [
        (1, (1.2, -6.6, 9.5), (1.1, 0.40, 1.0), (0, -0.16, -0.22)),
        (-1, (1.2, -7.55, 9.4), (1.1, 0.45, 1.0), (0, 0.18, -0.22)),
        (0, ("m", 0.2, -7.0, 8.0), (0.7, 0.7, 1.2), (0.19, 0.03, -0.19)),
    ],
    "cheekSquint": [
        (0, (4.0, -2.4, 7.9), (1.7, 1.2, 1.8), (0.08, 0.51, 0.24)),
        (0, ("e", 0.2, -1.1, 8.0), (1.4, 0.5, 1.2), (0, 0.24, 0.08)),
    ],
    "noseSneer": [
        (0, (1.35, -3.9, 9.6), (0.6, 0.75, 1.0), (0.08, 0.48, -0.03)),
        (0, (0.9, -1.4, 9.0), (0.55, 0.9, 1.0), (0.08, 0.22, 0.16)),
        (1, (1.3, -6.2, 9.4), (0.8, 0.7, 1.2), (0, 0.29, 0.03)),
        (0, (1.9, -4.6, 8.9), (0.4, 0.9, 1.0), (0.03, 0.13, -0.13)),
    ],
    "browDown": [
        (0, (2.2, 1.6, 9.0), (1.9, 0.85, 1.8), (-0.30, -0.66, 0.18)),
        (0, (4.4, 1.4, 7.8), (1.3, 0.8, 1.6), (-0.08, -0.34, 0.06)),
        (0, (0.45, 1.9, 9.5), (0.25, 0.7, 1.0), (0, 0, -0.07)),
    ],
    "browOuterUp": [
        (0, (4.4, 1.8, 8.0), (1.7, 1.0, 2.2), (0.02, 0.73, 0.02)),
        (0, (4.2, 4.2, 8.0), (2.0, 1.5, 2.5), (0, 0.26, 0)),
        (0, ("e", 0.6, 0.75, 8.4), (1.3, 0.45, 1.2), (0, 0.09, 0)),
    ],
}
CENTRAL = {  # shapes without a side; displacement of |x|
    "browInnerUp": [
        (0, (1.5, 1.9, 9.0), (1.4, 1.0, 2.2), (-0.04, 0.79, 0.07)),
        (0, (1.6, 4.2, 9.0), (2.2, 1.6, 2.5), (0, 0.29, 0)),
        (0, ("e", -0.6, 0.75, 8.4), (1.2, 0.45, 1.2), (0, 0.09, 0)),
    ],
    "mouthShrugLower": [
        (0, (0, -7.9, 9.4), (1.8, 1.0, 1.6), (0, 0.33, 0.24)),
        (0, (0, -10.0, 9.4), (1.8, 1.2, 1.5), (0, 0.51, 0.09)),
    ],
    "mouthShrugUpper": [
        (0, (0, -6.5, 9.5), (1.8, 0.9, 1.6), (0, 0.34, 0.24)),
    ],
    "mouthRollUpper": [
        (1, (0, -6.55, 9.7), (1.9, 0.45, 0.9), (0, -0.24, -0.46)),
        (1, (0, -5.7, 9.8), (1.8, 0.5, 0.9), (0, -0.16, -0.08)),
    ],
    "mouthRollLower": [
        (-1, (0, -7.55, 9.6), (1.9, 0.45, 0.9), (0, 0.27, -0.49)),
        (-1, (0, -8.5, 9.4), (1.8, 0.5, 0.9), (0, 0.19, -0.08)),
    ],
    "mouthFunnel": [
        (0, (0, -7.05, 9.6), (2.0, 1.4, 1.8), (0, 0, 0.68)),
        (1, (0.5, -6.5, 9.6), (1.4, 0.7, 1.6), (0, 0.41, 0.16)),
        (-1, (0.5, -7.6, 9.5), (1.4, 0.7, 1.6), (0, -0.49, 0.16)),
    ],
    "jawForward": [(0, (0, -7.4, 9.3), (2.4, 0.8, 1.5), (0, 0, 0.05))],
    "jawOpen": [(0, ("m", 0, -7.1, 8.0), (0.9, 0.9, 1.2), (-0.24, 0, 0.02))],
}
SIDEWAYS = {  # bells that push to the subject's left, on both sides of the face
    "mouth": [(0, (0, -7.0, 9.2), (2.6, 1.2, 2.2), (0.81, 0.03, 0))],
    "jaw": [(1, (0, -6.6, 9.4), (2.2, 0.8, 1.6), (0.16, 0.0, 0.0))],
}


@dataclass
class FaceField:
    """Skin points of the neutral face and what the fields need to know about each.

    closed [n, 3]: head-local, lips together. open [n, 3]: the same points with lips apart, which tells upper
    from lower.
    """

    closed: np.ndarray
    open: np.ndarray
    face: object
    jaw: np.ndarray  # skinning weight of the jaw [n]
    tongue: np.ndarray  # bool [n]

    def __post_init__(self):
        self.sign = np.where(self.closed[:, 0] < 0, -1.0, 1.0)
        self.side = self.closed * np.array([1, 1, 1.0])
        self.side[:, 0] = np.abs(self.side[:, 0])
        self.left = np.clip(0.5 + self.closed[:, 0] / 1.4, 0, 1)
        above = self.open[:, 1] >= mouth_line(self.open[:, 0], self.face)
        apart = 1 - np.minimum(self.side[:, 0] / self.face.mouth_width, 1) ** 3
        self.lip = {1: above * apart, -1: ~above * apart, 0: np.ones(len(above))}

    def bell(self, centre, sigma):
        if isinstance(centre[0], str):
            anchor = self.face.mouth_width if centre[0] == "m" else self.face.eye_x
            centre = (anchor + centre[1], *centre[2:])
        return np.exp(-0.5 * (((self.side - centre) / sigma) ** 2).sum(1))

    def bells(self, rows, sideways=False):
        out = np.zeros_like(self.side)
        for lip, centre, sigma, move in rows:
            out += (self.lip[lip] * self.bell(centre, sigma))[:, None] * np.array(move)
        if not sideways:
            # |x| displacements: none across the midline
            out[:, 0] *= self.sign * np.clip(self.side[:, 0] / 0.8, 0, 1)
        return out

    def lids(self, blink=0.0, pitch=0.0, squint=0.0, wide=0.0):
        """Turns the lids about the eyes' x axis: blink 0..1, pitch radians followed, squint and wide 0..1."""
        face, centre = self.face, eye_centre(self.face)
        x, y, z = self.side[:, 0] - centre[0], self.side[:, 1], self.side[:, 2] - centre[2]
        upper, lower = lid_curves(x, face)
        radius, elevation = np.hypot(y, z), np.arctan2(y, np.maximum(z, 0.05))
        ball = np.sqrt(np.maximum(1.30**2 - x**2, 0.25))
        edge_up, edge_low = (np.arcsin(np.clip(edge / ball, -0.95, 0.95)) for edge in (upper, lower))
        at_front = np.clip((1.62 - np.abs(x)) / 0.30, 0, 1) * (z > 0.02)
        middle = np.clip((1.58 - np.abs(x)) / 0.5, 0, 1)
        is_up = elevation > (edge_up + edge_low) / 2
        reach = np.where(np.abs(x) < 1.6, 0.95, 0.5)
        weight_up = np.where(is_up, np.clip(1 - (y - upper - 0.04) / reach, 0, 1), 0)
        weight_low = np.where(is_up, 0, np.clip(1 - (lower - 0.04 - y) / 0.7, 0, 1))
        weight_up, weight_low = (w * w * (3 - 2 * w) * at_front for w in (weight_up, weight_low))
        # the lids' targets overlap, or a slit of the eyeball would stay
        meet_up = edge_up + 0.90 * (edge_low - edge_up)
        meet_low = edge_up + 0.78 * (edge_low - edge_up)
        turn_up = (
            blink * (meet_up - edge_up)
            + 0.55 * pitch * middle
            - 0.15 * squint * (edge_up - edge_low)
            + wide * 0.17 * middle
        )
        turn_low = (
            blink * (meet_low - edge_low) + 0.25 * pitch * middle + (0.24 * squint - 0.05 * wide) * middle
        )
        turn = weight_up * turn_up + weight_low * turn_low
        hug = np.sqrt(np.maximum(1.47**2 - x**2, 0.3))
        pull = 0.7 * np.clip(weight_up * np.abs(turn_up) / 0.6, 0, 1)
        new_radius = np.where(radius > hug, radius + (hug - radius) * pull, radius)
        # A closed lid's edge lies before the lower lid, not through it: one goes out a little, the other in.
        new_radius += blink * (0.05 * weight_up**4 - 0.07 * weight_low**2)
        out = np.zeros_like(self.side)
        moved = np.abs(turn) > 1e-5
        out[:, 1] = np.where(moved, new_radius * np.sin(elevation + turn) - y, 0)
        out[:, 2] = np.where(moved, new_radius * np.cos(elevation + turn) - radius * np.cos(elevation), 0)
        return out

    def pucker(self):
        g = self.bell((0, -7.1, 9.6), (2.2, 1.5, 1.8))
        return np.stack([-0.46 * g * self.closed[:, 0], 0.06 * g * (self.closed[:, 1] + 7.1), 0.72 * g], 1)

    def puff(self):
        g = self.bell((4.6, -6.0, 6.6), (2.1, 2.1, 2.6)) + 0.3 * self.bell((1.8, -7.2, 9.2), (1.6, 1.5, 1.4))
        outward = np.stack([self.closed[:, 0], np.zeros(len(g)), 0.55 * self.closed[:, 2]], 1)
        outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
        return 1.2 * g[:, None] * outward

    def close_open_jaw(self):
        """Brings the lips of a fully opened jaw together: most of the way by the lower lip."""
        c, s = np.cos(JAW_OPEN), np.sin(JAW_OPEN)
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        drop = (self.closed - JAW_PIVOT) @ turn.T + JAW_PIVOT + JAW_SLIDE - self.closed
        x = self.side[:, 0] / self.face.mouth_width
        apart = np.clip(1 - np.minimum(x, 1) ** 4, 0, 1)
        near = np.exp(
            -0.5
            * (((self.side[:, 1] + 7.05) / 0.95) ** 2 + (np.maximum(8.6 - self.side[:, 2], 0) / 0.8) ** 2)
        )
        share = np.where(self.lip[1] > 0, 0.35, -0.65) * apart * near
        out = share[:, None] * drop
        # the lower lip rides on the jaw: undo its turn
        below = self.lip[-1] > 0
        out[below] = out[below] @ turn
        return out

    def tongue_out(self):
        """The tongue comes forward between lips that part for it."""
        forward = np.clip((self.closed[:, 2] - 4.6) / 3.5, 0, 1)[:, None]
        parting = self.bells([
            (-1, (0, -7.6, 9.4), (1.3, 0.75, 1.6), (0, -0.50, 0.05)),
            (1, (0, -6.45, 9.5), (1.2, 0.75, 1.6), (0, 0.16, 0.04)),
        ])  # fmt: skip
        return np.where(self.tongue[:, None], forward * np.array([0, 0.42, 3.0]), parting)


def expression_fields(field):
    """name -> displacement [n, 3] of every ARKit shape at 1, in the standard order."""
    left, right = field.left[:, None], 1 - field.left[:, None]
    eye_left = (field.closed[:, :1] > 0).astype(float)
    out = {}

    def sided(name, displacement, share=(left, right)):
        out[f"{name}Left"], out[f"{name}Right"] = displacement * share[0], displacement * share[1]

    eyes = (eye_left, 1 - eye_left)
    sided("eyeBlink", field.lids(blink=1.0), eyes)
    for direction, pitch in LOOK_PITCH.items():
        sided(f"eyeLook{direction}", field.lids(pitch=pitch), eyes)
    cornea = field.bell(("e", 0, 0.1, 8.3), (1.1, 0.5, 0.8))[:, None] * (
        field.sign[:, None] * np.array([0.05, 0, 0])
    )
    sided("eyeLookOut", cornea, eyes)
    sided("eyeLookIn", -cornea, eyes)
    sided(
        "eyeSquint",
        field.lids(squint=1.0) + field.bells([(0, ("e", 0.2, -1.2, 8.0), (1.4, 0.5, 1.2), (0, 0.14, 0.04))]),
        eyes,
    )
    sided("eyeWide", field.lids(wide=1.0), eyes)
    for name, rows in BELLS.items():
        sided(name, field.bells(rows))
    for name, rows in CENTRAL.items():
        out[name] = field.bells(rows)
    for name, rows in SIDEWAYS.items():
        push = field.bells(rows, sideways=True)
        out[f"{name}Left"], out[f"{name}Right"] = push, push * np.array([-1, 1, 1])
    wrinkles = (
        field.bell((0, 4.4, 9), (2.6, 1.6, 2.5))
        * 0.5
        * (1 + np.cos((field.closed[:, 1] - 4.2) * 2 * np.pi / 0.95))
    )
    out["browInnerUp"][:, 2] += 0.04 * wrinkles
    out["mouthPucker"] = field.pucker()
    out["mouthFunnel"][:, 0] -= 0.30 * field.bell((0, -7.1, 9.6), (2.2, 1.5, 1.8)) * field.closed[:, 0]
    out["mouthClose"] = field.close_open_jaw()
    out["cheekPuff"] = field.puff()
    out["tongueOut"] = field.tongue_out()
    return out


def close_mouth(points, face):
    """Head-local points of the open mouth -> lips together."""
    out = np.array(points, float)
    x, y, z = np.abs(out[:, 0]), out[:, 1], out[:, 2]
    gap = 0.195 * np.sqrt(np.maximum(1 - (x / (face.mouth_width - 0.05)) ** 2, 0))
    d = y - mouth_line(x, face)
    weight = np.exp(-((np.maximum(np.abs(d) - gap, 0) / 0.55) ** 2)) * np.clip((z - 7.2) / 0.8, 0, 1)
    out[:, 1] -= np.sign(d) * gap * weight
    return out
