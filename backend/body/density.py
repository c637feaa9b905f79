# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the template's edges should be, by place. Body centimetres. Build time only."""

import numpy as np

from .implicit.head import LID_RADIUS, eye_centre


def _inside(points, centre, radii):
    """A soft box: 1 at the centre, 0 well outside."""
    return np.exp(-((((points - centre) / radii) ** 2).sum(1) ** 2))


def edge_lengths(points, body):
    """[n, 3] -> wanted edge length [n] in centimetres."""
    frame, face = body.frame, body.parameters.face
    side = points * np.array([1, 1, 1.0])
    side[:, 0] = np.abs(side[:, 0])
    q = body.head_local(side)
    hand = (side - frame.joints["hand"]) @ frame.hand_axes.T / frame.hand_scale
    size = np.full(len(points), 1.4)

    def finer(weight, length):
        """Blends towards `length` geometrically; a place keeps the finest wish."""
        nonlocal size
        size = np.minimum(size, np.exp(np.log(size) * (1 - weight) + np.log(length) * weight))

    finer(1 / (1 + np.exp(-(q[:, 1] + 15) / 1.5)), 0.62)  # neck and skull
    front = 1 / (1 + np.exp(-(q[:, 2] - 3.0))) / (1 + np.exp(-(q[:, 1] + 12.5))) / (1 + np.exp(q[:, 1] - 5.5))
    finer(front, 0.29)
    finer(_inside(q, (0, -3.9, 10.0), (2.4, 1.9, 2.6)), 0.20)
    finer(_inside(q, (0, -7.0, 9.2), (3.4, 1.6, 2.2)), 0.155)
    finer(_inside(q, eye_centre(face) + np.array([0, 0, 1.1]), (2.1, 1.35, 1.6)), 0.135)
    finer(_inside(q, (8.0, -1.6, -2.0), (1.9, 4.0, 3.2)), 0.24)
    # deep in the mouth and behind the eyeballs nobody looks
    deep = _inside(q, (0, -7.1, 5.8), (3.2, 2.2, 2.4)) * (q[:, 2] < 7.8)
    size = np.maximum(size, 0.5 * deep)
    finer(1 / (1 + np.exp(-(hand[:, 0] + 1.0) / 0.8)) * (np.abs(hand[:, 1]) < 8) * (side[:, 1] > 60), 0.37)
    finer(1 / (1 + np.exp(-(hand[:, 0] - 7.5) / 0.6)) * (np.abs(hand[:, 1]) < 8) * (side[:, 1] > 60), 0.37)
    finer(1 / (1 + np.exp((side[:, 1] - 9) / 1.5)), 0.9)
    toes = (side[:, 1] < 5) & (side[:, 2] > frame.joints["toe"][2])
    finer(toes.astype(float), 0.48)
    return size


def behind_the_eyes(points, body, margin=0.50):
    """Vertices of the socket's floor that the eyeball hides: `margin` or more inside the lids' sphere."""
    face = body.parameters.face
    q = body.head_local(points)
    q = np.stack([np.abs(q[:, 0]), q[:, 1], q[:, 2]], 1) - eye_centre(face)
    return (np.linalg.norm(q, axis=1) < LID_RADIUS - margin) & (q[:, 2] > -0.6)
