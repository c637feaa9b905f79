# SPDX-License-Identifier: GPL-3.0-or-later
"""Anchor sets of many sizes for training: well-spread subsets, so that creation may choose its own count."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.spatial import cKDTree

from ...body.anchors import Anchors, neighbour_spacing, sample_anchors
from ...model.config import ModelConfig
from ...model.matching import match_radius
from ...model.tokens import AnchorSet, anchor_set
from ..dataset.sites import Sites

SURPLUS = 2  # subsets are drawn from this many times the largest count


@dataclass(frozen=True)
class PooledAnchors:
    """An anchor set with the nearest site [M] and the match radius [M] (metres) of each Gaussian."""

    anchors: AnchorSet
    site: np.ndarray
    radius: np.ndarray

    def to(self, device) -> PooledAnchors:
        """The same set with its anchors on another device."""
        return replace(self, anchors=self.anchors.to(device))


def farthest_points(points: np.ndarray, count: int, first: int) -> np.ndarray:
    """Indices [count] of farthest-point sampling from `points` [n,3], starting at index `first`."""
    best, order = np.full(len(points), np.inf), [first]
    for _ in range(count - 1):
        best = np.minimum(best, ((points - points[order[-1]]) ** 2).sum(1))
        order.append(int(best.argmax()))
    return np.array(order)


def subset(full: Anchors, count: int, face_fraction: float, rng: np.random.Generator) -> Anchors:
    """A well-spread subset of `count` anchors, a `face_fraction` of them on the face."""
    on_face = round(count * face_fraction)
    chosen = []
    for face, number in ((True, on_face), (False, count - on_face)):
        members = np.flatnonzero(full.is_face == face)
        start = int(rng.integers(len(members)))
        chosen.append(members[farthest_points(full.positions[members], number, start)])
    index = np.concatenate(chosen)
    values = {f.name: getattr(full, f.name) for f in fields(full)}
    values = {k: v[:, index] if k == "expression_deltas" else v[index] for k, v in values.items()}
    return Anchors(**{**values, "spacing": neighbour_spacing(values["positions"], values["is_face"])})


def pooled(config: ModelConfig, anchors: Anchors, sites: Sites) -> PooledAnchors:
    """Bind an anchor set to the sites at which photos were sampled."""
    made = anchor_set(config, anchors)
    _, site = cKDTree(sites.positions).query(made.children.reshape(-1, 3).numpy())
    return PooledAnchors(made, site.astype(np.int64), match_radius(config, made))


def whole_anchors(config: ModelConfig, sites: Sites, count: int) -> PooledAnchors:
    """`count` anchors in the order that creation uses."""
    return pooled(config, sample_anchors(count, config.face_fraction), sites)


def anchor_pool(
    config: ModelConfig, sites: Sites, counts: tuple[int, int], size: int = 12, seed: int = 0
) -> list[PooledAnchors]:
    """`size` subsets, their counts spread evenly on a log scale over the range `counts`."""
    rng = np.random.default_rng(seed)
    low, high = counts
    full = sample_anchors(min(SURPLUS * high, 8192), config.face_fraction)
    sizes = np.exp(np.linspace(np.log(low), np.log(high), size)).round().astype(int)
    return [pooled(config, subset(full, int(n), config.face_fraction, rng), sites) for n in sizes]
