# SPDX-License-Identifier: GPL-3.0-or-later
"""From 3D Gaussians to pictures, on the CPU, and on CUDA where gsplat is installed."""

import dataclasses

import torch
from torch import Tensor

from ..errors import UserError
from ..gaussians import Gaussians
from .camera import Camera, look_at
from .inputs import PASSES, Shot, background_of, check_cameras, check_passes, check_scene, per_camera

__all__ = ["PASSES", "Camera", "look_at", "rasterize"]


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    passes: tuple[str, ...] = ("combined",),
    background: Tensor | None = None,
    device: str | torch.device | None = None,
    features: Tensor | None = None,
    *,
    antialiased: bool = False,
    scene_depth: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    viewmat: Tensor | None = None,
) -> dict[str, Tensor]:
    """Draws Gaussians as 3DGS does: EWA projection with 0.3 px^2 dilation, front to back by the depth of the
    means, alpha at most 0.999 and nothing below 1/255, the end of a pixel where less than 1e-4 of the light
    would pass.

    camera is one Camera, or a sequence of C cameras of one size: every picture then has an axis [C,...] in
    front and is what the camera alone would give. passes, of which those asked for are returned, row 0 at the
    top:
      combined [H,W,4]    premultiplied colour and coverage; colours are blended as they are, sRGB or linear
      alpha [H,W]         coverage
      depth [H,W]         expected camera z in metres, 0 where nothing was drawn
      normal [H,W,3]      unit world normal: smallest axes that face the camera, blended; 0 where nothing is
      features [H,W,C]    the given features [N,C], blended like colours
    gaussians.colors [N,3], or coefficients [N,(d+1)^2,3] of spherical harmonics of degree d 0..3 in world
    axes, as in 3DGS: colour = max(0, harmonics(direction from the camera to the mean) + 0.5).
    background [3] or [H,W,3] is blended behind the colours of `combined`; its alpha is still the coverage.
    device draws elsewhere than where the Gaussians are; the pictures stay on that device.
    antialiased lowers opacities as the dilation widens small Gaussians (Mip-Splatting, Yu et al. 2024).
    scene_depth float32 [H,W] ([C,H,W]) is the scene's camera z in metres, inf where nothing is: Gaussians
    whose mean lies behind it are not blended at that pixel.
    dtype torch.uint8 gives combined and alpha only, rounded to nearest, without gradients.
    viewmat float32 [4,4] ([C,4,4]) replaces the cameras' own and receives their gradient.

    Gradients reach means, covariances, opacities, colours, features, background and viewmat (through all
    passes but normal's directions). Gaussians that hold NaN or infinity, or lie behind the camera, are left
    out. Wrong shapes, types or passes are a ValueError; a device that cannot draw is a UserError.
    """
    if device is not None:
        gaussians = gaussians.to(device)
        features = None if features is None else features.to(device)
    check_scene(gaussians, features)
    check_passes(passes, features, dtype)
    cameras, single = check_cameras(camera), isinstance(camera, Camera)
    height, width = cameras[0].height, cameras[0].width
    depths = per_camera(scene_depth, cameras, single, (height, width), "scene_depth")
    viewmats = per_camera(viewmat, cameras, single, (4, 4), "viewmat")
    background = background_of(background, cameras[0], gaussians.device)
    wanted = Shot(
        cameras[0],
        features=features if "features" in passes else None,
        background=background,
        normal="normal" in passes,
        depth="depth" in passes,
        antialiased=antialiased,
        dtype=dtype,
    )
    shots = [
        dataclasses.replace(wanted, camera=one, scene_depth=depth, viewmat=view)
        for one, depth, view in zip(cameras, depths, viewmats, strict=True)
    ]
    made = [_passes(picture, layers, passes) for picture, layers in _drawn(gaussians, shots)]
    return made[0] if single else {name: torch.stack([one[name] for one in made]) for name in passes}


def _with_seen_colors(gaussians: Gaussians, shot: Shot) -> Gaussians:
    if gaussians.colors.ndim == 2:
        return gaussians
    from .harmonics import seen_colors

    if shot.viewmat is None:
        position = torch.from_numpy(shot.camera.position).to(gaussians.means)
    else:
        position = torch.linalg.inv(shot.viewmat)[:3, 3]
    return dataclasses.replace(gaussians, colors=seen_colors(gaussians.means, gaussians.colors, position))


def _drawn(gaussians: Gaussians, shots: list[Shot]) -> list[tuple[Tensor, Tensor]]:
    """Picture and layers of each shot, on the Gaussians' device. gsplat is optional and so imported
    lazily; it does not support a scene depth, which is drawn on the CPU."""
    device = gaussians.device
    if device.type == "cuda" and shots[0].scene_depth is None:
        from .gsplat import pictures

        return pictures(gaussians, shots)
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"Gaussians cannot be drawn on the device {device}.", "Use the CPU or a CUDA device.")
    from .autograd import pictures

    gaussians, made = gaussians.to("cpu"), []
    for shot in (shot.on_cpu() for shot in shots):
        picture, layers = pictures(_with_seen_colors(gaussians, shot), shot)
        made.append((picture.to(device), layers.to(device)))
    return made


def _passes(picture: Tensor, layers: Tensor, passes: tuple[str, ...]) -> dict[str, Tensor]:
    out, at, alpha = {}, 0, picture[..., 3]
    if "combined" in passes:
        out["combined"] = picture
    if "alpha" in passes:
        out["alpha"] = alpha
    if "depth" in passes or "normal" in passes:
        if "depth" in passes:
            covered = alpha > 0
            out["depth"] = torch.where(covered, layers[..., 0] / torch.where(covered, alpha, 1.0), 0.0)
        at += 1
    if "normal" in passes:
        out["normal"] = torch.nn.functional.normalize(layers[..., at : at + 3], dim=-1, eps=1e-8)
        at += 3
    if "features" in passes:
        out["features"] = layers[..., at:]
    return {name: out[name] for name in passes}
