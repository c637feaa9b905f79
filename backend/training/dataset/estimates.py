# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo estimator's own explanation of the training photos, stored beside the true one.

A network that only ever saw true correspondences trusts them too much: at creation they are estimated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...imaging.correspondence import Correspondence, Estimator, NoPersonError, masked_crop
from ...imaging.crops import Box
from ...imaging.views import BODY_SOURCE, head_crop, pixel_source
from ...model.config import ModelConfig
from ...model.matching import site_colors
from ..people.backgrounds import compose_background
from .crops import BODY_MARGIN, ROOM, byte_colors, roomy
from .prepare import add_beside, byte_steps
from .prepared import DISTANCE_STEP, ERROR_STEP, estimate_path
from .sites import Sites, make_sites


def estimate_record(
    record: dict, estimator: Estimator, config: ModelConfig, sites: Sites
) -> dict[str, np.ndarray]:
    """`found` [V], and for what was found the arrays of `prepare_record` that describe photos, with
    `site_error` [V,S]. All photos of the person are explained together, as at creation.
    """
    views = len(record["rgba"])
    rng = np.random.default_rng([int(record["seed"]), 77])
    arrays = _empty(views, config, len(sites.positions))
    seen = []
    for v, rgba in enumerate(record["rgba"]):
        own = rgba[..., :3][rgba[..., 3] == 0].any()  # captured frames keep what stands behind
        rgb = (rgba[..., :3] if own else compose_background(rng, rgba)).astype(np.float32) / 255
        try:
            seen.append((v, estimator.see(rgb)))
        except NoPersonError:
            continue
    explained = estimator.explain([sighting for _, sighting in seen]) if seen else []
    for (v, sighting), found in zip(seen, explained, strict=True):
        _fill(arrays, v, sighting.rgb, found, config, sites)
    return arrays


def _empty(views: int, config: ModelConfig, sites: int) -> dict[str, np.ndarray]:
    size = lambda s: (views, round(s[0] * ROOM), round(s[1] * ROOM), 4)  # noqa: E731
    return {
        "found": np.zeros(views, bool),
        "has_face": np.zeros(views, bool),
        "body": np.zeros(size(config.body_size), np.uint8),
        "face": np.zeros(size(config.face_size), np.uint8),
        "site_rgb": np.zeros((views, sites, 3), np.uint8),
        "site_distance": np.full((views, sites), 255, np.uint8),
        "site_error": np.full((views, sites), 255, np.uint8),
        "pixel_size": np.ones(views, np.float32),
    }


def _fill(arrays: dict, v: int, rgb: np.ndarray, found: Correspondence, config: ModelConfig, sites: Sites):
    """One photo's rows, as `imaging.views` makes them at creation."""
    box = found.box.grown(BODY_MARGIN, config.body_size[1] / config.body_size[0])
    face = head_crop(found, config)
    arrays["found"][v], arrays["has_face"][v] = True, face is not None
    arrays["body"][v] = _crop(rgb, found, box, arrays["body"].shape[1:3])
    if face is not None:
        arrays["face"][v] = _crop(rgb, found, face, arrays["face"].shape[1:3])
    source = pixel_source(rgb, found, box, BODY_SOURCE)
    color, distance, size, error = site_colors(source, sites.positions)
    arrays["site_rgb"][v], arrays["pixel_size"][v] = byte_colors(color), size
    arrays["site_distance"][v] = byte_steps(distance, DISTANCE_STEP)
    arrays["site_error"][v] = byte_steps(error, ERROR_STEP)


def _crop(rgb: np.ndarray, found: Correspondence, box: Box, size: tuple[int, int]) -> np.ndarray:
    return byte_colors(masked_crop(rgb, found, roomy(box), *size)[0])


def estimate(
    data: Path, config: ModelConfig, estimator: Estimator, progress=None, share: tuple[int, int] = (0, 1)
) -> None:
    """Estimate the photos of every prepared person of a dataset folder who has no estimates yet.

    Resumable and safe to kill; share: (number, of how many) processes that share the work.
    """
    sites = make_sites(config)
    make = lambda record: estimate_record(record, estimator, config, sites)  # noqa: E731
    add_beside(data, config, estimate_path, make, "Estimating", progress, share, maps=False)
