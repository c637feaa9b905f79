# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar of a person as photographed: the network's in new places, on the person's surface, in the
photos' colours; the network's own colours and pose-dependent changes where no photo shows.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..avatar import Avatar
from ..body.anchors import surface_frames
from ..body.template import EYEBALL, load_template
from ..decoder import CHANGES
from ..model.create import NetworkPerson
from ..quaternions import matrix_to_quaternion, with_positive_w
from .colours import blended, completed, look_at
from .mirrored import mirror_remarks
from .photo import FittedPhoto, cofactors
from .places import Places, load_places
from .surface import person_surface

OPACITY = 0.95
LOOSEST = 0.02  # metres that the network's clothes are believed to stand off
# Standard deviations along the surface, of the sixth neighbour's distance, and across it. 0.45 to 0.55 are
# as near to photos (21.2 dB, five photos), the least a tenth sharper; at 0.38 what lies behind shines
# through.
TANGENT, NORMAL = 0.5, 0.2
THIN, THICK = 0.0004, 0.0025  # metres, of the latter
SOFTEST, WIDEST = 0.25, 2.5  # of the spacing on the template: least and most along the surface
HELD = 0.5  # of the spacing, by which a surface keeps its frame across the neighbours' plane
NEAREST, SOFT = 8, 0.003  # Gaussians of the network about a place, and metres at which they lose half


def person_avatar(photos: list[FittedPhoto], person: NetworkPerson) -> Avatar:
    """The avatar of fitted photos; `person` is what the network made of them."""
    places, template = load_places(), load_template()
    at_rest, children = person.at_rest.numpy(), person.anchors.children.numpy()
    nearest = cKDTree(children.reshape(-1, 3)).query(places.positions, k=NEAREST, workers=-1)
    offsets = person.canonical.offsets[0].numpy() + at_rest[..., 3:6].reshape(-1, 3)
    usual = np.clip((_mean(offsets, *nearest) * places.normals).sum(1), -LOOSEST, LOOSEST)
    surface = person_surface(places, photos, usual)
    normals = moved_normals(places, surface)
    scales = place_scales(places, surface)
    looks = [
        look_at(places, photo, photo.pose(places, surface, normals), scales[:, 0] / TANGENT)
        for photo in photos
    ]
    remarks = mirror_remarks(places, looks, [photo.name for photo in photos])
    color, trust = blended(places, looks)
    made = person.canonical.colors[0].numpy() + at_rest[..., :3].reshape(-1, 3)
    color = completed(places, color, trust, _mean(made, *nearest))
    token, slot = np.divmod(nearest[1][:, 0], children.shape[1])
    decoder, silent = _with_silent_slot(person.decoder)
    token_bias = decoder.pop("token_bias")
    seen = (trust > 0.5) | (places.part > EYEBALL)
    changes = np.where(seen[:, None], 0, at_rest[token, slot])  # are there already, as the network means them
    frames = torch.from_numpy(surface_frames(normals))
    quats = with_positive_w(matrix_to_quaternion(frames)).numpy()
    rows, deltas = places.expressive
    return Avatar(
        joint_names=tuple(template.joint_names),
        joint_parents=template.joint_parents,
        joint_heads=template.joint_heads,
        joint_tails=template.joint_tails,
        means=surface - changes[:, 3:6],
        offsets=surface - places.positions,
        quats=quats - changes[:, 6:10],
        scales=scales * np.exp(-changes[:, 10:]),
        opacities=np.full(len(places), OPACITY),
        colors=color - changes[:, :3],
        skin_indices=places.skin_indices,
        skin_weights=places.skin_weights,
        expression_basis=deltas,
        expression_rows=rows,
        token=token,
        slot=np.where(seen, silent, slot),
        token_bias=token_bias,
        decoder=decoder,
        header={**person.header, "warnings": [*person.header["warnings"], *remarks]},
    )


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
