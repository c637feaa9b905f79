# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours where no photo shows a place: carried on around the body from what is seen beside, with the texture of
the side that is seen; hair in strands, hands in the colour of the skin, soles dark.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from ..body.template import EYEBALL, MOUTH, TEETH, load_template
from .places import Places
from .unrolled import COLUMNS, MARGIN, ROW, Part, unrolled

# Of teeth and of the mouth where no photo shows them, beside a face of brightness 0.6.
MOUTH_COLORS = {TEETH: (0.8, 0.76, 0.7), MOUTH: (0.36, 0.15, 0.14)}
SEEN = 0.5  # trust from which a place counts as seen
# Conductance of a grid's edges around a part beside those along it, weight of what is seen, and of a guess.
AROUND, DATA, GUESS, USUAL = 20.0, 30.0, 1e-4, 0.05
MIRRORED = 0.3  # weight of the other side's colour
MIDDLE = 0.01  # metres from the middle plane where there is no other side
# Metres from a seen place within which an unseen one takes its texture; the texture's energy beside the usual
# from which it is a print of its own, which is not repeated.
TEXTURED, PRINT, UNLIKE = 0.02, 1.2, 0.15
HARDLY, WEAK, BESIDE = 0.06, 0.05, 17
SOLE = 0.5  # by which a sole is darker than its shoe
# Radians by which the crown lies behind the middle of the head; how many strands go round, wave how often down to
# the neck, and how much they vary.
CROWN_TILT, STRANDS = 0.45, ((24, 5, 0.6), (60, 7, 0.6), (140, 9, 0.5))
HEM, CROWN = 10, 28  # rows of the trunk from its lower end that trousers cover; of the scalp that tell its colour
CLOTH, SHOE = np.float32([0.2, 0.22, 0.26]), np.float32([0.12, 0.11, 0.1])  # beside a face of brightness 0.6


def completed(
    places: Places, color: np.ndarray, trust: np.ndarray, fallback: np.ndarray, off: "Seen | None" = None
) -> np.ndarray:
    """Colours [N,3] of all places, of photos' `color` [N,3] where `trust` [N] in 0..1 says that they show one.

    fallback [N,3]: the network's, for the face; off: what is seen standing off places, as hair beside a neck.
    """
    light = _light(places, color, trust)
    fill = _face(places, color, trust, fallback)
    seen = _with_mirrored(places, Seen(color, trust))
    if off is not None:
        seen = _joined(seen, off)
    parts = unrolled(places)
    guesses = _guesses(places, parts, seen, _skin(places, color, trust, fill), light)
    base, total = np.zeros_like(color), np.zeros(len(places), np.float32)
    for part in parts:
        base[part.places] += part.share[:, None] * part.at(_base(places, part, seen, guesses[part.name]))
        total[part.places] += part.share
    base /= np.maximum(total, 1e-6)[:, None]
    texture = np.zeros_like(color)
    for part in parts:
        _add_texture(places, part, color, base, trust, texture)
    texture += _strands(places, color, base, trust)
    body = np.clip((base + texture) * _shading(places), 0, 1)
    share = np.clip(total, 0, 1)[:, None]
    fill = fill * (1 - share) + body * share
    for part, inside in MOUTH_COLORS.items():
        fill[places.part == part] = light * np.float32(inside)
    return np.clip(color * trust[:, None] + fill * (1 - trust[:, None]), 0, 1).astype(np.float32)


class Seen(NamedTuple):
    """Colours [N,3] at the places and weights [N]."""

    color: np.ndarray
    weight: np.ndarray


def _joined(first: Seen, second: Seen) -> Seen:
    weight = first.weight + second.weight
    mixed = first.color * first.weight[:, None] + second.color * second.weight[:, None]
    return Seen(mixed / np.maximum(weight, 1e-6)[:, None], weight)


def _light(places: Places, color: np.ndarray, trust: np.ndarray) -> float:
    """Brightness of the seen face beside 0.6."""
    bright = (places.face > 0.5) & (places.part == 0) & (trust > SEEN)
    return float(np.clip(color[bright].mean() / 0.6, 0.3, 1.2)) if bright.any() else 1.0


def _skin(places: Places, color: np.ndarray, trust: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """[3] median colour of the face's skin, as filled where none of it is seen."""
    template = load_template()
    plain = places.at(np.maximum(template.region("lips"), template.region("eyelids"))) < 0.1
    skin = (places.face > 0.5) & (places.part == 0) & plain
    seen = skin & (trust > SEEN)
    return np.median(color[seen] if seen.any() else fill[skin], axis=0)


def _with_mirrored(places: Places, seen: Seen) -> Seen:
    """Also, faintly, what is seen on the other side."""
    aside = np.abs(places.positions[:, 0]) > MIDDLE
    other = MIRRORED * seen.weight[places.mirror] * (1 - seen.weight) * aside
    return _joined(seen, Seen(seen.color[places.mirror], other))


class Guess(NamedTuple):
    """Colours [rows,1,3] of a part and their weights [rows,1]; known [rows,1]: weight of what is seen."""

    color: np.ndarray
    weight: np.ndarray
    known: np.ndarray


def _guesses(places: Places, parts: list[Part], seen: Seen, skin: np.ndarray, light: float) -> dict[str, Guess]:
    """What each part is like where it and its surroundings are unseen: legs and feet that no photo shows wear dark
    trousers, from the hem of what is above, and shoes; hands are skin.
    """
    mean = {part.name: _mean_seen(part, seen) for part in parts}
    trunk = skin if mean["trunk"] is None else mean["trunk"]
    usual = {"trunk": trunk, "arm": trunk, "leg": light * CLOTH, "foot": light * SHOE, "hand": skin, "scalp": trunk}
    dressed = mean["leg.L"] is None and mean["leg.R"] is None
    guesses = {}
    for part in parts:
        kind, side = part.name.split(".") if "." in part.name else (part.name, "")
        other = mean.get(f"{kind}.{'R' if side == 'L' else 'L'}")
        own = next((c for c in (mean[part.name], other) if c is not None), usual[kind])
        own = usual[kind] if kind in ("hand", "leg" if dressed else "") else own
        color = np.tile(np.float32(own), (part.rows, 1, 1))
        known = np.ones((part.rows, 1), np.float32)
        weight = np.full_like(known, WEAK if kind == "hand" else GUESS)
        if kind == "scalp":
            known[: part.rows - CROWN] = 0
        elif dressed and kind in ("leg", "trunk"):
            covered = slice(HEM if kind == "trunk" else part.rows)
            color[covered], weight[covered], known[covered] = usual["leg"], DATA, 0
        guesses[part.name] = Guess(color, weight, known)
    return guesses


def _mean_seen(part: Part, seen: Seen) -> np.ndarray | None:
    """[3] of a part's places, None where hardly any is seen."""
    weight = part.share * np.minimum(seen.weight[part.places], 1)
    return weight @ seen.color[part.places] / weight.sum() if weight.sum() > HARDLY * part.share.sum() else None


def _base(places: Places, part: Part, seen: Seen, guess: Guess) -> np.ndarray:
    """Colours [rows,COLUMNS,3] of a part without fine texture: seen ones spread, around the part sooner than along
    it (anisotropic diffusion, a sparse linear system).
    """
    share = part.share * seen.weight[part.places]
    total = part.sums(share)
    data = np.stack([part.sums(share * seen.color[part.places, c]) for c in range(3)], -1)
    data /= np.maximum(total, 1e-6)[..., None]
    shown = np.minimum(total, 1)
    broad = shown.sum(1, keepdims=True)  # rows of which less is seen than of others beside tell less
    broad = broad / np.maximum(ndimage.maximum_filter1d(broad, BESIDE, axis=0), 1e-6)
    weight = DATA * shown * broad**2 * guess.known
    usual, much = _usual(data, weight / DATA)
    right = data * weight[..., None] + guess.weight[..., None] * guess.color + much[..., None] * usual
    system = _grid_laplacian(guess.weight[:, 0] >= DATA) + sparse.diags((weight + guess.weight + much).ravel())
    return splu(system.tocsc()).solve(right.reshape(-1, 3)).reshape(*total.shape, 3)


def _usual(data: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours [rows,1,3] that half of what is seen around a part is darker than, and their weights [rows,1]: the
    edges of what is seen, which all else would take its colours from, are often shaded or another part's.
    """
    usual = np.zeros((len(data), 1, 3), np.float32)
    for channel in range(3):
        order = np.argsort(data[..., channel], axis=1)
        below = np.cumsum(np.take_along_axis(weight, order, 1), axis=1)
        middle = (below < below[:, -1:] / 2).sum(1).clip(0, COLUMNS - 1)
        column = np.take_along_axis(order, middle[:, None], 1)
        usual[:, 0, channel] = np.take_along_axis(data[..., channel], column, 1)[:, 0]
    return usual, USUAL * np.minimum(weight.sum(1, keepdims=True) / 4, 1)


def _grid_laplacian(guessed: np.ndarray) -> sparse.csr_matrix:
    """[rows COLUMNS, rows COLUMNS], closed around; rows that are `guessed` [rows] bool pass nothing on."""
    cell = np.arange(len(guessed) * COLUMNS).reshape(-1, COLUMNS)
    along = np.repeat(np.float64(guessed[1:] == guessed[:-1]), COLUMNS)
    first = np.concatenate([cell.ravel(), cell[:-1].ravel()])
    second = np.concatenate([np.roll(cell, -1, 1).ravel(), cell[1:].ravel()])
    conductance = np.concatenate([np.full(cell.size, AROUND), along])
    joined = sparse.csr_matrix((conductance, (first, second)), (cell.size, cell.size))
    joined = joined + joined.T
    return sparse.diags(np.asarray(joined.sum(1)).ravel()) - joined


def _add_texture(places: Places, part: Part, color, base, trust: np.ndarray, texture: np.ndarray) -> None:
    """Adds to the texture [N,3] of a part's unseen places how the colours of seen ones differ from `base`: of those
    before or behind the axis, or on the other side; a print, stronger than what is usual on the part, is weakened.
    """
    detail = color - base
    own = part.share > SEEN
    sources = part.places[own & (trust[part.places] > SEEN)]
    wanted = np.flatnonzero(trust[part.places] < 1)
    if part.name[:4] in ("hand", "foot", "scal") or len(sources) < 100 or not len(wanted):
        return
    energy, most = _energy(part, detail, trust)
    tree = cKDTree(places.positions[sources])
    left = np.ones(len(wanted))
    mirror = np.array([-1, 1, 1]) if part.name == "trunk" else np.ones(3)
    for target in (part.opposite[wanted], part.opposite[wanted] * mirror):
        distance, nearest = tree.query(target, workers=-1)
        take = left * np.clip(2 - distance / TEXTURED, 0, 1)
        rows = sources[nearest]
        apart = np.square(base[rows] - base[part.places[wanted]]).sum(1)  # another cloth's, or a neck's
        amount = take * part.share[wanted] * energy[rows] * np.exp(-apart / UNLIKE**2)
        texture[part.places[wanted]] += amount[:, None] * np.clip(detail[rows], -most, most)
        left = left - take


def _strands(places: Places, color, base, trust: np.ndarray) -> np.ndarray:
    """[N,3]: unseen hair is lighter and darker in strands that run down from the crown, as much as seen hair varies."""
    rows = np.flatnonzero(places.scalp > 0)
    seen = rows[(trust[rows] > SEEN) & (places.scalp[rows] > SEEN)]
    made = np.zeros_like(base)
    if len(seen) < 100:
        return made
    varies = np.std((color - base)[seen].mean(1)) / max(base[seen].mean(), 0.05)
    off = places.positions[rows] - places.positions[rows].mean(0)
    up = np.array([0, np.sin(CROWN_TILT), np.cos(CROWN_TILT)])
    along = off @ up
    across = np.arctan2(off[:, 0], off @ np.array([0, up[2], -up[1]])) / (2 * np.pi)
    down = np.arccos(np.clip(along / np.linalg.norm(off, axis=1), -1, 1)) / np.pi
    rng = np.random.default_rng(0)
    noise = np.zeros(len(rows))
    for strands, lengths, strength in STRANDS:
        lattice = rng.normal(size=(lengths + 1, strands))
        at = np.stack([down * lengths, across % 1 * strands])
        noise += strength * ndimage.map_coordinates(lattice, at, order=1, mode="grid-wrap")
    amount = np.clip(varies, 0.05, 0.3) * places.scalp[rows]
    made[rows] = base[rows] * (amount * noise)[:, None]
    return made


def _shading(places: Places) -> np.ndarray:
    """[N,1] in which the body is darker where it looks down, as soles do."""
    down = np.clip(-places.normals[:, 2] - 0.5, 0, 0.5) * 2
    return (1 - SOLE * down * np.clip(places.ends - np.maximum(*places.hands), 0, 1))[:, None]


def _energy(part: Part, detail: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, float]:
    """[N] in 0..1 by which the detail of the part's seen places is to be weakened to the usual strength, and most
    that it may be.
    """
    weight = part.share * trust[part.places]
    power = np.square(detail[part.places]).mean(1)
    blurred = [ndimage.gaussian_filter(part.sums(v), (3, 1), mode=("nearest", "wrap")) for v in (weight * power, weight)]
    local = blurred[0] / np.maximum(blurred[1], 1e-9)
    usual = np.median(local[blurred[1] > 0.1]) if (blurred[1] > 0.1).any() else 0.0
    made = np.zeros(len(trust))
    made[part.places] = np.minimum(1, np.sqrt(PRINT * usual / np.maximum(part.at(local[..., None])[:, 0], 1e-9)))
    return made, 2 * float(np.sqrt(usual))


# --- face ----------------------------------------------------------------------------------------
AROUND_FACE, EVERY, NEAR = 12, 4, 0.02  # seen places about an unseen one, of every so many; metres


def _face(places: Places, color: np.ndarray, trust: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """`fallback` [N,3] with face and ears in the tone of what is seen of them around, ears in that of the face; mostly
    the other side's colours where that is seen.
    """
    fill = fallback.copy()
    bare = (places.face > 0) | (places.ears > 0)
    seen = np.flatnonzero((trust > SEEN) & bare)[::EVERY]
    unseen = np.flatnonzero((trust < 1) & bare)
    if len(seen) > AROUND_FACE and len(unseen):
        distance, nearest = cKDTree(places.positions[seen]).query(places.positions[unseen], k=AROUND_FACE, workers=-1)
        share = 1 / (distance**2 + NEAR**2)
        share /= share.sum(1, keepdims=True)
        tone = ((color - fallback)[seen][nearest] * share[..., None]).sum(1)
        fill[unseen] += tone
    mirrored = (0.8 * trust[places.mirror] * (np.abs(places.positions[:, 0]) > MIDDLE))[:, None]
    return np.clip(fill, 0, 1) * (1 - mirrored) + color[places.mirror] * mirrored
