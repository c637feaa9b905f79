# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar of a person as photographed: the photos' own pixels as Gaussians, and beneath them and where no
photo shows anything the template's places, on the person's surface, in the photos' or the network's colours.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..avatar import Avatar
from ..body.anchors import surface_frames
from ..body.template import EYEBALL, load_template
from ..decoder import CHANGES
from ..model.create import NetworkPerson
from ..quaternions import matrix_to_quaternion, with_positive_w
from .albedo import relightable
from .align import aligned
from .choice import best_photos, tones
from .colours import blended, certainty, look_at
from .completion import Seen, completed
from .disagreement import disagreement_remarks, without_covered_parts
from .lifted import ACROSS, OFF, Lifted, lifted_pixels
from .mirrored import mirror_remarks
from .photo import FittedPhoto, cofactors
from .places import Places, load_places
from .surface import person_surface

OPACITY = 0.95
ROUNDS = 2  # of bringing several photos into agreement, each with the colours of the last
LOOSEST = 0.02  # metres that the network's clothes are believed to stand off
# Standard deviations along the surface, of the sixth neighbour's distance, and across it. 0.45 to 0.55 are
# as near to photos (21.2 dB, five photos), the least a tenth sharper; at 0.38 what lies behind shines
# through.
TANGENT, NORMAL = 0.5, 0.2
THIN, THICK = 0.0004, 0.0025  # metres, of the latter
SOFTEST, WIDEST = 0.25, 2.5  # of the spacing on the template: least and most along the surface
HELD = 0.5  # of the spacing, by which a surface keeps its frame across the neighbours' plane
NEAREST, SOFT = 8, 0.003  # Gaussians of the network about a place, and metres at which they lose half
# Metres that places lie beneath lifted pixels: of face, ears and neck, and of all else.
BENEATH_FACE, BENEATH = 0.0025, 0.005
FINEST = 0.002  # metres: the least size of a pixel in telling whether places lie beneath


class Prior(NamedTuple):
    """What the network says at the places: nearest, distances and numbers [N,NEAREST] of its Gaussians about
    each; usual [N] metres by which clothes and hair stand off the body; colors [N,3].
    """

    nearest: tuple[np.ndarray, np.ndarray]
    usual: np.ndarray
    colors: np.ndarray

    @classmethod
    def of(cls, places: Places, person: NetworkPerson) -> "Prior":
        at_rest, children = person.at_rest.numpy(), person.anchors.children.numpy()
        nearest = cKDTree(children.reshape(-1, 3)).query(places.positions, k=NEAREST, workers=-1)
        offsets = person.canonical.offsets[0].numpy() + at_rest[..., 3:6].reshape(-1, 3)
        usual = np.clip((_mean(offsets, *nearest) * places.normals).sum(1), -LOOSEST, LOOSEST)
        colors = person.canonical.colors[0].numpy() + at_rest[..., :3].reshape(-1, 3)
        return cls(nearest, usual, _mean(colors, *nearest))


def photos_in_agreement(
    photos: list[FittedPhoto],
    person: NetworkPerson,
    report: Callable[[float], None],
    device: str | torch.device = "cpu",
) -> tuple[list[FittedPhoto], np.ndarray]:
    """Several photos with better fits, and the surface [N,3] on which they agree. report and device: as
    `aligned` takes them.
    """
    places = load_places()
    prior = Prior.of(places, person)
    surface = person_surface(places, photos, prior.usual)
    for number in range(ROUNDS):
        normals, sizes = moved_normals(places, surface), place_scales(places, surface)[:, 0] / TANGENT
        posed = [photo.pose(places, surface, normals) for photo in photos]
        looks = [look_at(places, *pair, sizes) for pair in zip(photos, posed, strict=True)]
        looks = without_covered_parts(places, looks)
        mean, trust = blended(places, looks)
        color = prior.colors + trust[:, None] * (mean - prior.colors)
        within = lambda fraction, start=number: report((start + fraction) / ROUNDS)  # noqa: E731
        photos, surface = aligned(places, photos, surface, sizes, color, within, device)
    return photos, surface


class Assembled(NamedTuple):
    """An avatar, and what `refined` needs: source [N]: number of the photo that a Gaussian is a pixel of, -1
    for none; loose [N] bool: off the surface; tones: for each photo [N,3], what its colours lack to those of
    all.
    """

    avatar: Avatar
    source: np.ndarray
    loose: np.ndarray
    tones: list[np.ndarray]


def assembled(
    photos: list[FittedPhoto],
    person: NetworkPerson,
    surface: np.ndarray | None = None,
    budget: int | None = None,
) -> Assembled:
    """The avatar of fitted photos; `person` is what the network made of them. surface [N,3] metres in the
    mean canonical space, where it is known; budget: Gaussians of the photos' pixels (`lifted_pixels`).
    """
    places, template = load_places(), load_template()
    prior, at_rest = Prior.of(places, person), person.at_rest.numpy()
    if surface is None:
        surface = person_surface(places, photos, prior.usual)
    normals = moved_normals(places, surface)
    scales = place_scales(places, surface)
    posed = [photo.pose(places, surface, normals) for photo in photos]
    sizes = scales[:, 0] / TANGENT
    looks = [look_at(places, *pair, sizes) for pair in zip(photos, posed, strict=True)]
    names = [photo.name for photo in photos]
    remarks = [*mirror_remarks(places, looks, names), *disagreement_remarks(places, looks, names)]
    looks = without_covered_parts(places, looks)
    mean, trust = blended(places, looks)
    (best, leading), toned = best_photos(places, photos, looks), tones(places, looks, mean)
    lifted = lifted_pixels(places, photos, posed, sizes, best, leading, toned, budget)
    off = _standing_off(places, lifted)
    color = completed(places, Seen(mean, trust), prior.colors, certainty(looks), off)
    added = _gaussians(places, lifted)
    light = relightable(places, photos, posed, looks, color, trust, normals, surface, lifted)
    surface = _beneath(places, surface, normals, lifted.means, added.scales.max(1) / ACROSS)
    token, slot = np.divmod(prior.nearest[1][:, 0], at_rest.shape[1])
    decoder, silent = _with_silent_slot(person.decoder)
    token_bias = decoder.pop("token_bias")
    seen = (trust > 0.5) | (places.part > EYEBALL)
    changes = np.where(seen[:, None], 0, at_rest[token, slot])  # are there already, as the network means them
    quats = _quaternions(surface_frames(normals))
    avatar = Avatar(
        joint_names=tuple(template.joint_names),
        joint_parents=template.joint_parents,
        joint_heads=template.joint_heads,
        joint_tails=template.joint_tails,
        means=np.concatenate([surface - changes[:, 3:6], lifted.means]),
        offsets=np.concatenate([surface - places.positions, lifted.means - places.positions[lifted.place]]),
        quats=np.concatenate([quats - changes[:, 6:10], added.quats]),
        scales=np.concatenate([scales * np.exp(-changes[:, 10:]), added.scales]),
        opacities=OPACITY * np.concatenate([np.ones(len(places)), lifted.opacities]),
        colors=np.concatenate([color - changes[:, :3], lifted.colors]),
        skin_indices=np.concatenate([places.skin_indices, lifted.skin_indices]),
        skin_weights=np.concatenate([places.skin_weights, lifted.skin_weights]),
        expression_basis=np.concatenate([places.expressive[1], added.expression_basis], 1),
        expression_rows=np.concatenate([places.expressive[0], len(places) + added.expression_rows]),
        token=np.concatenate([token, token[lifted.place]]),
        slot=np.concatenate([np.where(seen, silent, slot), np.full(len(lifted), silent)]),
        albedo=light.albedo - np.pad(changes[:, :3], ((0, len(lifted)), (0, 0))),
        normals=light.normals,
        material=light.material,
        confidence=np.round(255 * np.concatenate([trust, lifted.seen])),
        token_bias=token_bias,
        decoder=decoder,
        header={**person.header, "warnings": [*person.header["warnings"], *remarks]},
    )
    return Assembled(
        avatar,
        source=np.concatenate([np.full(len(places), -1), lifted.source]),
        loose=np.concatenate([np.zeros(len(places)), lifted.off]) > OFF,
        tones=[np.concatenate([tone, tone[lifted.place]]) for tone in toned],
    )


def _standing_off(places: Places, lifted: Lifted) -> Seen:
    """What lifted pixels show off the surface, at the places beneath."""
    rows = np.flatnonzero(lifted.off > OFF)
    place, count = lifted.place[rows], len(places)
    total = np.bincount(place, lifted.opacities[rows], count)
    sums = [np.bincount(place, lifted.opacities[rows] * lifted.colors[rows, c], count) for c in range(3)]
    color = np.stack(sums, 1) / np.maximum(total, 1e-6)[:, None]
    return Seen(color.astype(np.float32), np.minimum(total, 1).astype(np.float32))


class _Added(NamedTuple):
    """Lifted Gaussians as an avatar has them: quats [n,4], scales [n,3]; expression_rows [m] of those that
    expressions move, as their places are, by expression_basis [52,m,3].
    """

    quats: np.ndarray
    scales: np.ndarray
    expression_rows: np.ndarray
    expression_basis: np.ndarray


def _gaussians(places: Places, lifted: Lifted) -> _Added:
    values, axes = np.linalg.eigh(lifted.covariances)
    axes *= np.sign(np.linalg.det(axes))[:, None, None]
    rows, deltas = places.expressive
    number = np.full(len(places), -1)
    number[rows] = np.arange(len(rows))
    moved = number[lifted.place]
    expressive = np.flatnonzero(moved >= 0)
    scales = np.sqrt(np.maximum(values, 1e-10))
    return _Added(_quaternions(axes), scales, expressive, deltas[:, moved[expressive]])


def _beneath(places: Places, surface: np.ndarray, normals: np.ndarray, means: np.ndarray, pixels: np.ndarray):
    """The surface [N,3], some millimetres farther in where means [n,3] of pixels [n] metres wide lie."""
    if len(means) < 2:
        return surface
    apart, nearest = cKDTree(means).query(surface, k=2, workers=-1)
    covered = np.clip(3 - 2 * apart[:, 1] / np.maximum(pixels[nearest[:, 0]], FINEST), 0, 1)
    for _ in range(2):
        covered = np.minimum(covered, (covered + covered[places.neighbours].mean(1)) / 2)
    depth = BENEATH + (BENEATH_FACE - BENEATH) * places.held
    return surface - normals * (depth * covered)[:, None]


def _quaternions(frames: np.ndarray) -> np.ndarray:
    matrices = torch.from_numpy(np.asarray(frames, np.float32))
    return with_positive_w(matrix_to_quaternion(matrices)).numpy()


def moved_normals(places: Places, surface: np.ndarray) -> np.ndarray:
    """[N,3] unit normals of the surface [N,3], of the linear map that takes each place's neighbours on the
    template to where they lie now (least squares; the identity where they do not tell).
    """
    before = places.positions[places.neighbours] - places.positions[:, None]
    after = surface[places.neighbours] - surface[:, None]
    hold = np.eye(3) * (HELD * places.spacing[:, None, None]) ** 2
    spread = np.einsum("nki,nkj->nij", before, before) + hold
    mixed = np.einsum("nki,nkj->nij", before, after) + hold
    linear = np.linalg.solve(spread, mixed).transpose(0, 2, 1)
    normals = np.einsum("nij,nj->ni", cofactors(linear), places.normals)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def place_scales(places: Places, surface: np.ndarray) -> np.ndarray:
    """[N,3] metres: standard deviations along the surface [N,3] (two) and across it."""
    apart = np.linalg.norm(surface[places.neighbours] - surface[:, None], axis=2)
    sixth = np.partition(apart, 5, axis=1)[:, 5]
    wide = np.clip(TANGENT * sixth, SOFTEST * places.spacing, WIDEST * places.spacing)
    return np.stack([wide, wide, np.clip(NORMAL * wide, THIN, THICK)], 1).astype(np.float32)


def _mean(values: np.ndarray, distance: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    share = 1 / (distance**2 + SOFT**2)
    return (values[nearest] * (share / share.sum(1, keepdims=True))[..., None]).sum(1).astype(np.float32)


def _with_silent_slot(decoder: dict) -> tuple[dict, int]:
    """The decoder with one more slot, which changes nothing: for what photos show as it is."""
    weight, bias = decoder["last_weight"], decoder["last_bias"]
    silent = len(bias) // CHANGES
    more = {
        "last_weight": torch.cat([weight, weight.new_zeros(CHANGES, weight.shape[1])]),
        "last_bias": torch.cat([bias, bias.new_zeros(CHANGES)]),
    }
    return {**decoder, **more}, silent
