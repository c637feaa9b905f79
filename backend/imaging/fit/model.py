# SPDX-License-Identifier: GPL-3.0-or-later
"""The template as the fit sees it: skinned points, and the parameters that move them.

A photo's parameters, in the order of the Jacobian's columns: turns of the pelvis and the free joints (three
each), the logarithm of the focal length, translation (3), and the coefficients: expression (52), gaze (4) and
shape (S). The shape is shared by all photos of a person.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from ...body.anchors import blend_weights
from ...body.arkit import ARKIT_NAMES
from ...body.expression import apply_face_joints
from ...body.mesh import interpolated
from ...body.pose import axis_angles, rotation_matrices
from ...body.skeleton import INDEX
from ...body.template import EYEBALL, SKIN, load_template
from .face_ties import load_ties
from .pose_prior import load_prior
from .skinned_points import Frames, Skeleton, SkinnedPoints, joint_frames, posed_points, posed_with_jacobian

EXPRESSIONS, GAZES = len(ARKIT_NAMES), 4
FACE = EXPRESSIONS + GAZES  # coefficients of one photo's face
CHORD = 0.5  # the value at which the jaw's turn is made linear
GAZE_CHORD = 0.3  # radians, likewise


@dataclass(frozen=True)
class FitModel:
    """skin: the template's outer skin and eyes [n] with the deltas of the shapes; faces [f,3] of it; outer
    [n]: its rows of the template's vertices; hair [n] bool: the head but for the face, which hair may cover;
    face_skin [n] bool; face: the 478 landmarks with the deltas of all coefficients; skeleton; width: columns
    of the Jacobian; tree of the skin's places.
    """

    skin: SkinnedPoints
    faces: np.ndarray
    outer: np.ndarray
    hair: np.ndarray
    face_skin: np.ndarray
    face: SkinnedPoints
    skeleton: Skeleton
    width: int
    tree: cKDTree

    @property
    def own(self) -> int:
        """Columns of a photo's own parameters; the shared shape comes after."""
        return self.width - self.skeleton.head_deltas.shape[1] + FACE

    @property
    def focal(self) -> int:
        """The column of the focal length's logarithm."""
        return self.own - FACE - 4

    def skin_points(self, rows) -> SkinnedPoints:
        """Points of the skin with deltas of all coefficients; the skin's expressions are left out."""
        return _padded(self.skin.take(rows))

    def attached(self, places: np.ndarray) -> SkinnedPoints:
        """Points [n,3] of the template's space, which move as the nearest vertices of the skin do."""
        points = self.skin_points(self.tree.query(places, workers=1)[1])
        return points._replace(places=np.ascontiguousarray(places, np.float64))

    def joints(self, names) -> SkinnedPoints:
        """The heads of joints as points."""
        rows = np.array([INDEX[name] for name in names], np.int64)
        indices = np.zeros((len(rows), self.skin.indices.shape[1]), np.int64)
        weights = np.zeros(indices.shape)
        indices[:, 0], weights[:, 0] = rows, 1
        return SkinnedPoints(self.skeleton.heads[rows], indices, weights, self.skeleton.head_deltas[rows])


@cache
def fit_model() -> FitModel:
    template, prior = load_template(), load_prior()
    outer = np.flatnonzero(template.part <= EYEBALL)
    renumbered = np.full(len(template.vertices), -1)
    renumbered[outer] = np.arange(len(outer))
    faces = renumbered[template.faces]
    skin = SkinnedPoints(
        template.vertices[outer].astype(np.float64),
        template.skin_indices[outer].astype(np.int64),
        template.skin_weights[outer].astype(np.float64),
        np.ascontiguousarray(template.shape_deltas[:, outer].transpose(1, 0, 2), np.float64),
    )
    column = np.full(len(template.joint_heads), -1, np.int64)
    column[0] = 0
    column[prior.joints] = 3 + 3 * np.arange(len(prior.joints))
    shifts = template.shape_joint_deltas.transpose(1, 0, 2).astype(np.float64)
    skeleton = Skeleton(
        template.joint_parents.astype(np.int64),
        template.joint_heads.astype(np.float64),
        np.ascontiguousarray(np.pad(shifts, ((0, 0), (FACE, 0), (0, 0)))),
        column,
    )
    on_head = (
        np.isin(template.skin_indices[outer], [INDEX["head"], INDEX["neck2"]]) * template.skin_weights[outer]
    )
    hair = (on_head.sum(1) > 0.5) & (template.face_mask[outer] < 0.1)
    return FitModel(
        skin=skin,
        faces=faces[(faces >= 0).all(1)].astype(np.int32),
        outer=outer,
        hair=hair,
        face_skin=(template.face_mask[outer] > 0.05) & (template.part[outer] == SKIN),
        face=_landmarks(),
        skeleton=skeleton,
        width=3 + 3 * len(prior.joints) + 4 + FACE + len(template.shape_names),
        tree=cKDTree(skin.places),
    )


def _padded(points: SkinnedPoints) -> SkinnedPoints:
    return points._replace(deltas=np.pad(points.deltas, ((0, 0), (FACE, 0), (0, 0))))


def _landmarks() -> SkinnedPoints:
    """The face landmarks' places."""
    template, ties = load_template(), load_ties()
    corners = template.faces[ties.triangle]
    at = lambda values: interpolated(values, corners, ties.barycentric)  # noqa: E731
    places = at(template.vertices).astype(np.float64)
    shares = template.skin_weights[corners] * ties.barycentric[..., None]
    indices, weights = blend_weights(template.skin_indices[corners], shares)
    indices, weights = indices.astype(np.int64), weights.astype(np.float64)
    expressions = np.stack([at(delta) for delta in template.expression_deltas], 1).astype(np.float64)
    moves = _face_joint_moves(places, indices, weights)
    moves[:, :EXPRESSIONS] += expressions
    shapes = np.stack([at(delta) for delta in template.shape_deltas], 1).astype(np.float64)
    return SkinnedPoints(places, indices, weights, np.ascontiguousarray(np.concatenate([moves, shapes], 1)))


def _face_joint_moves(places: np.ndarray, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[n,56,3]: how jaw and eyes move canonical points for each ARKit value and each angle of the gaze (left
    yaw, left pitch, right yaw, right pitch; metres a radian), made linear.
    """
    moves = np.zeros((len(places), FACE, 3))
    rest = np.tile(np.eye(4, dtype=np.float32), (len(INDEX), 1, 1))
    for coefficient in range(FACE):
        arkit, gaze = np.zeros(EXPRESSIONS, np.float32), np.zeros((2, 2), np.float32)
        chord = CHORD if coefficient < EXPRESSIONS else GAZE_CHORD
        if coefficient < EXPRESSIONS:
            arkit[coefficient] = chord
        else:
            gaze.flat[coefficient - EXPRESSIONS] = chord
        matrices = apply_face_joints(rest, arkit, gaze)
        if np.array_equal(matrices, rest):
            continue
        blended = np.einsum("nk,nkij->nij", weights, matrices[indices].astype(np.float64))
        moved = np.einsum("nij,nj->ni", blended[:, :3, :3], places) + blended[:, :3, 3]
        moves[:, coefficient] = (moved - places) / chord
    return moves


# --- a fit ---------------------------------------------------------------------------------------


@dataclass
class BodyFit:
    """One photo's answer, in the camera's axes (x right, y down, z forward, metres).

    local [J,3,3] joint-local rotations, the pelvis' into the camera's axes; translation [3] of the pelvis;
    focal in pixels; centre (x, y); betas [S] of the template's shapes; expression [52] ARKit values; gaze
    [2,2] as `Signal.gaze`; residual: robust mean cost, 0 to 1; held: pose and camera were given and stay.
    """

    local: np.ndarray
    translation: np.ndarray
    focal: float
    centre: tuple[float, float]
    betas: np.ndarray
    expression: np.ndarray = field(default_factory=lambda: np.zeros(EXPRESSIONS))
    gaze: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    residual: float = 1.0
    held: bool = False

    def set_shape(self, betas: np.ndarray) -> None:
        """Another shape; the pelvis of a held body stays in its place."""
        if self.held:
            root = fit_model().skeleton.head_deltas[0, FACE:]
            self.translation = self.translation + (self.betas - betas) @ root
        self.betas = betas

    @property
    def K(self) -> np.ndarray:
        """[3,3] pixels of the photo."""
        return np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1.0]])

    @property
    def rotations(self) -> np.ndarray:
        """[J,3] axis-angle, as `body.pose.joint_transforms` takes them."""
        return np.asarray(axis_angles(self.local.astype(np.float32)))

    @property
    def coefficients(self) -> np.ndarray:
        return np.concatenate([self.expression, self.gaze.ravel(), self.betas])

    @property
    def joint_heads(self) -> np.ndarray:
        """[J,3] metres: the person's own canonical skeleton."""
        skeleton = fit_model().skeleton
        return skeleton.heads + np.tensordot(self.betas, skeleton.head_deltas[:, FACE:], (0, 1))

    def frames(self) -> Frames:
        return joint_frames(fit_model().skeleton, self.local, self.translation, self.coefficients)

    def joints(self) -> np.ndarray:
        """[J,3] metres in the camera's axes."""
        return self.frames().place

    def posed(self, points: SkinnedPoints) -> np.ndarray:
        """[n,3] metres in the camera's axes, of points with the deltas of all coefficients."""
        return posed_points(points, self.frames())

    def posed_with_jacobian(self, points: SkinnedPoints) -> tuple[np.ndarray, np.ndarray]:
        """[n,3] and [n,3,width]."""
        model = fit_model()
        return posed_with_jacobian(points, model.skeleton, self.frames(), model.width)

    def vertices(self, plain: bool = False) -> np.ndarray:
        """[n,3] posed vertices of the skin, with the expression; `plain`: without."""
        model = fit_model()
        skin, shape_only = model.skin, self.frames()._replace(betas=self.betas)
        if not plain:
            skin = skin._replace(places=skin.places + self._expression_moves())
        return posed_points(skin, shape_only)

    def _expression_moves(self) -> np.ndarray:
        """[n,3] canonical moves of the skin by the expression and by jaw and eyes."""
        model = fit_model()
        rows, deltas = _expressive()
        moves = np.zeros_like(model.skin.places)
        moves[rows] = np.tensordot(self.expression, deltas, (0, 0))
        rest = np.tile(np.eye(4, dtype=np.float32), (len(INDEX), 1, 1))
        matrices = apply_face_joints(rest, self.expression.astype(np.float32), self.gaze.astype(np.float32))
        changed = np.flatnonzero((matrices != rest).any((1, 2)))
        for joint in changed:
            weight = (model.skin.weights * (model.skin.indices == joint)).sum(1)
            rows = np.flatnonzero(weight > 0)
            places = model.skin.places[rows] + moves[rows]
            moved = places @ matrices[joint, :3, :3].T + matrices[joint, :3, 3]
            moves[rows] += weight[rows, None] * (moved - places)
        return moves

    def project(self, points: np.ndarray) -> np.ndarray:
        """Camera points [n,3] -> pixels (x, y) [n,2] of the photo."""
        return self.focal * points[:, :2] / np.maximum(points[:, 2:], 0.1) + self.centre


@cache
def _expressive() -> tuple[np.ndarray, np.ndarray]:
    """Rows of the skin that expressions move, and their deltas [52,n,3]."""
    deltas = load_template().expression_deltas[:, fit_model().outer]
    rows = np.flatnonzero(deltas.any((0, 2)))
    return rows, deltas[:, rows].astype(np.float64)


def rest_rotations() -> np.ndarray:
    """[J,3,3] of the prior's mean pose."""
    return np.asarray(rotation_matrices(load_prior().rest), np.float64)
