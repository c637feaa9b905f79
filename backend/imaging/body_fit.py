# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera, pose and shape of the person in a photo, from pixels whose template points are estimated.

Levenberg-Marquardt on sampled pixels: the projection of a pixel's template point, shaped, posed and skinned,
should fall on the pixel. Residuals are robust (Geman & McClure 1985), their scale shrinks as the fit settles
(graduated non-convexity, Blake & Zisserman 1987). A pixel may have several candidate points, on the other
half or side of the body; the one that explains it best counts. The body may not reach out of the matte.
Pose and shape have Gaussian priors. Several photos of one person share the shape (Schur complement).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..body.pose import axis_angles, rotation_matrices
from ..body.template import load_template
from .pose_prior import load_prior
from .riders import Frames, Riders, Skeleton, joint_frames, posed_points, posed_with_jacobian

SHAPES = (
    "sex", "height", "weight", "muscle", "bust", "shoulder_width", "hip_width", "leg_length", "arm_length",
)  # fmt: skip
# Mean and standard deviation of the coefficients of synthetic people (`people.shape`), rounded: the mean body
# of the template is a lean one.
SHAPE_MEAN = np.array([0.0, 0, 2.3, 0, 0, 0, 0, 0, 0])
SHAPE_SPREAD = np.array([1.0, 1, 1.7, 1, 1, 1, 1, 1, 1])
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # template axes -> camera axes, facing the camera
FOCAL, FOCAL_SPREAD = 1.5, 0.4  # of the photo's longer side; of its logarithm
POSE_WEIGHT = 1.5  # of the prior's squared distance against a pixel's
OUTSIDE_SIGMA = 0.03  # metres that the body may reach out of the matte
PROBES = 350  # points of the body that are held inside the matte
SCALES = (6.0, 6.0, 4.0, 4.0, 3.0, 3.0, 3.0, 2.5, 2.5, 2.5, 2.0, 2.0, 2.0, 2.0)  # of robustness, by round
TURNS = (0.0, 180.0, 90.0, -90.0)  # degrees about the vertical that a fit starts from
USUAL = 0.02  # of residual, that a standard deviation in all joint angles weighs


@dataclass(frozen=True)
class Evidence:
    """What is known of one photo: pixels [n,2] (x, y); candidates [n,H,3] template metres with cost [n,H],
    minus their log probabilities; sigma [n] metres of expected error; `outside`: pixels' distance to the
    matte [h,w] in pixels of the photo, on a grid with `origin` (x, y) and `step`; size (height, width).
    """

    pixels: np.ndarray
    candidates: np.ndarray
    cost: np.ndarray
    sigma: np.ndarray
    outside: np.ndarray
    origin: tuple[float, float]
    step: tuple[float, float]
    size: tuple[int, int]


@dataclass
class BodyFit:
    """One photo's answer, in the camera's axes (x right, y down, z forward, metres).

    local [J,3,3] joint-local rotations, the pelvis' into the camera's axes; translation [3] of the pelvis;
    focal in pixels; centre (x, y); betas [S] of `SHAPES`; residual: robust mean cost of a pixel, 0 to 1;
    rounds: how many were needed.
    """

    local: np.ndarray
    translation: np.ndarray
    focal: float
    centre: tuple[float, float]
    betas: np.ndarray
    residual: float = 1.0

    @property
    def K(self) -> np.ndarray:
        """[3,3] pixels of the photo."""
        return np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1.0]])

    @property
    def rotations(self) -> np.ndarray:
        """[J,3] axis-angle, as `body.pose.joint_transforms` takes them."""
        return np.asarray(axis_angles(self.local.astype(np.float32)))

    @property
    def joint_heads(self) -> np.ndarray:
        """[J,3] metres: the person's own canonical skeleton."""
        model = body_model()
        return model.skeleton.heads + np.tensordot(self.betas, model.skeleton.head_deltas, (0, 1))

    def joints(self) -> np.ndarray:
        """[J,3] metres in the camera's axes."""
        return _frames(self).place

    def vertices(self) -> np.ndarray:
        """[n,3] posed vertices of `body_model().riders`."""
        return posed_points(body_model().riders, _frames(self))


@dataclass(frozen=True)
class BodyModel:
    """The template's skin as riders, with its faces, its vertices' canonical places as a tree, and probes."""

    riders: Riders
    faces: np.ndarray
    tree: cKDTree
    skeleton: Skeleton
    probes: Riders
    width: int  # of the parameters: turns, focal, translation, shape


@cache
def body_model() -> BodyModel:
    template, prior = load_template(), load_prior()
    outer = np.flatnonzero(template.part < 2)
    new = np.full(len(template.vertices), -1)
    new[outer] = np.arange(len(outer))
    faces = new[template.faces]
    chosen = [template.shape_names.index(name) for name in SHAPES]
    riders = Riders(
        template.vertices[outer].astype(np.float64),
        template.skin_indices[outer].astype(np.int64),
        template.skin_weights[outer].astype(np.float64),
        np.ascontiguousarray(template.shape_deltas[chosen][:, outer].transpose(1, 0, 2), np.float64),
    )
    column = np.full(len(template.joint_heads), -1, np.int64)
    column[0] = 0
    column[prior.joints] = 3 + 3 * np.arange(len(prior.joints))
    skeleton = Skeleton(
        template.joint_parents.astype(np.int64),
        template.joint_heads.astype(np.float64),
        np.ascontiguousarray(template.shape_joint_deltas[chosen].transpose(1, 0, 2), np.float64),
        column,
    )
    probes = riders.take(_spread(riders.places, PROBES))
    width = 3 + 3 * len(prior.joints) + 4 + len(SHAPES)
    tree = cKDTree(riders.places)
    return BodyModel(riders, faces[(faces >= 0).all(1)].astype(np.int32), tree, skeleton, probes, width)


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """Indices of about `count` points, one in each cell of a grid."""
    cell = np.sqrt(1.9 / count)  # the skin's square metres
    _, first = np.unique(np.floor(points / cell).astype(int), axis=0, return_index=True)
    return first[:: max(1, len(first) // count)]


def attach(points: np.ndarray) -> Riders:
    """Points [n,3] of the template's space ride as their nearest vertices do."""
    model = body_model()
    _, nearest = model.tree.query(points, workers=1)
    riders = model.riders.take(nearest)
    return riders._replace(places=np.ascontiguousarray(points, np.float64))


def fit_bodies(photos: list[Evidence]) -> list[BodyFit]:
    """The people in photos of one person, who share their shape; an empty list for no photos."""
    problems = [_Problem(evidence) for evidence in photos]
    fits = [problem.start() for problem in problems]
    if len(fits) > 1:
        mean = np.mean([fit.betas for fit in fits], 0)
        for fit in fits:
            fit.betas = mean.copy()
        for scale in SCALES[-5:]:
            _step(problems, fits, scale)
        for problem, fit in zip(problems, fits, strict=True):
            fit.residual = problem.residual(fit)
    return fits


class _Problem:
    """One photo's residuals."""

    def __init__(self, evidence: Evidence):
        self.evidence = evidence
        count, self.choices = evidence.candidates.shape[:2]
        self.riders = attach(evidence.candidates.reshape(-1, 3))
        self.rows = np.arange(count) * self.choices
        height, width = evidence.size
        self.centre = (width / 2, height / 2)
        self.prior_focal = FOCAL * max(height, width)

    def start(self) -> BodyFit:
        """The best of several starts; among like ones, the one whose pose is usual."""
        fits = [self._guess(turn) for turn in TURNS]
        for fit in fits:
            for _ in range(5):
                _step([self], [fit], 8.0, rigid=True)
            for scale in SCALES:
                _step([self], [fit], scale)
            fit.residual = self.residual(fit)
        return min(fits, key=lambda fit: fit.residual + USUAL * _unusual(fit))

    def _guess(self, degrees: float) -> BodyFit:
        """The mean pose, upright, turned; as far away as its size says."""
        prior, evidence = load_prior(), self.evidence
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        local = np.asarray(rotation_matrices(prior.rest), np.float64)
        local[0] = UPRIGHT @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        points, pixels = evidence.candidates[:, 0], evidence.pixels
        middle, centre = np.median(points, 0), np.median(pixels, 0)
        tall = np.abs(points[:, 2] - middle[2]).mean()
        scale = max(np.abs(pixels[:, 1] - centre[1]).mean(), 1.0) / max(tall, 0.02)
        depth = self.prior_focal / scale
        at = np.array([*((centre - self.centre) / scale), depth])
        pelvis = load_template().joint_heads[0]
        translation = at - local[0] @ (middle - pelvis) - pelvis
        return BodyFit(local, translation, self.prior_focal, self.centre, SHAPE_MEAN.copy())

    def choose(self, fit: BodyFit, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
        """The candidate that explains each pixel best: rows of `riders` [n], squared costs of all [n,H]."""
        evidence = self.evidence
        points = posed_points(self.riders, frames).reshape(-1, self.choices, 3)
        z = np.maximum(points[..., 2], 0.1)
        away = points[..., :2] - (evidence.pixels - fit.centre)[:, None] * (z / fit.focal)[..., None]
        squared = (away**2).sum(-1) / evidence.sigma[:, None] ** 2 + 2 * evidence.cost
        best = squared.argmin(1)
        return self.rows + best, squared[np.arange(len(best)), best]

    def residual(self, fit: BodyFit, scale: float = 3.0) -> float:
        """Mean of r² / (r² + scale²) over the pixels and the probes that left the matte."""
        frames = _frames(fit)
        _, squared = self.choose(fit, frames)
        distance, _ = self.leaving(fit, posed_points(body_model().probes, frames))
        out = (distance / OUTSIDE_SIGMA) ** 2
        return float((squared / (squared + scale**2)).mean() + 0.5 * (out / (out + scale**2)).mean())

    def leaving(self, fit: BodyFit, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far camera points [m,3] lie out of the matte, metres [m], and the direction outwards [m,2]."""
        evidence = self.evidence
        z = np.maximum(points[:, 2], 0.1)
        pixels = fit.focal * points[:, :2] / z[:, None] + fit.centre
        grid = (pixels - evidence.origin) / evidence.step - 0.5
        height, width = evidence.outside.shape
        grid = np.clip(grid, 0, [width - 1.001, height - 1.001])
        x0, y0 = grid.astype(int).T
        fx, fy = (grid - grid.astype(int)).T
        x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
        f = evidence.outside
        a, b, c, d = f[y0, x0], f[y0, x1], f[y1, x0], f[y1, x1]
        value = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
        slope = np.stack([(b - a) * (1 - fy) + (d - c) * fy, (c - a) * (1 - fx) + (d - b) * fx], 1)
        slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)
        return value * z / fit.focal, slope

    def normal_equations(self, fit: BodyFit, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """J^T W J and -J^T W r of all residuals."""
        model, evidence = body_model(), self.evidence
        frames = _frames(fit)
        rows, squared = self.choose(fit, frames)
        points, jacobian = _with_jacobian(self.riders.take(rows), frames)
        flow = _projected(points, jacobian, fit)
        away = points[:, :2] - (evidence.pixels - fit.centre) * (points[:, 2:] / fit.focal)
        weight = (scale**2 / (scale**2 + squared)) ** 2 / evidence.sigma**2
        flat = (flow * weight[:, None, None]).reshape(-1, model.width)
        hessian = flat.T @ flow.reshape(-1, model.width)
        gradient = -flat.T @ away.reshape(-1)

        probes, jacobian = _with_jacobian(model.probes, frames)
        distance, direction = self.leaving(fit, probes)
        out = np.flatnonzero(distance > 0)
        if len(out):
            flow = _projected(probes[out], jacobian[out], fit)
            rowwise = (flow * direction[out][..., None]).sum(1)
            squared = (distance[out] / OUTSIDE_SIGMA) ** 2
            ratio = 0.5 * len(evidence.pixels) / len(probes)
            weight = ratio * (scale**2 / (scale**2 + squared)) ** 2 / OUTSIDE_SIGMA**2
            hessian += (rowwise * weight[:, None]).T @ rowwise
            gradient -= (rowwise * weight[:, None]).T @ distance[out]
        self._add_priors(hessian, gradient, fit, frames.turn)
        return hessian, gradient

    def _add_priors(self, hessian, gradient, fit: BodyFit, turn) -> None:
        model, prior = body_model(), load_prior()
        shapes = len(SHAPES)
        angles = np.asarray(axis_angles(fit.local[prior.joints]), np.float64)
        parents = turn[model.skeleton.parents[prior.joints]]
        blocks = _inverse_left_jacobian(angles) @ parents.transpose(0, 2, 1)
        flow = np.zeros((3 * len(angles), 3 * len(angles)))
        for n, block in enumerate(blocks):
            flow[3 * n : 3 * n + 3, 3 * n : 3 * n + 3] = block
        whitened = prior.root @ flow
        off = prior.root @ (angles - prior.mean).reshape(-1)
        turns = slice(3, 3 + 3 * len(angles))
        weight = POSE_WEIGHT * len(self.evidence.pixels) / 300
        hessian[turns, turns] += weight * whitened.T @ whitened
        gradient[turns] -= weight * whitened.T @ off
        focal = model.width - shapes - 4
        hessian[focal, focal] += 10 / FOCAL_SPREAD**2
        gradient[focal] -= 10 * np.log(fit.focal / self.prior_focal) / FOCAL_SPREAD**2


def _unusual(fit: BodyFit) -> float:
    """Mean squared standard deviation of the joint angles under the prior."""
    prior = load_prior()
    angles = np.asarray(axis_angles(fit.local[prior.joints]), np.float64)
    return float(((prior.root @ (angles - prior.mean).reshape(-1)) ** 2).mean())


def _frames(fit: BodyFit) -> Frames:
    return joint_frames(body_model().skeleton, fit.local, fit.translation, fit.betas)


def _with_jacobian(riders: Riders, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    return posed_with_jacobian(riders, body_model().skeleton, frames, body_model().width)


def _projected(points, jacobian, fit: BodyFit):
    """Moves of the projections [n,2,width] in metres at the points' depth."""
    ray = points[:, :2] / np.maximum(points[:, 2:], 0.1)
    flow = jacobian[:, :2] - ray[:, :, None] * jacobian[:, 2:]
    flow[:, :, -len(SHAPES) - 4] = points[:, :2]  # by the logarithm of the focal length
    return flow


def _inverse_left_jacobian(angles: np.ndarray) -> np.ndarray:
    """[n,3,3]: d log(exp(w) R) / dw at 0 for R = exp(angle) (Barfoot 2017, equation 7.77)."""
    size = np.maximum(np.linalg.norm(angles, axis=1), 1e-6)[:, None, None]
    x, y, z = angles.T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(-1, 3, 3)
    half = size / 2
    factor = (1 - half / np.tan(half)) / size**2
    return np.eye(3) - 0.5 * cross + factor * (cross @ cross)


def _step(problems, fits, scale: float, rigid: bool = False) -> None:
    """One damped step of all photos, in place; `rigid`: only root, distance and focal length move."""
    model = body_model()
    shapes = len(SHAPES)
    own = model.width - shapes
    if rigid:
        free = np.concatenate([np.arange(3), np.arange(own - 3, own)])
        for problem, fit in zip(problems, fits, strict=True):
            hessian, gradient = problem.normal_equations(fit, scale)
            step = np.zeros(model.width)
            block = hessian[np.ix_(free, free)]
            step[free] = np.linalg.solve(block + 1e-3 * np.diag(np.diag(block)), gradient[free])
            _move(fit, step)
        return
    schur = np.diag(10.0 / SHAPE_SPREAD**2)  # the shape's prior
    right = schur @ (SHAPE_MEAN - fits[0].betas)
    solved = []
    for problem, fit in zip(problems, fits, strict=True):
        hessian, gradient = problem.normal_equations(fit, scale)
        hessian[np.diag_indices(model.width)] *= 1.001
        hessian[np.diag_indices(model.width)] += 1e-3
        a, b, c = hessian[:own, :own], hessian[:own, own:], hessian[own:, own:]
        both = np.linalg.solve(a, np.column_stack([gradient[:own], b]))
        solved.append(both)
        schur += c - b.T @ both[:, 1:]
        right = right + gradient[own:] - b.T @ both[:, 0]
    shape_step = np.linalg.solve(schur, right)
    for fit, both in zip(fits, solved, strict=True):
        _move(fit, np.concatenate([both[:, 0] - both[:, 1:] @ shape_step, shape_step]))


def _move(fit: BodyFit, step: np.ndarray) -> None:
    model, prior = body_model(), load_prior()
    shapes = len(SHAPES)
    own = model.width - shapes
    turn = _frames(fit).turn
    turns = np.clip(step[: own - 4].reshape(-1, 3), -0.5, 0.5)
    joints = np.concatenate([[0], prior.joints])
    parents = model.skeleton.parents[joints]
    above = np.where((parents < 0)[:, None, None], np.eye(3), turn[parents])
    matrices = np.asarray(rotation_matrices(turns), np.float64)
    u, _, vh = np.linalg.svd(above.transpose(0, 2, 1) @ matrices @ above @ fit.local[joints])
    fit.local[joints] = u @ vh  # what rounding takes from a rotation grows along the chain
    fit.focal = float(fit.focal * np.exp(np.clip(step[own - 4], -0.2, 0.2)))
    fit.translation = fit.translation + np.clip(step[own - 3 : own], -0.5, 0.5)
    fit.betas = SHAPE_MEAN + np.clip(fit.betas + step[own:] - SHAPE_MEAN, -3 * SHAPE_SPREAD, 3 * SHAPE_SPREAD)


def outside_field(mask: np.ndarray, margin: float = 0.3) -> tuple[np.ndarray, tuple[int, int]]:
    """Distance of every cell to the mask [h,w], in cells, on a grid that is larger by `margin` on all sides;
    and the cells (x, y) added at the left and the top."""
    height, width = mask.shape
    down, across = round(margin * height), round(margin * width)
    padded = np.pad(mask, ((down, down), (across, across)))
    return ndimage.distance_transform_edt(~padded), (across, down)
