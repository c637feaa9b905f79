# SPDX-License-Identifier: GPL-3.0-or-later
"""What one photo says of the person: landmarks as template points with pixels,
the outline, and directions of bones in space.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy import ndimage

from ...body.skeleton import FINGERS
from ...body.template import load_template
from ..landmarks.face import MESH, OUTLINE, Face
from ..landmarks.hands import FINGER_JOINTS, Hand
from ..landmarks.pose import INDEX, Pose
from ..sighting import Sighting
from .face_ties import visible_landmarks
from .model import fit_model
from .skinned_points import SkinnedPoints

# Joint of the template: the landmark of that name, and metres by which the two are apart (measured on
# synthetic people; the network's hips lie higher and farther out).
JOINTS = {
    "upper_arm": ("shoulder", 0.025), "forearm": ("elbow", 0.02), "hand": ("wrist", 0.015),
    "thigh": ("hip", 0.04), "shin": ("knee", 0.025), "foot": ("ankle", 0.02),
}  # fmt: skip
FEET_SIGMA = 0.025  # metres, of heels and tips of the feet
FINGERS_SIGMA = 0.012
FACE_SIGMA, IRIS_SIGMA = 0.004, 0.0015
HEAD = {"left_ear": 454, "right_ear": 234, "nose": 1}  # landmarks of the face that the body's stand for
HEAD_SIGMA = 0.02
BONES = [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]
CHAIN = ("wrist", "elbow", "shoulder", "hip", "knee", "ankle")
BONES += [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in pairwise(CHAIN)]
LIKELY = 0.3  # least likelihood of a landmark that is used
BORDER = 0.02  # of the photo's sides, by which a landmark may lie outside
JAW, AHEAD = slice(9, 28), np.radians(25)  # of the face's outline; the most that the face is turned aside
EDGES = 500  # points of the outline
FIELD_ROWS = 200  # of the distance field


@dataclass(frozen=True)
class Evidence:
    """One photo of H x W pixels.

    size (H, W). points [n]: landmarks as points of the template, with pixels [n,2] (x, y, centres at +0.5)
    and sigma [n] metres; kind [n]: `BODY`, `HAND` or `FACE`. row: landmark's name -> row of `points`, body
    only. bones: rows (a, b), directions [m,3] in the camera's axes, likelihood [m]. jaw [j,2] pixels of the
    face's outline from ear to ear over the chin, with outward normals [j,2]; none where the face is turned
    aside. edge [k,2] pixels of the matte's outline away from the photo's border, with outward normals [k,2];
    outside [h,w]: pixels' distance to the matte, on a grid with `origin` (x, y) and `step` pixels a cell.
    world [33,3], likelihood [33]: the body landmarks in space, None without body landmarks.
    """

    size: tuple[int, int]
    points: SkinnedPoints
    pixels: np.ndarray
    sigma: np.ndarray
    kind: np.ndarray
    row: dict[str, int]
    bones: tuple[np.ndarray, np.ndarray, np.ndarray]
    jaw: np.ndarray
    jaw_normals: np.ndarray
    edge: np.ndarray
    edge_normals: np.ndarray
    outside: np.ndarray
    origin: tuple[float, float]
    step: float
    world: np.ndarray
    likelihood: np.ndarray


BODY, HAND, FACE = 0, 1, 2


def gather(seen: Sighting) -> Evidence:
    matte, pose, face, hands = seen.matte, seen.pose, seen.face, seen.hands
    size = matte.shape
    parts: list[tuple[SkinnedPoints, np.ndarray, np.ndarray, int]] = []
    names, body, pixels, sigma = _body_landmarks(pose, hands, size)
    row = {name: number for number, name in enumerate(names)}
    parts.append((body, pixels, sigma, BODY))
    parts += [
        part for side in ("left", "right") if hands.get(side) for part in [_hand_landmarks(side, hands[side])]
    ]
    parts.append(_face_landmarks(face, matte) if face is not None else _head_landmarks(pose, size))
    points = SkinnedPoints(
        *(np.ascontiguousarray(np.concatenate(a)) for a in zip(*(p[0] for p in parts), strict=True))
    )
    edge, normals = _outline(matte)
    jaw, jaw_normals = jaw_line(face)
    outside, origin, step = _distance_field(matte)
    likelihood = pose.likelihood()
    return Evidence(
        size=size,
        points=points,
        pixels=np.concatenate([part[1] for part in parts]),
        sigma=np.concatenate([part[2] for part in parts]),
        kind=np.concatenate([np.full(len(part[2]), part[3]) for part in parts]),
        row=row,
        bones=_bones(pose, likelihood, row),
        jaw=jaw,
        jaw_normals=jaw_normals,
        edge=edge,
        edge_normals=normals,
        outside=outside,
        origin=origin,
        step=step,
        world=pose.world,
        likelihood=likelihood,
    )


def _body_landmarks(
    pose: Pose, hands: dict[str, Hand | None], size
) -> tuple[list[str], SkinnedPoints, np.ndarray, np.ndarray]:
    """Joints and feet that are likely and in the photo. A wrist is believed beside its elbow or where a hand
    was found: alone it is a guess, and would draw an arm across the face of a portrait.
    """
    likelihood, names, joints, places, sigma = pose.likelihood(), [], [], [], []
    for side, suffix in (("left", "L"), ("right", "R")):
        for joint, (landmark, spread) in JOINTS.items():
            name = f"{side}_{landmark}"
            alone = landmark == "wrist" and not hands.get(side) and f"{side}_elbow" not in names
            if not alone and _usable(pose, likelihood, name, size):
                names.append(name)
                joints.append(f"{joint}.{suffix}")
                sigma.append(spread / likelihood[INDEX[name]])
    for name, place in feet_places().items():
        if _usable(pose, likelihood, name, size):
            names.append(name)
            places.append(place)
            sigma.append(FEET_SIGMA / likelihood[INDEX[name]])
    model = fit_model()
    order = [model.joints(joints), model.attached(np.array(places).reshape(-1, 3))]
    points = SkinnedPoints(*(np.concatenate(arrays) for arrays in zip(*order, strict=True)))
    pixels = np.array([pose.points[INDEX[name], :2] + 0.5 for name in names]).reshape(-1, 2)
    return names, points, pixels, np.array(sigma)


def _usable(pose: Pose, likelihood: np.ndarray, name: str, size) -> bool:
    """Likely, and not a guess beyond the photo's border."""
    x, y = pose.points[INDEX[name], :2]
    height, width = size
    inside = -BORDER * width < x < (1 + BORDER) * width and -BORDER * height < y < (1 + BORDER) * height
    return bool(likelihood[INDEX[name]] > LIKELY and inside)


@cache
def feet_places() -> dict[str, np.ndarray]:
    """Where heels and tips of the feet are on the template."""
    vertices, places = load_template().vertices, {}
    for side, sign in (("left", 1), ("right", -1)):
        foot = vertices[(sign * vertices[:, 0] > 0) & (vertices[:, 2] < 0.07)]
        places[f"{side}_heel"] = foot[foot[:, 1].argmax()]
        places[f"{side}_foot"] = foot[foot[:, 1].argmin()]
    return places


def _hand_landmarks(side: str, hand: Hand):
    """The joints of the fingers; the wrist is the body's."""
    joints, rows = [], []
    for finger in FINGERS:
        for number, row in enumerate(FINGER_JOINTS[finger], 1):
            joints.append(f"{finger}{number}.{side[0].upper()}")
            rows.append(row)
    sigma = np.full(len(rows), FINGERS_SIGMA)
    return fit_model().joints(joints), hand.points[rows, :2] + 0.5, sigma, HAND


def _face_landmarks(face: Face, matte: np.ndarray):
    """The face's landmarks that are seen (`face_rows`)."""
    rows = face_rows(face, matte)
    sigma = np.where(rows < MESH, FACE_SIGMA, IRIS_SIGMA)
    return fit_model().face.take(rows), face.points[rows, :2] + 0.5, sigma, FACE


def face_rows(face: Face, matte: np.ndarray) -> np.ndarray:
    """Landmarks that a photo with this matte [H,W] shows at a fixed place of the skin: they look at the
    camera, and are not of the face's outline, which slides as the head turns.
    """
    rows = np.setdiff1d(visible_landmarks(face.points), OUTLINE)
    x, y = face.points[rows, :2].round().astype(int).T
    height, width = matte.shape
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return rows[within & (matte[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0.5)]


def _head_landmarks(pose: Pose, size):
    """Nose and ears, where no face was found."""
    likelihood = pose.likelihood()
    names = [name for name in HEAD if _usable(pose, likelihood, name, size)]
    points = fit_model().face.take(np.array([HEAD[name] for name in names], np.int64))
    pixels = np.array([pose.points[INDEX[name], :2] + 0.5 for name in names]).reshape(-1, 2)
    return points, pixels, HEAD_SIGMA / likelihood[[INDEX[name] for name in names]], BODY


def _bones(pose: Pose, likelihood: np.ndarray, row: dict[str, int]):
    pairs = [(a, b) for a, b in BONES if a in row and b in row]
    rows = np.array([(row[a], row[b]) for a, b in pairs], np.int64).reshape(-1, 2)
    vectors = np.array([pose.world[INDEX[b]] - pose.world[INDEX[a]] for a, b in pairs]).reshape(-1, 3)
    likely = np.array([min(likelihood[INDEX[a]], likelihood[INDEX[b]]) for a, b in pairs])
    return rows, vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9), likely


def jaw_line(face: Face | None) -> tuple[np.ndarray, np.ndarray]:
    """The outline's points from ear to ear, which are the silhouette of cheeks and chin while the face looks
    ahead.
    """
    if face is None or abs(face.yaw) > AHEAD:
        return np.zeros((0, 2)), np.zeros((0, 2))
    line = face.points[list(OUTLINE), :2] + 0.5
    along = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    normals = np.stack([along[:, 1], -along[:, 0]], 1)
    normals *= np.sign(((line - line.mean(0)) * normals).sum(1, keepdims=True))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    return line[JAW], normals[JAW]


def _outline(matte: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [k,2] on the edge of a matte [H,W], away from the photo's border, and outward normals [k,2]."""
    height = matte.shape[0]
    inside = ndimage.gaussian_filter(matte, max(1.0, height / 500)) > 0.5
    edge = inside & ~ndimage.binary_erosion(inside)
    border = max(3, height // 150)
    edge[:border] = edge[-border:] = False
    edge[:, :border] = edge[:, -border:] = False
    rows, columns = np.nonzero(edge)
    chosen = np.random.default_rng(0).permutation(len(rows))[:EDGES]
    rows, columns = rows[chosen], columns[chosen]
    smooth = ndimage.gaussian_filter(matte, max(2.0, height / 300))
    down, across = np.gradient(smooth)
    normals = -np.stack([across[rows, columns], down[rows, columns]], 1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    return np.stack([columns, rows], 1) + 0.5, normals


def _distance_field(matte: np.ndarray) -> tuple[np.ndarray, tuple[float, float], float]:
    """Distance to the matte in pixels on a coarse grid that reaches half the photo beyond it, where
    everything is inside: the body may go on there.
    """
    step = max(1, matte.shape[0] // FIELD_ROWS)
    inside = matte[step // 2 :: step, step // 2 :: step] > 0.5
    down, across = inside.shape[0] // 2, inside.shape[1] // 2
    padded = np.pad(inside, ((down, down), (across, across)), constant_values=True)
    field = ndimage.distance_transform_edt(~padded) * step
    return field, (-across * step, -down * step), float(step)
