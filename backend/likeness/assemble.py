# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar of a person as photographed: the network's in new places, on the person's surface, in the
photos' colours; the network's own colours and pose-dependent changes where no photo shows.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..avatar import Avatar
from ..avatar_file import CHANGES
from ..body.anchors import surface_frames
from ..body.template import load_template
from ..gaussians import quats_of
from ..model.create import NetworkPerson
from .colours import blended, completed, look_at
from .photo import FittedPhoto
from .places import Places, load_places
from .surface import person_surface

OPACITY = 0.95
TANGENT, NORMAL = (
    0.55,
    0.2,
)  # standard deviation along the surface, of the sixth neighbour's distance; across it
THIN, THICK = 0.0004, 0.0025  # metres, of the latter
SOFTEST, WIDEST = 0.25, 2.5  # of the spacing on the template: least and most along the surface
NEAREST, SOFT = 8, 0.003  # Gaussians of the network about a place, and metres at which they lose half


def person_avatar(photos: list[FittedPhoto], person: NetworkPerson, places: Places | None = None) -> Avatar:
    """The avatar of fitted photos; `person` is what the network made of them."""
    places, template = places or load_places(), load_template()
    surface = person_surface(places, photos)
    scales = place_scales(places, surface)
    looks = [
        look_at(places, photo, photo.pose(places, surface, places.normals), scales[:, 0] / TANGENT)
        for photo in photos
    ]
    color, trust = blended(places, looks)
    rest = person.anchors.children.numpy()
    distance, nearest = cKDTree(rest.reshape(-1, 3)).query(places.positions, k=NEAREST, workers=-1)
    color = completed(places, color, trust, _mean(person.canonical.colors[0].numpy(), distance, nearest))
    token, slot = np.divmod(nearest[:, 0], rest.shape[1])
    decoder, silent = _with_silent_slot(person.decoder)
    token_bias = decoder.pop("token_bias")
    rows, deltas = places.expressive
    return Avatar(
        joint_names=tuple(template.joint_names),
        joint_parents=template.joint_parents,
        joint_heads=template.joint_heads,
        joint_tails=template.joint_tails,
        means=surface,
        offsets=surface - places.positions,
        quats=quats_of(torch.from_numpy(surface_frames(places.normals))),
        scales=scales,
        opacities=np.full(len(places), OPACITY),
        colors=color,
        skin_indices=places.skin_indices,
        skin_weights=places.skin_weights,
        expression_basis=deltas,
        expression_rows=rows,
        token=token,
        slot=np.where(trust > 0.5, silent, slot),
        token_bias=token_bias,
        decoder=decoder,
        header=person.header,
    )


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
