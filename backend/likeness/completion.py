# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours where no photo shows a place: carried on around the body from what is seen beside, with the texture
of what is seen on the other side; hair in strands, hands in the colour of the skin, soles dark.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from ..body.template import EYEBALL, MOUTH, SKIN, TEETH, load_template
from .places import Places
from .unrolled import COLUMNS, Part, unrolled

SEEN = 0.5  # trust from which a place counts as seen
# Weights of a grid's edges around a part beside those along it, of what is seen, of what is usual around a
# part, and of guesses. With 1 around, belts and hems fade over a hand's breadth on the back.
AROUND, DATA, USUAL, GUESS, HAND_GUESS = 20.0, 30.0, 0.05, 1e-4, 0.05
BESIDE = 17  # rows among which those of which less is seen tell less: the last ones before a photo's border
# Weight of the other side's colour, that of a face, and metres from the middle plane where there is no other
# side.
MIRRORED, MIRRORED_FACE, MIDDLE = 0.3, 0.8, 0.01
BROAD = 4  # cells of a row from which their median counts whole
HARDLY = 0.06  # share of a part of which so little is seen that it counts as unseen
HEM = 10  # rows at the trunk's lower end that trousers cover, and at the legs' upper end that they do not
CROWN = 28  # rows at the scalp's upper end that are hair or hat for sure
TEXTURED = 0.02  # metres from a seen place within which an unseen one takes its texture
# Times the usual variance, and deviation, that texture has at most: no logo is repeated.
PRINT, MOST = 1.2, 2.0
UNLIKE = 0.15  # difference of colours from which a texture is another cloth's
# Of clothes that no photo shows, beside a face of brightness 0.6.
CLOTH, SHOE = (0.2, 0.22, 0.26), (0.12, 0.11, 0.1)
SOLE = 0.5  # by which a sole is darker than its shoe
# Of teeth and of the mouth where no photo shows them, beside a face of brightness 0.6.
MOUTH_COLORS = {TEETH: (0.8, 0.76, 0.7), MOUTH: (0.36, 0.15, 0.14)}
AROUND_FACE, EVERY, NEAR = 12, 4, 0.02  # seen places about an unseen one, of every so many; metres
NORMAL = 1.48  # standard deviation of a normal distribution, of the median distance from its mean
# Radians by which the crown lies behind the middle of the head; how many strands go round it, how often they
# change on the way down, and how much; least and most deviation of hair from its mean.
TILT, STRANDS, VARIES = 0.45, ((24, 5, 0.6), (60, 7, 0.6), (140, 9, 0.5)), (0.05, 0.3)


class Seen(NamedTuple):
    """Colours [N,3] at the places and weights [N]."""

    color: np.ndarray
    weight: np.ndarray

    def joined(self, other: "Seen") -> "Seen":
        weight = self.weight + other.weight
        mixed = self.color * self.weight[:, None] + other.color * other.weight[:, None]
        return Seen(mixed / np.maximum(weight, 1e-6)[:, None], weight)


def completed(
    places: Places,
    seen: Seen,
    fallback: np.ndarray,
    certain: np.ndarray | float = 1.0,
    off: Seen | None = None,
) -> np.ndarray:
    """Colours [N,3] of all places, where photos show them (weights in 0..1) those of `seen`.

    fallback [N,3]: the network's, for the face; certain [N] in 0..1: less where what is seen is not to be
    carried on; off: what is seen standing off at places, as hair beside a neck.
    """
    color, trust = seen
    seen = Seen(color, trust * certain)
    light = _light(places, seen)
    face = _face(places, seen, fallback)
    around = seen.joined(_mirrored(places, seen))
    around = around if off is None else around.joined(off)
    parts = unrolled(places)
    hair = fallback[places.scalp > 0.5].mean(0)
    guesses = _guesses(parts, around, _skin(places, seen, face), hair, light)
    base, total, texture = np.zeros_like(color), np.zeros(len(places), np.float32), np.zeros_like(color)
    for part, guess in zip(parts, guesses, strict=True):
        base[part.places] += part.share[:, None] * part.at(_spread(part, around, guess))
        total[part.places] += part.share
    base /= np.maximum(total, 1e-6)[:, None]
    for part in parts:
        if part.name not in ("scalp", "hand.L", "hand.R", "foot.L", "foot.R"):
            _add_texture(places, part, seen, base, texture)
    texture += _strands(places, seen, base)
    body = np.clip((base + texture) * _shading(places), 0, 1)
    share = np.clip(total, 0, 1)[:, None]
    fill = face * (1 - share) + body * share
    for part, inside in MOUTH_COLORS.items():
        fill[places.part == part] = light * np.float32(inside)
    return np.clip(color * trust[:, None] + fill * (1 - trust[:, None]), 0, 1).astype(np.float32)


def _light(places: Places, seen: Seen) -> float:
    """Brightness of the seen face beside 0.6."""
    bright = (places.face > 0.5) & (places.part == SKIN) & (seen.weight > SEEN)
    return float(np.clip(seen.color[bright].mean() / 0.6, 0.3, 1.2)) if bright.any() else 1.0


def _mirrored(places: Places, seen: Seen) -> Seen:
    """What is seen on the other side of places that are not."""
    aside = np.abs(places.positions[:, 0]) > MIDDLE
    return Seen(seen.color[places.mirror], MIRRORED * seen.weight[places.mirror] * (1 - seen.weight) * aside)


# --- face ----------------------------------------------------------------------------------------


def _face(places: Places, seen: Seen, fallback: np.ndarray) -> np.ndarray:
    """`fallback` [N,3] with face and ears in the tone of what is seen of them around, and mostly in the other
    side's colours where that is seen.
    """
    fill, bare = fallback.copy(), (places.face > 0) | (places.ears > 0)
    known = np.flatnonzero((seen.weight > SEEN) & bare & (places.part <= EYEBALL))[::EVERY]
    wanted = np.flatnonzero((seen.weight < 1) & bare)
    if len(known) > AROUND_FACE and len(wanted):
        tree = cKDTree(places.positions[known])
        distance, nearest = tree.query(places.positions[wanted], k=AROUND_FACE, workers=-1)
        share = 1 / (distance**2 + NEAR**2)
        tone = (seen.color - fallback)[known][nearest]
        fill[wanted] += (tone * (share / share.sum(1, keepdims=True))[..., None]).sum(1)
    aside = np.abs(places.positions[:, 0]) > MIDDLE
    mirrored = (MIRRORED_FACE * seen.weight[places.mirror] * aside)[:, None]
    return np.clip(fill, 0, 1) * (1 - mirrored) + seen.color[places.mirror] * mirrored


def _skin(places: Places, seen: Seen, face: np.ndarray) -> np.ndarray:
    """[3] median colour of the skin of the face [N,3], of what is seen of it where any is."""
    template = load_template()
    plain = places.at(np.maximum(template.region("lips"), template.region("eyelids"))) < 0.1
    skin = (places.face > 0.5) & (places.part == SKIN) & plain
    known = skin & (seen.weight > SEEN)
    return np.median(seen.color[known] if known.any() else face[skin], axis=0)


# --- colours around the body ---------------------------------------------------------------------


class Guess(NamedTuple):
    """What a part is like where nothing near is seen: colours [rows,1,3] and their weights [rows,1]; known
    [rows,1]: weights of what is seen.
    """

    color: np.ndarray
    weight: np.ndarray
    known: np.ndarray


def _guesses(parts: list[Part], seen: Seen, skin: np.ndarray, hair: np.ndarray, light: float) -> list[Guess]:
    """One for each part. Legs that no photo shows wear dark trousers up to the hem of what is above, feet
    shoes; hands are skin; all else is as the rest of it, or as the trunk.
    """
    found = {part.name: _median_seen(part, seen) for part in parts}
    cloth, shoe = (light * np.float32(c) for c in (CLOTH, SHOE))
    trunk = skin if found["trunk"] is None else found["trunk"]
    unseen = {"trunk": trunk, "scalp": hair, "arm": trunk, "hand": skin, "leg": cloth, "foot": shoe}
    dressed = found["leg.L"] is None and found["leg.R"] is None
    guesses = []
    for part in parts:
        other = found.get(part.name.translate(str.maketrans("LR", "RL")))
        own = next(c for c in (found[part.name], other, unseen[part.kind]) if c is not None)
        own = skin if part.kind == "hand" else own  # a sleeve is often taken for a part of it
        color = np.tile(np.float32(own), (part.rows, 1, 1))
        known = np.ones((part.rows, 1), np.float32)
        weight = np.full_like(known, HAND_GUESS if part.kind == "hand" else GUESS)
        if part.kind == "scalp":
            known[: part.rows - CROWN] = 0
        elif dressed and part.kind in ("leg", "trunk"):
            above, below = (np.s_[HEM:], np.s_[:HEM]) if part.kind == "trunk" else (np.s_[:HEM], np.s_[HEM:])
            color[above], color[below] = trunk, cloth
            weight[below], known[below] = DATA, 0
        guesses.append(Guess(color, weight, known))
    return guesses


def _median_seen(part: Part, seen: Seen) -> np.ndarray | None:
    """[3] of a part's places, None where hardly any is seen."""
    weight = part.share * np.minimum(seen.weight[part.places], 1)
    if weight.sum() <= HARDLY * part.share.sum():
        return None
    return np.median(seen.color[part.places[weight >= min(SEEN, weight.max())]], axis=0)


def _spread(part: Part, seen: Seen, guess: Guess) -> np.ndarray:
    """Colours [rows,COLUMNS,3] of a part without fine texture: seen ones spread, around the part sooner than
    along it (anisotropic diffusion, a sparse linear system).
    """
    sure = part.share**3  # what is half another part's, as at a hairline, is not carried on
    share = sure * seen.weight[part.places]
    total = part.sums(share)
    data = np.stack([part.sums(share * seen.color[part.places, c]) for c in range(3)], -1)
    data /= np.maximum(total, 1e-6)[..., None]
    shown = np.minimum(total / np.maximum(part.sums(sure), 1), 1)
    broad = shown.sum(1, keepdims=True)
    broad = broad / np.maximum(ndimage.maximum_filter1d(broad, BESIDE, axis=0), 1e-6)
    shown = shown * broad**2 * guess.known
    usual, wide = _medians(data, shown)
    wide = wide * (part.kind != "hand")
    weight = DATA * shown + guess.weight + wide
    terms = ((DATA * shown, data), (guess.weight, guess.color), (wide, usual))
    right = sum(w[..., None] * c for w, c in terms)
    system = _grid_laplacian(guess.weight[:, 0] >= DATA) + sparse.diags(weight.ravel())
    return splu(system.tocsc()).solve(right.reshape(-1, 3)).reshape(right.shape)


def _medians(colors: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted medians [rows,1,3] of each row of colours [rows,COLUMNS,3], or of the seen rows nearest to it,
    and their weights [rows,1]: the edges of what is seen, which all else would take its colours from, are
    often shaded or show another part.
    """
    order = np.argsort(colors, axis=1)
    below = np.cumsum(np.take_along_axis(weight[..., None], order, 1), axis=1)
    middle = (below < below[:, -1:] / 2).sum(1, keepdims=True).clip(0, COLUMNS - 1)
    medians = np.take_along_axis(colors, np.take_along_axis(order, middle, 1), 1)
    amount = np.minimum(weight.sum(1, keepdims=True) / BROAD, 1)
    seen = amount[:, 0] > 0.5
    if not seen.any():
        return medians, 0 * amount
    mean, total = (ndimage.uniform_filter1d(v, BESIDE, axis=0) for v in (medians * amount[..., None], amount))
    mean /= np.maximum(total, 1e-6)[..., None]
    nearest = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)[0]
    return np.where(seen[:, None, None], medians, mean[nearest]), USUAL * np.where(seen[:, None], amount, 1)


def _grid_laplacian(guessed: np.ndarray) -> sparse.csr_matrix:
    """[rows COLUMNS, rows COLUMNS], closed around; nothing passes between rows that are `guessed` [rows] bool
    and others.
    """
    cell = np.arange(len(guessed) * COLUMNS).reshape(-1, COLUMNS)
    along = np.repeat(np.float64(guessed[1:] == guessed[:-1]), COLUMNS)
    first = np.concatenate([cell.ravel(), cell[:-1].ravel()])
    second = np.concatenate([np.roll(cell, -1, 1).ravel(), cell[1:].ravel()])
    conductance = np.concatenate([np.full(cell.size, AROUND), along])
    joined = sparse.csr_matrix((conductance, (first, second)), (cell.size, cell.size))
    joined = joined + joined.T
    return sparse.diags(np.asarray(joined.sum(1)).ravel()) - joined


# --- texture -------------------------------------------------------------------------------------


def _add_texture(places: Places, part: Part, seen: Seen, base: np.ndarray, texture: np.ndarray) -> None:
    """Adds to the texture [N,3] of a part's unseen places how the colours of seen ones differ from `base`
    [N,3]: of those before or behind the axis, or on the other side.
    """
    sources = part.places[(part.share > SEEN) & (seen.weight[part.places] > SEEN)]
    wanted = np.flatnonzero(seen.weight[part.places] < 1)
    if len(sources) < 100 or not len(wanted):
        return
    detail = seen.color - base
    strength, most = _usual_strength(part, detail, seen.weight)
    tree, left = cKDTree(places.positions[sources]), np.ones(len(wanted))
    rows = part.places[wanted]
    for target in (part.opposite[wanted], part.opposite[wanted] * (-1, 1, 1)):
        distance, nearest = tree.query(target, distance_upper_bound=2 * TEXTURED, workers=-1)
        near = np.isfinite(distance)
        source = sources[np.where(near, nearest, 0)]
        take = left * np.where(near, np.clip(2 - distance / TEXTURED, 0, 1), 0)
        alike = np.exp(-np.square((base[source] - base[rows]) / UNLIKE).sum(1))
        amount = take * part.share[wanted] * strength[source] * alike
        texture[rows] += amount[:, None] * np.clip(detail[source], -most, most)
        left = left - take


def _usual_strength(part: Part, detail: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, float]:
    """[N] in 0..1 by which the detail of a part's seen places is weakened to the usual variance, and the most
    that it may be.
    """
    weight = part.share * trust[part.places]
    power = np.square(detail[part.places]).mean(1)
    soft = {"sigma": (3, 1), "mode": ("nearest", "wrap")}
    known = ndimage.gaussian_filter(part.sums(weight), **soft)
    variance = ndimage.gaussian_filter(part.sums(weight * power), **soft) / np.maximum(known, 1e-9)
    usual = np.median(variance[known > 0.1]) if (known > 0.1).any() else 0.0
    strength = np.zeros(len(trust))
    local = np.maximum(part.at(variance[..., None])[:, 0], 1e-9)
    strength[part.places] = np.minimum(1, np.sqrt(PRINT * usual / local))
    return strength, MOST * float(np.sqrt(usual))


def _strands(places: Places, seen: Seen, base: np.ndarray) -> np.ndarray:
    """[N,3]: unseen hair is lighter and darker in strands that run down from the crown, as much as seen hair
    is.
    """
    rows, made = np.flatnonzero(places.scalp > 0), np.zeros_like(base)
    known = rows[(seen.weight[rows] > SEEN) & (places.scalp[rows] > SEEN)]
    if len(known) < 100:
        return made
    differs = np.abs((seen.color - base)[known].mean(1))
    varies = NORMAL * np.median(differs) / max(base[known].mean(), 0.05)
    off = places.positions[rows] - places.positions[rows].mean(0)
    sine, cosine = np.sin(TILT), np.cos(TILT)
    turn = np.arctan2(off[:, 0], off[:, 1] * cosine - off[:, 2] * sine) / (2 * np.pi) % 1
    up = (off[:, 1] * sine + off[:, 2] * cosine) / np.linalg.norm(off, axis=1)
    down, rng = np.arccos(np.clip(up, -1, 1)) / np.pi, np.random.default_rng(0)
    noise = np.zeros(len(rows))
    for count, changes, strength in STRANDS:
        lattice = rng.normal(size=(changes + 1, count))
        at = np.stack([down * changes, turn * count])
        noise += strength * ndimage.map_coordinates(lattice, at, order=1, mode="grid-wrap")
    amount = np.clip(varies, *VARIES) * places.scalp[rows]
    made[rows] = base[rows] * (amount * noise)[:, None]
    return made


def _shading(places: Places) -> np.ndarray:
    """[N,1] by which feet are darker beneath."""
    down = np.clip(-2 * places.normals[:, 2] - 1, 0, 1)
    feet = np.clip(places.ends - np.maximum(*places.hands), 0, 1)
    return (1 - SOLE * down * feet)[:, None]
