# SPDX-License-Identifier: GPL-3.0-or-later
"""The template's point of every pixel of a person whose pose is known: for data that come without maps."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...body.expression import apply_face_joints
from ...body.template import load_template
from ...raster.mesh_faces import rasterize_mesh
from .signals import square

REACH = (
    0.12  # of the mask's longer side: clothes and hair that far from the fitted body get its nearest point
)


def fitted_points(
    transforms: np.ndarray,
    expression: np.ndarray,
    gaze: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    mask: np.ndarray,
) -> np.ndarray:
    """[H,W,3] float32 metres, 0 outside of the mask [H,W] bool and far from the fitted body.

    transforms [J,3,4], expression [52], gaze [2,2], viewmat, K: as in `docs/data_format.md`.
    """
    template = load_template()
    driven = np.asarray(apply_face_joints(square(transforms), expression, gaze), np.float64)
    rest = template.vertices + np.tensordot(expression, template.expression_deltas, 1)
    weights = np.asarray(template.skin_weights, np.float64)[..., None, None]
    blended = (driven[np.asarray(template.skin_indices), :3] * weights).sum(1)
    posed = np.einsum("nab,nb->na", blended[..., :3], rest) + blended[..., 3]
    seen = rasterize_mesh(posed, template.faces, viewmat, K, mask.shape[1], mask.shape[0])
    body, inside = seen.face >= 0, np.nonzero(mask)
    if not body.any() or not len(inside[0]):
        return np.zeros((*mask.shape, 3), np.float32)
    distance, nearest = ndimage.distance_transform_edt(~body, return_indices=True)
    points = seen.interpolate(template.vertices, template.faces)[tuple(nearest)]
    reach = REACH * max(np.ptp(inside[0]) + 1, np.ptp(inside[1]) + 1)
    return np.where((mask & (distance <= reach))[..., None], points, np.float32(0))
