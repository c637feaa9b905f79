# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network is shown of a person: masked photos, and where their pixels lie on the template."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import UserError

GREY = 0.5  # what masked-out background becomes


@dataclass(frozen=True)
class PixelSource:
    """A photo at the resolution its colours are sampled at.

    rgb [h,w,3] in 0..1, matte [h,w] in 0..1, points [h,w,3] metres on the mean template's canonical surface
    (any value, NaN allowed, where the matte is 0). error [h,w] metres: how far off the points are expected to
    be; None: exact.
    """

    rgb: np.ndarray
    matte: np.ndarray
    points: np.ndarray
    error: np.ndarray | None = None


@dataclass(frozen=True)
class InputViews:
    """Photos of one person, ready for the network. Any order; `face` may be empty ([0,H,W,4]).

    body [V,H,W,4] and face [F,H,W,4]: float32 straight RGB and matte, at the model's photo sizes.
    sources: what pixels are sampled from; may be the same photos at a higher resolution, or empty.
    """

    body: np.ndarray
    face: np.ndarray
    sources: tuple[PixelSource, ...] = ()
    photo_hashes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def check(self) -> None:
        """Raise `UserError` unless the arrays have the shapes and values described above."""
        for name in ("body", "face"):
            array = getattr(self, name)
            if array.ndim != 4 or array.shape[-1] != 4:
                raise UserError(
                    f"The {name} photos have the shape {array.shape}, not [views, height, width, 4]."
                )
            if not np.isfinite(array).all():
                raise UserError(f"The {name} photos contain NaN or infinity.")
        if not len(self.body):
            raise UserError(
                "There is no photo that shows the person's body.", "Add at least one photo of the body."
            )


def masked(rgba: np.ndarray) -> np.ndarray:
    """Straight RGBA [...,4] over constant grey, matte kept as fourth channel."""
    alpha = rgba[..., 3:]
    return np.concatenate([rgba[..., :3] * alpha + GREY * (1 - alpha), alpha], -1).astype(np.float32)
