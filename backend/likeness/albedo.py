# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the photos' colours is the person and not the light: albedo, with normals and materials, so that
the avatar can stand in other light. Detail stays as sharp as it is: only smooth light is divided out.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ..body.template import EYEBALL
from ..lighting.environment import uniform_directions
from ..lighting.estimate import estimated_light, shading
from ..lighting.materials import CLOTH, EYE, HAIR, SKIN
from ..lighting.surface import BODY, FINE
from ..lighting.visibility import Proxy, reached
from ..srgb import encoded_of, linear_of
from .colours import Look, exposures
from .lifted import Lifted
from .photo import FittedPhoto, Posed
from .places import Places

# Of the photo's irradiance, that is divided out. All of it leaves bright halos where an estimated light is
# too dark (chin, between the legs); with 0.7 albedo is as near to the truth, and without halos.
EXPONENT = 0.7
UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)  # camera axes of an upright photo to Z up
DIRECTIONS, PIXELS = 64, 128  # of the sky that a place sees, and the side of each one's depth map
SPREADING = 40  # rounds of means that carry the light over to places that no photo shows
LIGHTEST = 0.9  # albedo
DIMMEST = 0.5  # of the sky, that a place is taken to see at least: posed limbs are some centimetres off
OFF = 0.006, 0.018  # metres off the surface between which a Gaussian takes its neighbours' own normals
EVERY, AROUND = 4, 32  # of these neighbours: every so many, and how many
DRAPED = 24  # rounds of means over cloth's normals, which do not follow the body beneath
# Logarithms of colour ratios, and of brightness, within which something has the face's colour.
SKIN_COLOR, SKIN_BRIGHTNESS = 0.22, 0.7


class Relightable(NamedTuple):
    """Of the places, then of the lifted Gaussians [N + n]: albedo [..,3] sRGB, unit normals [..,3] of the
    canonical pose, material [..] uint8 of `lighting.materials.CLASSES`."""

    albedo: np.ndarray
    normals: np.ndarray
    material: np.ndarray


def relightable(
    places: Places,
    photos: list[FittedPhoto],
    posed: list[Posed],
    looks: list[Look],
    color: np.ndarray,
    trust: np.ndarray,
    normals: np.ndarray,
    surface: np.ndarray,
    lifted: Lifted,
) -> Relightable:
    """color [N,3] sRGB and trust [N] of the places; normals and surface [N,3] of the canonical pose."""
    light = _divided_out(places, posed, looks, trust)
    albedo, of_lifted = _without(color, light), _without(lifted.colors, light[lifted.place])
    material = _materials(places, albedo, trust)
    hair = (places.head[lifted.place] > 0.5) & (lifted.off > OFF[0]) & (places.face[lifted.place] < 0.5)
    normals = _draped(places, normals, material == CLOTH)
    lifted_material = np.where(hair, HAIR, material[lifted.place])
    return Relightable(
        encoded_of(np.concatenate([albedo, of_lifted])),
        np.concatenate([normals, _lifted_normals(normals, surface, lifted)]).astype(np.float32),
        np.concatenate([material, lifted_material]).astype(np.uint8),
    )


def _divided_out(places: Places, posed: list[Posed], looks: list[Look], trust: np.ndarray) -> np.ndarray:
    """[N,3]: what the places' colours, blended of all photos, have of the photos' light; about 1."""
    cells = np.where(places.head + sum(places.hands) > 0.5, FINE, BODY).astype(np.float32)
    proxy = Proxy.of(places.positions, places.normals, np.ones(len(places)), cells)
    parts = [_light(proxy, *pair) for pair in zip(posed, looks, strict=True)]
    colors = np.stack([_linear(look.color) for look in looks])
    weight = np.stack([look.weight for look in looks])
    albedo = colors / np.stack(parts)
    if len(looks) > 1:
        albedo *= exposures(albedo, weight)[:, None]
    share = weight / np.maximum(weight.sum(0), 1e-12)
    both = [(share[..., None] * values).sum(0) for values in (colors, albedo)]
    ratio = np.log(np.maximum(both[0], 1e-3) / np.maximum(both[1], 1e-3))
    seen = trust > 0.5
    ratio -= np.median(ratio[seen], axis=0) if seen.any() else 0
    return np.exp(_spread(places, np.clip(ratio, -1.5, 1.5), seen))


def _light(proxy: Proxy, posed: Posed, look: Look) -> np.ndarray:
    """[N,3]: the photo's light at the places, to the power of EXPONENT."""
    points, normals = ((a @ UP.T).astype(np.float32) for a in (posed.points, posed.normals))
    directions, rows = uniform_directions(DIRECTIONS).astype(np.float32), proxy.coarse.rows
    cosine, surface = np.maximum(directions @ normals[rows].T, 0), proxy.coarse.mesh(points)
    sees = reached(surface, (), surface.points, normals[rows], np.zeros(len(rows)), directions, PIXELS) / 255
    occlusion = proxy.spread((cosine * sees).sum(0) / np.maximum(cosine.sum(0), 1e-6))
    occlusion = np.clip(occlusion, DIMMEST, 1)
    seen = np.flatnonzero(look.weight > 0)
    light = estimated_light(_linear(look.color[seen]), normals[seen], occlusion[seen])
    return shading(light, normals, occlusion) ** EXPONENT


def _spread(places: Places, values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Values [N,3] where they were seen; elsewhere the other side's, and smooth in between."""
    mirrored = seen[places.mirror] & ~seen
    values = np.where(mirrored[:, None], values[places.mirror], np.where(seen[:, None], values, 0))
    return _averaged(places, values, ~seen, SPREADING)


def _averaged(places: Places, values: np.ndarray, where: np.ndarray, rounds: int) -> np.ndarray:
    """Values [N,3], where wanted [N] bool replaced by the mean of their neighbours, some rounds."""
    rows = np.flatnonzero(where)
    near = places.neighbours[rows]
    starts = np.arange(len(rows) + 1) * near.shape[1]
    share = np.full(near.size, 1 / near.shape[1], np.float32)
    mean = sparse.csr_matrix((share, near.ravel(), starts), (len(rows), len(places)))
    values = np.array(values, np.float32)
    for _ in range(rounds):
        values[rows] = mean @ values
    return values


def _without(color: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Linear albedo [n,3] of sRGB colours; where it would be too bright, darker but of the same hue."""
    albedo = _linear(color) / light
    return albedo * np.minimum(1, LIGHTEST / np.maximum(albedo.max(1, keepdims=True), 1e-6))


def _draped(places: Places, normals: np.ndarray, cloth: np.ndarray) -> np.ndarray:
    """normals [N,3], smooth where cloth [N] is."""
    return _normalised(_averaged(places, normals, cloth, DRAPED), normals)


def _lifted_normals(normals: np.ndarray, surface: np.ndarray, lifted: Lifted) -> np.ndarray:
    """[n,3]: on the surface those of the places near by, off it the mean of the Gaussians' own about it."""
    if len(lifted) < EVERY * AROUND:
        return normals[lifted.place]
    tree = cKDTree(lifted.means[::EVERY])
    # The nearest place may be one of a finger's other side: most about it are not.
    placed = normals[lifted.place]
    near = tree.query(lifted.means, k=AROUND // 2, workers=-1)[1]
    out = _normalised(placed[::EVERY][near].sum(1), placed)
    off = np.flatnonzero(lifted.off > OFF[0])
    own = np.linalg.eigh(lifted.covariances)[1][:, :, 0]  # of the smallest axis
    own *= np.where((own * (lifted.means - surface[lifted.place])).sum(1, keepdims=True) < 0, -1, 1)
    around = own[::EVERY][tree.query(lifted.means[off], k=AROUND, workers=-1)[1]]
    alike = (around * own[off, None]).sum(-1, keepdims=True) > 0
    part = np.clip((lifted.off[off] - OFF[0]) / (OFF[1] - OFF[0]), 0, 1)[:, None]
    smooth = _normalised((around * alike).sum(1), own[off])
    out[off] = _normalised(out[off] * (1 - part) + smooth * part, smooth)
    return out


def _normalised(vectors: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(size > 0.1, vectors / np.maximum(size, 0.1), fallback)


def _materials(places: Places, albedo: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """[N]: eyes and scalp by their place; skin has about the face's colour; all else is cloth."""
    face = (places.face > 0.5) & (places.part == 0)
    known = face & (trust > 0.5)
    log = np.log(np.maximum(albedo, 1e-3))
    skin = face.astype(np.float64)
    if known.any():
        ratios = np.stack([log[:, 0] - log[:, 1], log[:, 1] - log[:, 2]], 1)
        off = np.linalg.norm(ratios - np.median(ratios[known], axis=0), axis=1)
        darker = np.abs(log.mean(1) - np.median(log[known].mean(1)))
        skin = np.maximum(skin, (off < SKIN_COLOR) & (darker < SKIN_BRIGHTNESS))
    for _ in range(4):
        skin = (skin + skin[places.neighbours].mean(1)) / 2
    material = np.where((skin > 0.5) | (places.ears > 0.5), SKIN, CLOTH)
    material = np.where((places.scalp > 0.5) & ~face, HAIR, material)
    material[places.part > EYEBALL] = SKIN
    material[places.part == EYEBALL] = EYE
    return material


def _linear(encoded: np.ndarray) -> np.ndarray:
    return linear_of(np.clip(encoded, 0, 1))
