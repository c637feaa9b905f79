# SPDX-License-Identifier: GPL-3.0-or-later
"""Refines the Gaussians of photos' pixels by gradients of the rasteriser: colours, and opacities where they
lie off the surface, so that each photo is drawn as it is where its own pixels are seen. Geometry, the
template's places and what a photo hardly shows stay as they are.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..avatar import Avatar
from ..gaussians import Gaussians
from ..raster import rasterize
from .photo import FittedPhoto
from .pictures import Picture, difference, on, pictures

STEPS, MOST = 50, 160  # steps for each photo, and for all
PERSON, FACE = 1024, 800  # pixels, the most a picture is high
COLOR_RATE, OPACITY_RATE = 0.01, 0.04
KEEP = 1.0  # weight of the square of a colour's change: without, what is finer than the photo rings
OTHERS = 0.2  # coverage of a pixel by other Gaussians from which it says nothing about the photo's own
# Share of its footprint that a Gaussian must show to be moved at all, and fully; without, what is hardly seen
# turns iridescent from aside.
HARDLY, FULLY = 0.06, 0.34
BLACK = 0.02  # below which a colour's ratio to another says little
DILATION = 0.3  # square pixels by which the rasteriser widens Gaussians


@torch.enable_grad()
def refined(
    avatar: Avatar,
    source: np.ndarray,
    loose: np.ndarray,
    tones: list[np.ndarray],
    photos: list[FittedPhoto],
    report: Callable[[float], None] = lambda fraction: None,
    device: str | torch.device = "cpu",
) -> Avatar:
    """source, loose and tones: of `assemble.Assembled`; only opacities of loose Gaussians change. Pictures
    are drawn on `device`; on the CPU every run gives equal bits. report is called with the fraction done, and
    may raise.
    """
    colors, opacities = avatar.colors.float().numpy(), avatar.opacities.float().numpy()
    steps = min(STEPS, MOST // len(photos))
    for number, photo in enumerate(photos):
        own = torch.from_numpy(source == number).to(device)
        targets = on(pictures(number, photo, PERSON, FACE) if own.any() else [], device)
        if not targets:
            continue
        posed, tone = on((avatar.drive(photo.signal()), torch.from_numpy(tones[number])), device)
        seen = [_seen(posed, target, own, tone) for target in targets]
        pixels = _Pixels(
            posed, torch.stack([each.share for each in seen]).amax(0), own, torch.from_numpy(loose).to(device)
        )
        optimizer = torch.optim.Adam(pixels.rates(), eps=1e-12)
        draw = torch.Generator().manual_seed(0)
        for step in range(steps):
            report((number + step / steps) / len(photos))
            optimizer.zero_grad()
            pixels.loss(seen[step % len(seen)], torch.rand(3, generator=draw).to(device)).backward()
            optimizer.step()
        with torch.no_grad():
            colors[pixels.number] += (pixels.change * pixels.gate).cpu().numpy()
            opacities[pixels.number] = pixels.opacities().cpu().numpy()
    changes = {"colors": colors, "opacities": opacities}
    if avatar.albedo is not None:  # the light that was divided out stays
        before = avatar.colors.float().numpy()
        lighter = np.clip((colors + BLACK) / (before + BLACK), 0.5, 2)
        changes["albedo"] = avatar.albedo.float().numpy() * lighter
    return replace(avatar, **changes)


class _Pixels:
    """The Gaussians of one photo's pixels in its pose, and what else it shows: `posed`; rows [n] of it that
    may change, `number` [n] theirs of the avatar; gate [n,1] how freely.
    """

    def __init__(self, posed: Gaussians, share: Tensor, own: Tensor, loose: Tensor):
        shown = torch.nonzero(share > 0)[:, 0]
        names = "means", "covariances", "opacities", "colors"
        self.posed = Gaussians(*(getattr(posed, name)[shown] for name in names))
        self.rows = torch.nonzero(own[shown])[:, 0]
        self.number = shown[self.rows].cpu().numpy()
        self.gate = ((share[shown[self.rows]] - HARDLY) / (FULLY - HARDLY)).clamp(0, 1)[:, None]
        self.loose = loose[shown[self.rows]]
        self.change = torch.zeros(len(self.rows), 3, requires_grad=True, device=shown.device)
        self.logit = torch.logit(self.posed.opacities[self.rows].clamp(0.02, 0.98)).requires_grad_(True)

    def rates(self) -> list[dict]:
        return [{"params": [self.change], "lr": COLOR_RATE}, {"params": [self.logit], "lr": OPACITY_RATE}]

    def opacities(self) -> Tensor:
        return torch.where(self.loose, torch.sigmoid(self.logit), self.posed.opacities[self.rows])

    def loss(self, seen: "_Seen", background: Tensor) -> Tensor:
        change = self.change * self.gate
        colors = self.posed.colors.index_add(0, self.rows, change)
        opacities = self.posed.opacities.index_copy(0, self.rows, self.opacities())
        shown = replace(self.posed, colors=colors, opacities=opacities)
        drawn = rasterize(shown, seen.target.camera, background=background)["combined"][..., :3]
        wanted = torch.where(seen.alone[..., None], seen.target.over(background), drawn.detach())
        return difference(drawn, wanted) + KEEP * change.square().mean()


class _Seen(NamedTuple):
    """share [N] of its footprint that each Gaussian shows in a picture; alone [h,w] bool: where none but the
    photo's own do; target: the picture in the avatar's tone.
    """

    share: Tensor
    alone: Tensor
    target: Picture


def _seen(posed: Gaussians, target: Picture, own: Tensor, tone: Tensor) -> _Seen:
    camera = target.camera
    values = torch.cat([(~own).float()[:, None], tone], 1)
    colors = torch.zeros_like(posed.colors, requires_grad=True)
    drawn = rasterize(replace(posed, colors=colors), camera, ("combined", "features"), features=values)
    (gradient,) = torch.autograd.grad(drawn["combined"][..., 0].sum(), colors)
    scale = (camera.K[0, 0] / posed.means[:, 2].clamp(min=0.1)) ** 2
    wide, high = (posed.covariances[:, axis, axis] * scale + DILATION for axis in (0, 1))
    share = gradient[:, 0] / (2 * np.pi * (wide * high).sqrt())
    others, tone = drawn["features"].detach().split([1, 3], -1)
    return _Seen(share, others[..., 0] < OTHERS, target._replace(rgb=(target.rgb + tone).clamp(0, 1)))
