# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the eyes of an avatar object look: by its gaze, and at an object.

Found anew in every evaluation from where head and object stand then, without memory of other frames, so that
a frame alone on a farm is the frame that was scrubbed to.
"""

import bpy
import numpy as np

from ..backend.body.skeleton import INDEX

EYES = (INDEX["eye.L"], INDEX["eye.R"])
BESIDE, BEHIND = np.radians(100), np.radians(170)  # from here on eyes give up, and from here on look ahead


def own_gaze(properties) -> np.ndarray:
    """Yaw and pitch [2,2] of the left and the right eye by the sliders of `Object.lca`, float32."""
    each = np.array((properties.gaze_left, properties.gaze_right), np.float32)
    return each + np.array(properties.gaze, np.float32)


def gaze_of(
    evaluated: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    transforms: np.ndarray,
    heads: np.ndarray,
    world: np.ndarray,
) -> np.ndarray:
    """Yaw and pitch [2,2] of both eyes of an evaluated avatar object, radians, float32.

    transforms [J,4,4] from the canonical pose to the object's space, heads [J,3] of the joints there, world
    [4,4] of the object.
    """
    properties = evaluated.lca
    own, target, amount = own_gaze(properties), properties.look_at, properties.look_amount
    if target is None or amount == 0:
        return own
    point = np.array(target.original.evaluated_get(depsgraph).matrix_world.translation, float)
    limits = np.array(properties.look_limits, float)
    looking = [looks_at(world.astype(float) @ transforms[eye], heads[eye], point, limits) for eye in EYES]
    return (own + amount * (np.array(looking) - own)).astype(np.float32)


def looks_at(matrix: np.ndarray, eye: np.ndarray, point: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Yaw and pitch [2] of an eye that looks at a point in the world, as far as `limits` [2] let it.

    matrix [4,4] from the canonical pose to the world, eye [3] the eye's centre there. What lies behind the
    head lets the eye go back to looking ahead, so that it never jumps from one side to the other.
    """
    if abs(np.linalg.det(matrix)) < 1e-12:
        return np.zeros(2)
    x, y, z = (np.linalg.inv(matrix) @ np.append(point, 1))[:3] - eye
    if np.linalg.norm((x, y, z)) < 1e-6:
        return np.zeros(2)
    turn = np.array([np.arctan2(x, -y), np.arctan2(z, np.hypot(x, y))])
    away = np.arccos(np.clip(-y / np.linalg.norm((x, y, z)), -1, 1))
    share = np.clip((BEHIND - away) / (BEHIND - BESIDE), 0, 1)
    beyond = np.hypot(*(turn / np.maximum(limits, 1e-6)))  # an ellipse: corners are out of reach
    return turn / max(beyond, 1) * (share * share * (3 - 2 * share))
