# SPDX-License-Identifier: GPL-3.0-or-later
"""Levenberg-Marquardt over all photos of one person, who has one shape (Schur complement).

The scale of robustness shrinks as the fit settles (graduated non-convexity, Blake & Zisserman 1987).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...body.pose import rotation_matrices
from ...body.rotations import smallest_rotation, unit
from ...body.skeleton import INDEX as JOINT
from ...body.template import load_template
from ..landmarks.pose import INDEX
from ..sighting import Sighting
from .evidence import LIKELY, Evidence, gather
from .model import EXPRESSIONS, BodyFit, fit_model, rest_rotations
from .model import FACE as FACE_COEFFICIENTS
from .photo_pose import PhotoPose
from .pose_prior import load_prior
from .terms import (
    Term,
    edge_term,
    inside_term,
    jaw_term,
    landmark_terms,
    prior_focal,
    prior_terms,
    shape_prior,
)

SCALES = (8.0, 6.0, 6.0, 5.0, 4.0, 4.0, 3.5, 3.0, 3.0, 2.5, 2.5, 2.0, 2.0, 2.0)  # by round
FILM_SCALES = (4.0, 3.5, 3.0, 2.5, 2.0, 2.0)  # of a frame that starts from another one's fit
BOUND_ROUNDS = 8
RIGID_ROUNDS, RIGID_SCALE, TOGETHER = 6, 8.0, 6
# Right landmarks explain 39 photos of people better than swapped ones by 15 to 390, or nobody can tell.
MUCH_BETTER, LEGS_OFF, ASIDE = 15.0, 0.08, 0.7  # of energy; metres; cosine
EDGES_FROM = 4.5  # the scale below which the outline counts
GAZE_MOST, SHAPE_MOST = 0.6, 3.0  # radians; standard deviations
TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
LIMBS = (  # joint, joint at the bone's end, landmarks at both
    ("upper_arm", "forearm", ("shoulder", "elbow")),
    ("forearm", "hand", ("elbow", "wrist")),
    ("thigh", "shin", ("hip", "knee")),
    ("shin", "foot", ("knee", "ankle")),
)
# Left arm of somebody who stands, in the template's axes: where a photo does not show it.
HANGING = {"upper_arm": (0.17, 0.03, -0.98), "forearm": (0.08, -0.17, -0.98)}
TRUNK_JOINTS = ("upper_arm.L", "upper_arm.R", "thigh.L", "thigh.R")


def fit_bodies(
    photos: list[Sighting], poses: Sequence[PhotoPose | None] | None = None
) -> list[tuple[Sighting, BodyFit]]:
    """The person in every photo, with the landmarks as they were believed; the shape is one. Empty for no
    photos. poses: for each photo the pose and camera that it keeps, or None where they are found.
    """
    given = poses or [None] * len(photos)
    found = [_fit_held(*pair) if pair[1] else _fit_one(pair[0]) for pair in zip(photos, given, strict=True)]
    if len(found) > 1:
        _, evidence, fits = (list(parts) for parts in zip(*found, strict=True))
        mean = np.mean([fit.betas for fit in fits], 0)
        for fit in fits:
            fit.set_shape(mean.copy())
        for scale in SCALES[-TOGETHER:]:
            _step(evidence, fits, scale)
    return [(seen, fit) for seen, _, fit in found]


def fit_pose(seen: Sighting, betas: np.ndarray) -> tuple[Sighting, BodyFit]:
    """A person of known shape betas [S] in a further photo, as `fit_bodies` answers; the shape is kept."""
    seen, _, fit = _fit_one(seen, betas)
    return seen, fit


def follow(seen: Sighting, others: Sequence[BodyFit]) -> BodyFit:
    """The person in a frame of a film. others: fits to other frames, of one shape, which is kept; the fit
    starts from the one that explains this frame best.
    """
    evidence = gather(seen)
    fit = min((_in_frame(other, seen.size) for other in others), key=lambda start: energy(evidence, start))
    for _ in range(RIGID_ROUNDS):
        _rigid_step(evidence, fit)
    for scale in FILM_SCALES:
        _own_step(evidence, fit, scale)
    return fit


def _in_frame(fit: BodyFit, size: tuple[int, int]) -> BodyFit:
    """A copy for a photo of size (H, W)."""
    height, width = size
    focal = fit.focal * max(size) / (2 * max(fit.centre))
    return replace(fit, local=fit.local.copy(), focal=focal, centre=(width / 2, height / 2))


def _fit_one(seen: Sighting, betas: np.ndarray | None = None) -> tuple[Sighting, Evidence, BodyFit]:
    """The fit, of any shape or of `betas`, to the landmarks, or to the same with left and right exchanged
    where that explains the photo much better: without a face, a back is easily taken for a front; in profile,
    one leg for the other.
    """
    evidence = gather(seen)
    fit = _settled(evidence, betas)
    best, least = (seen, evidence, fit), energy(evidence, fit)
    tries = ["body"] if seen.face is None else []
    tries += ["legs"] if _aside(fit) or _legs_off(evidence, fit) > LEGS_OFF else []
    for part in tries:
        other = seen.swapped(part)
        evidence = gather(other)
        fit = _settled(evidence, betas)
        if (better := energy(evidence, fit)) < least - MUCH_BETTER:
            best, least = (other, evidence, fit), better
    return best


def _fit_held(seen: Sighting, pose: PhotoPose) -> tuple[Sighting, Evidence, BodyFit]:
    """Shape, expression and gaze of a body in a given pose; of the landmarks, and the same with left and
    right exchanged, those that agree with the pose.
    """
    tries = [seen, seen.swapped("legs"), *([seen.swapped("body")] if seen.face is None else [])]
    fit = pose.fit(seen.size)
    seen, evidence = min(((one, gather(one)) for one in tries), key=lambda pair: energy(pair[1], fit))
    for scale in SCALES:
        _step([evidence], [fit], scale)
    return seen, evidence, fit


def _settled(evidence: Evidence, betas: np.ndarray | None) -> BodyFit:
    fit = first_guess(evidence)
    if betas is not None:
        fit.betas = betas.copy()
    for _ in range(RIGID_ROUNDS):
        _rigid_step(evidence, fit)
    for scale in SCALES:
        if betas is None:
            _step([evidence], [fit], scale)
        else:
            _own_step(evidence, fit, scale)
    return fit


def _aside(fit: BodyFit) -> bool:
    """Whether the pelvis is seen from the side, where one leg hides the other."""
    return abs((fit.local[0] @ (0, -1, 0))[2]) < ASIDE


def _legs_off(evidence: Evidence, fit: BodyFit) -> float:
    """Metres by which the worst landmark of the legs is missed."""
    rows = [row for name, row in evidence.row.items() if name.endswith(("knee", "ankle", "heel", "foot"))]
    if not rows:
        return 0.0
    points = fit.posed(evidence.points.take(rows))
    away = np.linalg.norm(fit.project(points) - evidence.pixels[rows], axis=1)
    return float((away * points[:, 2] / fit.focal).max())


def first_guess(evidence: Evidence) -> BodyFit:
    """The mean pose, trunk and limbs turned as the landmarks lie in space, as far away as its size says."""
    focal, (height, width) = prior_focal(evidence), evidence.size
    local = rest_rotations()
    own = fit_model().joints(TRUNK_JOINTS).places
    seen = evidence.world[[INDEX[name] for name in TRUNK]]
    u, _, vt = np.linalg.svd((own - own.mean(0)).T @ (seen - seen.mean(0)))
    local[0] = (u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt).T
    fit = BodyFit(
        local, np.zeros(3), focal, (width / 2, height / 2), np.zeros(len(load_template().shape_names))
    )
    _turn_limbs(evidence, fit)
    points, pixels = fit.posed(evidence.points), evidence.pixels - fit.centre
    weight = 1 / evidence.sigma[:, None]
    middle, centre = ((a * weight).sum(0) / weight.sum() for a in (points, pixels))
    spread = (np.linalg.norm(points - middle, axis=1)[:, None] * weight)[:, 0]
    flat = np.linalg.norm((points - middle)[:, :2], axis=1)
    scale = (np.linalg.norm(pixels - centre, axis=1) * weight[:, 0]).sum() / max(
        (flat * weight[:, 0]).sum(), 1e-3 * spread.sum()
    )
    fit.translation = np.array([*(centre / scale), focal / scale]) - middle
    return fit


def _turn_limbs(evidence: Evidence, fit: BodyFit) -> None:
    """Turns every limb's bones, from the trunk outwards, into the directions that the landmarks have in
    space; arms that are not seen hang.
    """
    for side, suffix in (("left", "L"), ("right", "R")):
        for joint, end, (a, b) in LIMBS:
            rows = INDEX[f"{side}_{a}"], INDEX[f"{side}_{b}"]
            direction = evidence.world[rows[1]] - evidence.world[rows[0]]
            if evidence.likelihood[list(rows)].min() < LIKELY:
                if joint not in HANGING:
                    continue
                direction = fit.local[0] @ (HANGING[joint] * np.array([1 if suffix == "L" else -1, 1, 1]))
            frames = fit.frames()
            j, k = JOINT[f"{joint}.{suffix}"], JOINT[f"{end}.{suffix}"]
            above = frames.turn[fit_model().skeleton.parents[j]]
            bone = frames.place[k] - frames.place[j]
            turn = smallest_rotation(unit(bone), unit(direction))
            fit.local[j] = above.T @ turn @ above @ fit.local[j]


def energy(evidence: Evidence, fit: BodyFit) -> float:
    """The energy of a fit at the last scale, without the shape's prior."""
    return sum(term.cost for term in _terms(evidence, fit, SCALES[-1]))


def _terms(evidence: Evidence, fit: BodyFit, scale: float) -> list[Term]:
    terms = [*landmark_terms(evidence, fit, scale), inside_term(evidence, fit, scale)]
    terms += prior_terms(evidence, fit)
    if scale < EDGES_FROM:
        terms += [edge_term(evidence, fit, scale), jaw_term(evidence, fit, scale)]
    return [term for term in terms if term is not None]


def _normal_equations(evidence: Evidence, fit: BodyFit, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """JᵀWJ and JᵀWr of all residuals but the shape's prior."""
    width = fit_model().width
    hessian, gradient = np.zeros((width, width)), np.zeros(width)
    for term in _terms(evidence, fit, scale):
        weighted = term.jacobian * term.weight[:, None]
        hessian += weighted.T @ term.jacobian
        gradient += weighted.T @ term.residual
    return hessian, gradient


def _rigid_step(evidence: Evidence, fit: BodyFit) -> None:
    """One step in which only the root's turn and place and the focal length move."""
    model = fit_model()
    free = np.concatenate([np.arange(3), model.focal + np.arange(4)])
    hessian, gradient = _normal_equations(evidence, fit, RIGID_SCALE)
    block, step = hessian[np.ix_(free, free)], np.zeros(model.width)
    step[free] = np.linalg.solve(block + 1e-3 * np.diag(np.diag(block)), gradient[free])
    _move(fit, step)


def _step(photos: list[Evidence], fits: list[BodyFit], scale: float) -> None:
    """One damped step of all photos, in place."""
    own = fit_model().own
    schur, right = shape_prior(fits[0].betas)
    solved = []
    for evidence, fit in zip(photos, fits, strict=True):
        hessian, gradient = _damped_equations(evidence, fit, scale)
        a, b, c = hessian[:own, :own], hessian[:own, own:], hessian[own:, own:]
        both = np.linalg.solve(a, np.column_stack([gradient[:own], b]))
        solved.append(both)
        schur += c - b.T @ both[:, 1:]
        right = right + gradient[own:] - b.T @ both[:, 0]
    shape_step = np.linalg.solve(schur, right)
    for fit, both in zip(fits, solved, strict=True):
        _move(fit, np.concatenate([both[:, 0] - both[:, 1:] @ shape_step, shape_step]))


def _own_step(evidence: Evidence, fit: BodyFit, scale: float) -> None:
    """One damped step of one photo, in place, that leaves the shape as it is. Expressions that would leave
    0 to 1 stop there, and the rest of the step is solved again: sliders that look alike depend on each other.
    """
    own, first = fit_model().own, fit_model().focal + 4
    hessian, gradient = _damped_equations(evidence, fit, scale)
    hessian, gradient = hessian[:own, :own], gradient[:own]
    low, high = np.full(own, -np.inf), np.full(own, np.inf)
    low[first : first + EXPRESSIONS], high[first : first + EXPRESSIONS] = -fit.expression, 1 - fit.expression
    step, free = np.zeros(own), np.ones(own, bool)
    for _ in range(BOUND_ROUNDS):
        pull = gradient[free] - hessian[np.ix_(free, ~free)] @ step[~free]
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], pull)
        inside = (step >= low) & (step <= high)
        step, free = np.clip(step, low, high), free & inside
        if inside.all():
            break
    _move(fit, np.append(step, np.zeros(len(fit.betas))))


def _damped_equations(evidence: Evidence, fit: BodyFit, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """`_normal_equations` of a damped step that keeps expressions within their bounds."""
    hessian, gradient = _normal_equations(evidence, fit, scale)
    if fit.held:
        hessian, gradient = _without_pose(hessian, gradient)
    _hold_at_bounds(fit, hessian, gradient)
    diagonal = np.diag_indices(len(hessian))
    hessian[diagonal] = 1.001 * hessian[diagonal] + 1e-3
    return hessian, gradient


def _without_pose(hessian: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The equations of a body whose turns, focal length and place of the pelvis are given."""
    model = fit_model()
    pose, free = model.focal + 4, np.eye(model.width)
    free[:pose, :pose] = 0
    free[model.focal + 1 : pose, model.own :] = -model.skeleton.head_deltas[0, FACE_COEFFICIENTS:].T
    return free.T @ hessian @ free, free.T @ gradient


def _hold_at_bounds(fit: BodyFit, hessian: np.ndarray, gradient: np.ndarray) -> None:
    """Expressions that lie at 0 or 1 and would leave take no part in the step (Bertsekas 1982, projected
    Newton).
    """
    first = fit_model().focal + 4
    pull = gradient[first : first + EXPRESSIONS]
    held = first + np.flatnonzero((fit.expression <= 0) & (pull < 0) | (fit.expression >= 1) & (pull > 0))
    hessian[held] = 0
    hessian[:, held] = 0
    hessian[held, held] = 1
    gradient[held] = 0


def _move(fit: BodyFit, step: np.ndarray) -> None:
    model, joints = fit_model(), np.concatenate([[0], load_prior().joints])
    focal, face = model.focal, model.focal + 4
    turn = fit.frames().turn
    parents = model.skeleton.parents[joints]
    above = np.where((parents < 0)[:, None, None], np.eye(3), turn[parents])
    turns = np.asarray(rotation_matrices(np.clip(step[:focal].reshape(-1, 3), -0.5, 0.5)), np.float64)
    u, _, vh = np.linalg.svd(above.transpose(0, 2, 1) @ turns @ above @ fit.local[joints])
    fit.local[joints] = u @ vh  # what rounding takes from a rotation grows along the chain
    fit.focal = float(fit.focal * np.exp(np.clip(step[focal], -0.2, 0.2)))
    fit.translation = fit.translation + np.clip(step[focal + 1 : face], -0.5, 0.5)
    moved = step[face : face + FACE_COEFFICIENTS]
    fit.expression = np.clip(fit.expression + moved[:EXPRESSIONS], 0, 1)
    fit.gaze = np.clip(fit.gaze + moved[EXPRESSIONS:].reshape(2, 2), -GAZE_MOST, GAZE_MOST)
    fit.set_shape(np.clip(fit.betas + step[model.own :], -SHAPE_MOST, SHAPE_MOST))
