# SPDX-License-Identifier: GPL-3.0-or-later
"""Which photo's pixels an avatar shows where: one photo for each part of the body as far as it can, so that
features of two photos do not meet, and the colours of all brought to one tone.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..body.skeleton import INDEX, JOINT_NAMES
from .colours import Look
from .photo import FittedPhoto
from .places import Places

PARTS = (  # joints whose places are shown by one photo where possible
    ("neck1", "neck2", "head", "jaw", "eye.L", "eye.R"),
    *((f"{limb}.{side}",) for side in "LR" for limb in ("upper_arm", "forearm", "thigh", "shin")),
)
FACE = len(PARTS) + 1  # number of the face among the parts
ENOUGH = 0.3  # of the best weight, from which the photo that leads a part of the body is taken
SMOOTHINGS = 6
TELLING = 500  # places from which a photo's sharpness is known
LEAST_AREA = 0.003  # square metres that a photo shows in one piece
EVERY, ABOUT = 8, 24  # places that a tone is the mean over: of every eighth, so many about a place


def best_photos(places: Places, photos: list[FittedPhoto], looks: list[Look]):
    """[N] number of the photo that shows each place best, -1 where none is to be taken; and [N] of the photo
    that shows most of its part of the body.
    """
    if len(looks) == 1:  # a pixel may lie nearest to a place that is hidden, as behind an ear
        return np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    weight = np.stack([look.weight for look in looks])
    smooth = weight
    for _ in range(SMOOTHINGS):
        smooth = (smooth + smooth[:, places.neighbours].mean(2)) / 2
    part, most = parts_of(places), smooth.max(0)
    sharp = _sharpness(places, looks)
    everywhere = sharp * ((weight / np.maximum(weight.max(0), 1e-12)) @ places.spacing**2)
    best, leading = np.full(len(places), -1), np.zeros(len(places), np.int64)
    for number in range(part.max() + 1):
        here = np.flatnonzero(part == number)
        total = weight[:, here].sum(1) * sharp
        if number == FACE:
            total *= [photo.plainness for photo in photos]
        elif total[everywhere.argmax()] > ENOUGH * total.max():
            total[everywhere.argmax()] = np.inf
        leading[here] = total.argmax()
        for view in np.argsort(total):
            shown = (weight[view, here] > 0) & (smooth[view, here] >= ENOUGH * most[here])
            best[here[shown]] = view
    return _without_islands(places, best, weight > 0), leading


def _sharpness(places: Places, looks: list[Look]) -> np.ndarray:
    """[V] how much photos' colours differ between neighbouring places that half of the photos show, beside
    the most; 1 where too few tell. Frames of a film that are blurred by motion have 0.4 to 0.6.
    """
    seen = np.stack([(look.weight > 0) & (look.weight[places.neighbours] > 0).all(1) for look in looks])
    seen &= seen.sum(0) >= len(looks) / 2
    told = seen.sum(1) > TELLING
    detail = np.zeros(len(looks))
    for number in np.flatnonzero(told):
        color = looks[number].color
        rows = np.flatnonzero(seen[number])
        detail[number] = np.abs(color[rows] - color[places.neighbours[rows]].mean(1)).mean()
    return np.where(told, detail / detail.max(), 1.0) if detail.max() > 0 else np.ones(len(looks))


def _without_islands(places: Places, best: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Small areas take the photo of what lies around them, where that shows them, else none."""
    count, width = places.neighbours.shape
    rows, columns = np.repeat(np.arange(count), width), places.neighbours.ravel()
    alike = best[rows] == best[columns]
    graph = sparse.csr_matrix((alike[alike], (rows[alike], columns[alike])), (count, count))
    _, island = connected_components(graph, directed=False)
    small = (np.bincount(island, places.spacing**2) < LEAST_AREA)[island] & (best >= 0)
    border = small[rows] & ~small[columns] & (best[columns] >= 0)
    votes = np.zeros((island.max() + 1, len(seen)), np.int64)
    np.add.at(votes, (island[rows[border]], best[columns[border]]), 1)
    around = np.where(votes.any(1), votes.argmax(1), -1)[island]
    shows = (around >= 0) & seen[around, np.arange(count)]
    return np.where(small, np.where(shows, around, -1), best)


def parts_of(places: Places) -> np.ndarray:
    """[N] number of the part; the face one of its own, the last for all else."""
    of_joint = np.full(len(JOINT_NAMES), len(PARTS))
    for number, names in enumerate(PARTS):
        of_joint[[INDEX[name] for name in names]] = number
    strongest = np.take_along_axis(places.skin_indices, places.skin_weights.argmax(1)[:, None], 1)[:, 0]
    return np.where(places.face > 0.1, FACE, of_joint[strongest])


def tones(places: Places, looks: list[Look], color: np.ndarray) -> list[np.ndarray]:
    """For each photo what its colours lack to the mean of all, `color` [N,3]: [N,3], smooth."""
    if len(looks) == 1:
        return [np.zeros_like(color)]
    return [_tone(places, look, color) for look in looks]


def _tone(places: Places, look: Look, color: np.ndarray) -> np.ndarray:
    seen = np.flatnonzero(look.weight > 0)[::EVERY]
    if len(seen) < ABOUT:
        return np.zeros_like(color)
    tree = cKDTree(places.positions[seen])
    near = tree.query(places.positions[seen], k=ABOUT, workers=-1)[1]
    off = np.median((color - look.color)[seen][near], axis=1)
    return off[near[tree.query(places.positions, workers=-1)[1]]].mean(1).astype(np.float32)
