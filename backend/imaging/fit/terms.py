# SPDX-License-Identifier: GPL-3.0-or-later
"""The residuals of one photo: what each kind of evidence asks of a body, with its derivatives.

A term is (jacobian [m,width], residual [m], weight [m], cost): the least sum of weight (residual - jacobian
step)² is sought; cost is what the term adds to the energy. Residuals are metres at the points' depth; large
ones lose weight (Geman & McClure 1985).
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ...body.mesh import vertex_normals
from ...body.pose import axis_angles
from .evidence import BODY, FACE, HAND, Evidence
from .model import EXPRESSIONS, BodyFit, fit_model
from .model import FACE as FACE_COEFFICIENTS
from .pose_prior import load_prior

GAIN = np.zeros(3)
GAIN[[BODY, HAND, FACE]] = 8.0, 3.0, 1.0  # weight of a landmark of each kind
FACE_TOLERANCE = 3.0  # of the scale of robustness: a mesh that was believed has no outliers, but open mouths
BONE_SIGMA, BONE_GAIN = 0.05, 2.0  # metres at a bone's end
PROBES, OUTSIDE_SIGMA, OUTSIDE_GAIN = 350, 0.015, 150.0  # points held inside the matte; metres; shared by all
# Metres that the rim may stay within the matte and reach beyond it.
SHORT, OVER, EDGE_GAIN = 0.02, 0.012, 150.0
RIM, RIM_REACH, RIM_TURN = 0.3, 0.15, 0.06  # cosine at the rim; metres to the edge; metres that a turn weighs
JAW_SIGMA, JAW_GAIN, JAW_REACH = 0.004, 4.0, 0.05
EDGE_SCALE, HAIR = 2.0, 0.1  # robustness of the outline; its share where hair may stand off
POSE_GAIN = 1.5
FOCAL, FOCAL_SPREAD, FOCAL_GAIN = 1.5, 0.4, 4.0  # of the photo's longer side; of its logarithm
PRIOR = 3.75  # of a shape's and an expression's squared standard deviations
EXPRESSION_SPREAD, GAZE_SPREAD = 0.5, 0.3


class Term(NamedTuple):
    jacobian: np.ndarray
    residual: np.ndarray
    weight: np.ndarray
    cost: float


def robust(squared: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Weight and cost of a squared residual in standard deviations (Geman & McClure)."""
    share = scale**2 / (scale**2 + squared)
    return share**2, share * squared


def landmark_terms(evidence: Evidence, fit: BodyFit, scale: float) -> list[Term]:
    """Landmarks on their pixels, and bones in their directions."""
    if not len(evidence.pixels):
        return []
    points, jacobian = fit.posed_with_jacobian(evidence.points)
    depth = points[:, 2:] / fit.focal
    away = (evidence.pixels - fit.centre) * depth - points[:, :2]
    tolerance = np.where(evidence.kind == FACE, FACE_TOLERANCE * scale, scale)
    weight, cost = robust((away**2).sum(1) / evidence.sigma**2, tolerance)
    gain = GAIN[evidence.kind]
    flow = projected(points, jacobian, fit).reshape(2 * len(points), -1)
    terms = [Term(flow, away.ravel(), np.repeat(gain * weight / evidence.sigma**2, 2), gain @ cost)]
    rows, directions, likelihood = evidence.bones
    if len(rows):
        bones = points[rows[:, 1]] - points[rows[:, 0]]
        away = directions * np.linalg.norm(bones, axis=1, keepdims=True) - bones
        weight, cost = robust((away**2).sum(1) / BONE_SIGMA**2, scale)
        gain = BONE_GAIN * likelihood**2
        turned = (jacobian[rows[:, 1]] - jacobian[rows[:, 0]]).reshape(3 * len(rows), -1)
        terms.append(Term(turned, away.ravel(), np.repeat(gain * weight / BONE_SIGMA**2, 3), gain @ cost))
    return terms


def inside_term(evidence: Evidence, fit: BodyFit, scale: float) -> Term | None:
    """Points of the skin that left the matte are drawn back to it."""
    points, jacobian = fit.posed_with_jacobian(_probes())
    distance, direction = leaving(evidence, fit, points)
    out = np.flatnonzero(distance > 0)
    if not len(out):
        return None
    flow = (projected(points[out], jacobian[out], fit) * direction[out][..., None]).sum(1)
    weight, cost = robust((distance[out] / OUTSIDE_SIGMA) ** 2, scale)
    gain = OUTSIDE_GAIN / len(points)
    return Term(flow, -distance[out], gain * weight / OUTSIDE_SIGMA**2, gain * cost.sum())


class Rim(NamedTuple):
    """Points of an outline that the body's rim was found for: rows of the outline [m], of the skin [m], the
    gap [m] in metres along the normals, above 0 where the body falls short.
    """

    outline: np.ndarray
    skin: np.ndarray
    gap: np.ndarray


def meet(fit: BodyFit, outline: np.ndarray, normals: np.ndarray, allowed: np.ndarray, reach: float) -> Rim:
    """The rim's vertices, among the skin's `allowed` [n], nearest to an outline [k,2] in place and in
    direction.
    """
    vertices = fit.vertices(plain=True)
    own = vertex_normals(vertices, fit_model().faces)
    view = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    rim = np.flatnonzero((np.abs((own * view).sum(1)) < RIM) & allowed)
    if not len(rim) or not len(outline):
        return Rim(*np.zeros((2, 0), np.int64), np.zeros(0))
    pixels = fit.project(vertices[rim])
    across = own[rim, :2] / (np.linalg.norm(own[rim, :2], axis=1, keepdims=True) + 1e-9)
    metres = float(np.median(vertices[rim, 2])) / fit.focal
    tree = cKDTree(np.concatenate([pixels * metres, across * RIM_TURN], 1))
    query = np.concatenate([outline * metres, normals * RIM_TURN], 1)
    distance, hit = tree.query(query, distance_upper_bound=reach)
    met = np.flatnonzero(np.isfinite(distance))
    gap = ((outline[met] - pixels[hit[met]]) * normals[met]).sum(1) * metres
    return Rim(met, rim[hit[met]], gap)


def jaw_term(evidence: Evidence, fit: BodyFit, scale: float) -> Term | None:
    """Cheeks and chin end where the face's outline does."""
    rim = meet(fit, evidence.jaw, evidence.jaw_normals, fit_model().face_skin, JAW_REACH)
    if not len(rim.gap):
        return None
    points, jacobian = fit.posed_with_jacobian(fit_model().skin_points(rim.skin))
    flow = (projected(points, jacobian, fit) * evidence.jaw_normals[rim.outline][..., None]).sum(1)
    weight, cost = robust((rim.gap / JAW_SIGMA) ** 2, FACE_TOLERANCE * scale)
    return Term(flow, rim.gap, JAW_GAIN * weight / JAW_SIGMA**2, JAW_GAIN * cost.sum())


def edge_term(evidence: Evidence, fit: BodyFit, scale: float) -> Term | None:
    """The body's rim meets the matte's edge; clothes and hair may stand off."""
    model = fit_model()
    met, rows, gap = meet(
        fit, evidence.edge, evidence.edge_normals, np.ones(len(model.hair), bool), RIM_REACH
    )
    if not len(met):
        return None
    points, jacobian = fit.posed_with_jacobian(model.skin_points(rows))
    flow = (projected(points, jacobian, fit) * evidence.edge_normals[met][..., None]).sum(1)
    sigma = np.where(gap > 0, SHORT, OVER)
    weight, cost = robust((gap / sigma) ** 2, EDGE_SCALE)
    gain = EDGE_GAIN / len(evidence.edge) * np.where(model.hair[rows] & (gap > 0), HAIR, 1.0)
    far = EDGE_GAIN / len(evidence.edge) * (len(evidence.edge) - len(met)) * EDGE_SCALE**2
    return Term(flow, gap, gain * weight / sigma**2, gain @ cost + far)


def prior_terms(evidence: Evidence, fit: BodyFit) -> list[Term]:
    """A usual pose, a plain face, a usual lens; the shape's prior belongs to all photos together."""
    model, prior = fit_model(), load_prior()
    frames = fit.frames()
    angles = np.asarray(axis_angles(fit.local[prior.joints]), np.float64)
    parents = frames.turn[model.skeleton.parents[prior.joints]]
    blocks = inverse_left_jacobian(angles) @ parents.transpose(0, 2, 1)
    flow = np.zeros((3 * len(angles), model.width))
    for n, block in enumerate(blocks):
        flow[3 * n : 3 * n + 3, 3 + 3 * n : 6 + 3 * n] = block
    away = prior.root @ (prior.mean - angles).reshape(-1)
    pose = Term(prior.root @ flow, away, np.full(len(away), POSE_GAIN), POSE_GAIN * (away @ away))
    face = np.concatenate([fit.expression, fit.gaze.ravel()])
    spread = np.where(np.arange(FACE_COEFFICIENTS) < EXPRESSIONS, EXPRESSION_SPREAD, GAZE_SPREAD)
    columns = np.zeros((FACE_COEFFICIENTS + 1, model.width))
    columns[np.arange(FACE_COEFFICIENTS), model.focal + 4 + np.arange(FACE_COEFFICIENTS)] = 1
    columns[-1, model.focal] = 1
    lens = np.log(prior_focal(evidence) / fit.focal)
    away = np.append(-face, lens)
    weight = np.append(PRIOR / spread**2, FOCAL_GAIN / FOCAL_SPREAD**2)
    return [pose, Term(columns, away, weight, weight @ away**2)]


def shape_prior(betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hessian [S,S] and gradient [S] of the shape's prior."""
    return PRIOR * np.eye(len(betas)), -PRIOR * betas


def prior_focal(evidence: Evidence) -> float:
    """Pixels."""
    return FOCAL * max(evidence.size)


def leaving(evidence: Evidence, fit: BodyFit, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far camera points [m,3] lie out of the matte, metres [m], and the direction outwards [m,2]."""
    grid = (fit.project(points) - evidence.origin) / evidence.step - 0.5
    field = evidence.outside
    height, width = field.shape
    grid = np.clip(grid, 0, [width - 1.001, height - 1.001])
    x, y = grid.astype(int).T
    fx, fy = (grid - grid.astype(int)).T
    right, below = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
    a, b, c, d = field[y, x], field[y, right], field[below, x], field[below, right]
    value = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
    slope = np.stack([(b - a) * (1 - fy) + (d - c) * fy, (c - a) * (1 - fx) + (d - b) * fx], 1)
    slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
    return value * np.maximum(points[:, 2], 0.1) / fit.focal, slope


def projected(points: np.ndarray, jacobian: np.ndarray, fit: BodyFit) -> np.ndarray:
    """Moves of the projections [n,2,width] in metres at the points' depth."""
    ray = points[:, :2] / np.maximum(points[:, 2:], 0.1)
    flow = jacobian[:, :2] - ray[:, :, None] * jacobian[:, 2:]
    flow[:, :, fit_model().focal] = points[:, :2]  # by the logarithm of the focal length
    return flow


def inverse_left_jacobian(angles: np.ndarray) -> np.ndarray:
    """[n,3,3]: d log(exp(w) R) / dw at 0 for R = exp(angle) (Barfoot 2017, equation 7.77)."""
    size = np.maximum(np.linalg.norm(angles, axis=1), 1e-6)[:, None, None]
    x, y, z = angles.T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(-1, 3, 3)
    half = size / 2
    factor = (1 - half / np.tan(half)) / size**2
    return np.eye(3) - 0.5 * cross + factor * (cross @ cross)


@cache
def _probes():
    """Points of the skin, one in each cell of a grid."""
    model = fit_model()
    cell = np.sqrt(1.9 / PROBES)  # the skin's square metres
    _, first = np.unique(np.floor(model.skin.places / cell).astype(int), axis=0, return_index=True)
    return model.skin_points(first[:: max(1, len(first) // PROBES)])
