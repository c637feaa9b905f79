# SPDX-License-Identifier: GPL-3.0-or-later
"""What was painted over a picture of an avatar becomes the colours of the Gaussians that the picture shows.

The picture's colours are a linear function of the Gaussians'. Those that are seen in painted pixels take the
change that brings the picture nearest to what was painted (preconditioned gradient steps with momentum:
SIRT, Gilbert 1972, and Nesterov 1983); all others stay as they are, bit for bit.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from ..avatar import Avatar
from ..errors import UserError
from ..gaussians import Gaussians
from ..raster import Camera, rasterize
from ..srgb import encoded_of, linear_of
from .albedo import LIGHTEST

CHANGED = 2.5 / 255  # difference of a channel that is no rounding
SOLID = 0.02  # alpha below which a pixel of the avatar's picture is not the avatar
MARGIN = 64  # pixels about what was painted that are looked at too
# Share of its footprint that a Gaussian must show, and share of that that must be painted, to be changed at
# all.
HARDLY, TOUCHED = 0.02, 0.05
DILATION = 0.3  # square pixels by which the rasteriser widens Gaussians
STEPS = 16
# By how much a colour may lie beyond the old one and the paint on it: without a bound the colours compensate
# for what shines through from beneath, and a red spot is too red from the side, with an edge of its opposite.
BEYOND = 0.03
BLACK = 0.02  # linear; below it the share of the light in a colour says little


def repainted(
    avatar: Avatar,
    rows: np.ndarray,
    posed: Gaussians,
    camera: Camera,
    before: np.ndarray,
    after: np.ndarray,
    report: Callable[[float], None] = lambda fraction: None,
) -> tuple[Avatar, int]:
    """The avatar in the colours that were painted, and the number of its Gaussians that changed.

    posed [n]: the Gaussians rows [n] of the avatar as `camera` saw them; before, after [h,w,4]: their picture
    in the avatar's own sRGB with straight alpha, 0..1, and the same painted over. What was painted beside the
    avatar, or made transparent, counts for nothing. Albedo follows, light in it aside; the painted Gaussians
    count as seen. Equal input gives equal bits. UserError where nothing was painted.
    """
    painted = np.abs(after[..., :3] - before[..., :3]).max(2) > CHANGED
    painted &= (before[..., 3] > SOLID) & (after[..., 3] > SOLID)
    if not painted.any():
        raise UserError(
            "Nothing is painted on the avatar in this picture.",
            "Paint on the avatar, and save the picture if it was painted in another program.",
        )
    change = _Change(posed, camera, painted, after)
    for step in range(STEPS):
        report(step / STEPS)
        change.step()
    rows = np.asarray(rows)[change.rows]
    colors = avatar.colors.float().numpy()
    new = colors[rows] + change.value.numpy()
    made_of = {"avatar": avatar.hash}
    changes = {"colors": _at(colors, rows, new), "header": {**avatar.header, "made_of": made_of}}
    if avatar.albedo is not None:
        albedo = avatar.albedo.float().numpy()
        changes["albedo"] = _at(albedo, rows, _albedo(albedo[rows], colors[rows], new))
    if avatar.confidence is not None:
        seen = np.maximum(avatar.confidence.numpy()[rows], np.round(255 * change.gate[:, 0].numpy()))
        changes["confidence"] = _at(avatar.confidence.numpy(), rows, seen.astype(np.uint8))
    return replace(avatar, **changes), len(rows)


class _Change:
    """rows [m] of the posed Gaussians that may change, how freely, gate [m,1], and the change of their
    colours so far, value [m,3].
    """

    def __init__(self, posed: Gaussians, camera: Camera, painted: np.ndarray, after: np.ndarray):
        down, along = ndimage.find_objects(painted.astype(np.int8))[0]
        (top, bottom), (left, right) = (down.start, down.stop), (along.start, along.stop)
        top, left = max(top - MARGIN, 0), max(left - MARGIN, 0)
        bottom, right = min(bottom + MARGIN, camera.height), min(right + MARGIN, camera.width)
        self.camera = camera.crop(left, top, right - left, bottom - top)
        self.posed = posed
        part = slice(top, bottom), slice(left, right)
        mask = torch.from_numpy(painted[part].astype(np.float32))
        drawn = rasterize(posed, self.camera)["combined"]
        paint = torch.from_numpy(after[part][..., :3].astype(np.float32))
        self.wanted = (paint * drawn[..., 3:] - drawn[..., :3]) * mask[..., None]
        weights = torch.ones_like(paint), mask[..., None].expand_as(paint), paint * mask[..., None]
        none = torch.zeros_like(posed.colors)
        shown, touched, own = (self._back(none, weight) for weight in weights)
        own, shown, touched = own / touched.clamp(min=1e-9), shown[:, 0], touched[:, 0]
        share = touched / shown.clamp(min=1e-9)
        wide = _footprints(posed, self.camera)
        may = (share > TOUCHED) & (shown > HARDLY * wide)
        self.rows = torch.nonzero(may)[:, 0].numpy()
        self.gate, self.shown = share[may, None], shown[may, None]
        old, own = posed.colors[may], own[may]
        lowest, highest = torch.minimum(old, own) - BEYOND, torch.maximum(old, own) + BEYOND
        self.bounds = lowest.clamp(min=0) - old, highest.clamp(max=1) - old
        self.value = self.last = torch.zeros(len(self.rows), 3)
        self.number = 0

    def step(self) -> None:
        ahead = self.value + self.number / (self.number + 3) * (self.value - self.last)
        colors = torch.zeros_like(self.posed.colors)
        colors[self.rows] = ahead
        gradient = self._back(colors, None)[self.rows] / self.shown
        self.last, self.number = self.value, self.number + 1
        self.value = torch.clamp(ahead - self.gate * gradient, *self.bounds)

    @torch.enable_grad()
    def _back(self, colors: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """[n,3]: weights [h,w,3] of pixels, carried back to the Gaussians; where None, how far the picture of
        colors [n,3] is from the one that is wanted.
        """
        colors = colors.requires_grad_(True)
        drawn = rasterize(replace(self.posed, colors=colors), self.camera)["combined"][..., :3]
        pixels = (drawn - self.wanted).detach() if weight is None else weight
        return torch.autograd.grad(drawn, colors, pixels.contiguous())[0]


def _footprints(posed: Gaussians, camera: Camera) -> torch.Tensor:
    """[n] pixels that Gaussians would cover if nothing hid them, of opacity 1."""
    view = torch.from_numpy(camera.viewmat.astype(np.float32))
    points = posed.means @ view[:3, :3].T + view[:3, 3]
    scale = torch.full((len(points),), float(camera.K[0, 0]))
    if not camera.orthographic:
        scale = scale / points[:, 2].clamp(min=0.1)
    axes = view[:2, :3]
    flat = axes @ posed.covariances @ axes.T * scale[:, None, None] ** 2 + DILATION * torch.eye(2)
    return 2 * np.pi * torch.linalg.det(flat).clamp(min=0).sqrt()


def _albedo(albedo: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """sRGB [n,3] of colours after, with the light that colours before have more than their albedo."""
    albedo, before, after = (linear_of(np.clip(a, 0, 1)) for a in (albedo, before, after))
    light = (before + BLACK) / (albedo + BLACK)
    return encoded_of(np.clip((after + BLACK) / light - BLACK, 0, LIGHTEST))


def _at(values: np.ndarray, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[rows] = new
    return changed
