# SPDX-License-Identifier: GPL-3.0-or-later
"""The network's answers and the body fitted to them, made one: where they differ wildly, the fit wins."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..people.mesh_raster import rasterize_mesh
from .body_fit import BodyFit, Evidence, body_model, outside_field
from .crops import Box

SAMPLES = 400  # pixels that a fit reads of a photo, and as many of its head: a face tells front from back
SIGMA = (0.02, 0.08)  # metres: the least and the most error that a pixel is credited with
FLOOR = 0.02  # of a half's or a side's probability
APART = 0.15  # metres between a pixel's point and the fit's beyond which they contradict each other
NEAR = 4  # cells: clothes and hair reach this far out of the fitted body and still follow it
FITTED_ERROR = 0.1  # metres expected of a point whose half or side the fit decided
WORST_RESIDUAL, LEAST_OVERLAP = 0.35, 0.45  # of a fit that is believed


@dataclass
class Look:
    """The network's answer for a box, at half of its input's resolution: probability [h,w] of the person,
    points [h,w,3] metres, error [h,w] metres; candidates [h,w,4,3], the points on either half and side, with
    cost [h,w,4], minus the logarithm of their probability.
    """

    box: Box
    probability: np.ndarray
    points: np.ndarray
    error: np.ndarray
    candidates: np.ndarray
    cost: np.ndarray

    def pixels(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Cells -> the photo's pixels (x, y) [n,2]."""
        x, y = self.step
        return np.stack([self.box.left + (columns + 0.5) * x, self.box.top + (rows + 0.5) * y], 1)

    @property
    def step(self) -> tuple[float, float]:
        """Pixels of the photo a cell, across and down."""
        height, width = self.probability.shape
        return self.box.width / width, self.box.height / height


def candidates(out: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Points [h,w,4,3] and costs [h,w,4] of the network's answer to one picture (arrays [.,h,w])."""
    across, depth, height = out["across"][0], out["depth"], out["height"][0]
    points, costs = [], []
    for sign in (1, -1):
        for side, y in ((1, depth[0]), (-1, depth[1])):
            points.append(np.stack([sign * across, y, height], -1))
            costs.append(_cost(sign * out["left"][0]) + _cost(side * out["front"][0]))
    return np.stack(points, 2), np.stack(costs, 2)


def _cost(logit: np.ndarray) -> np.ndarray:
    return -np.log(FLOOR + (1 - 2 * FLOOR) / (1 + np.exp(-logit)))


def evidence(looks: list[Look], size: tuple[int, int]) -> Evidence:
    """What the body's look, and the head's if there is one, say about the person in a photo of `size`."""
    rng = np.random.default_rng(0)
    parts = []
    for look in looks:
        rows, columns = np.nonzero(look.probability > 0.5)
        chosen = rng.permutation(len(rows))[:SAMPLES]
        rows, columns = rows[chosen], columns[chosen]
        order = np.argsort(look.cost[rows, columns], axis=1)  # the likeliest first
        points = np.take_along_axis(look.candidates[rows, columns], order[..., None], axis=1)
        cost = np.take_along_axis(look.cost[rows, columns], order, axis=1)
        parts.append((look.pixels(rows, columns), points, cost, look.error[rows, columns]))
    pixels, points, cost, error = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    body = looks[0]
    x, y = body.step
    outside, (left, top) = outside_field(_known_inside(body, size))
    origin = (body.box.left - left * x, body.box.top - top * y)
    return Evidence(pixels, points, cost, np.clip(error, *SIGMA), outside * y, origin, (x, y), size)


def _known_inside(look: Look, size: tuple[int, int]) -> np.ndarray:
    """Cells where the body may be: the person's, and those beyond the photo's border."""
    mask = look.probability > 0.5
    height, width = mask.shape
    x = look.box.left + (np.arange(width) + 0.5) * look.step[0]
    y = look.box.top + (np.arange(height) + 0.5) * look.step[1]
    beyond = ((x < 0) | (x >= size[1]))[None] | ((y < 0) | (y >= size[0]))[:, None]
    return mask | beyond


def draw(fit: BodyFit, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """The fitted body in a look's cells: template points [h,w,3] and where there is a body [h,w]."""
    x, y = look.step
    to_cells = np.array([[1 / x, 0, -look.box.left / x], [0, 1 / y, -look.box.top / y], [0, 0, 1]])
    return draw_in(fit, *look.probability.shape, to_cells)


def draw_in(
    fit: BodyFit, height: int, width: int, to_cells: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The same in a picture of any size, whose cells are [3,3] `to_cells` of the photo's pixels."""
    model = body_model()
    K = fit.K if to_cells is None else to_cells @ fit.K
    buffer = rasterize_mesh(fit.vertices(), model.faces, np.eye(4), K, width, height)
    return buffer.interpolate(model.riders.places, model.faces), buffer.face >= 0


def believed(fit: BodyFit, look: Look) -> bool:
    """Whether a fit explains the photo: its pixels, and its outline."""
    _, body = draw(fit, look)
    seen = look.probability > 0.5
    overlap = (body & seen).sum() / max(1, (body | seen).sum())
    return fit.residual < WORST_RESIDUAL and overlap > LEAST_OVERLAP


def fuse(look: Look, fit: BodyFit) -> Look:
    """At every pixel on or beside the fitted body the candidate nearest to it, where the network's choice
    contradicts the body; and half way to the body's own point, where both agree.
    """
    drawn, body = draw(fit, look)
    if not body.any():
        return look
    distance, (rows, columns) = ndimage.distance_transform_edt(~body, return_indices=True)
    target = drawn[rows, columns]
    away = np.linalg.norm(look.candidates - target[:, :, None], axis=-1)
    best = away.argmin(2)[..., None]
    nearest = np.take_along_axis(look.candidates, best[..., None], axis=2)[:, :, 0]
    least = np.take_along_axis(away, best, axis=2)[..., 0]
    present = np.linalg.norm(look.points - target, axis=-1)
    swapped = (distance < NEAR) & (present > APART) & (least <= APART)
    points = np.where(swapped[..., None], nearest, look.points)
    apart = np.where(swapped, least, present)
    agreed = (distance < 1) & (apart <= APART)
    points = np.where(agreed[..., None], 0.5 * (points + target), points)
    contradicted = (distance < NEAR) & (present > APART) & ~swapped
    error = np.where(agreed, 0.6 * look.error + 0.5 * apart, look.error)  # as measured on held-out people
    error = np.where(swapped, FITTED_ERROR, np.where(contradicted, np.maximum(error, APART), error))
    return replace(look, points=points.astype(np.float32), error=error.astype(np.float32))
