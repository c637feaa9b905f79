# SPDX-License-Identifier: GPL-3.0-or-later
"""3D Gaussians -> pictures, on the CPU everywhere and on CUDA where gsplat is installed."""

import torch
from torch import Tensor

from ..errors import UserError
from ..gaussians import Gaussians
from .camera import Camera, look_at

__all__ = ["PASSES", "Camera", "look_at", "rasterize"]

PASSES = ("combined", "alpha", "depth", "normal", "features")


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    passes: tuple[str, ...] = ("combined",),
    background: Tensor | None = None,
    device: str | torch.device | None = None,
    features: Tensor | None = None,
) -> dict[str, Tensor]:
    """Draws Gaussians as 3DGS does: EWA projection with 0.3 px^2 dilation, front to back by the depth of the
    means, alpha at most 0.999 and nothing below 1/255, the end of a pixel where less than 1e-4 of the light
    would pass.

    passes, of which those asked for are returned, float32, row 0 at the top:
      combined [H,W,4]  premultiplied colour and coverage; colours are blended as they are, sRGB or linear
      alpha [H,W]       coverage
      depth [H,W]       expected camera z in metres, 0 where nothing was drawn
      normal [H,W,3]    unit world normal: smallest axes that face the camera, blended; 0 where nothing was
      drawn features [H,W,C]  the given features [N,C], blended like colours
    background [3] or [H,W,3] is put behind the colours of `combined`; its alpha stays the coverage.
    device draws elsewhere than where the Gaussians are; the pictures stay on that device.

    Gradients reach means, covariances, opacities, colours, features and background (through all passes but
    normal's directions). Gaussians that hold NaN or infinity, or lie behind the camera, are left out. Wrong
    shapes, types or passes are a ValueError; a device that cannot draw is a UserError.
    """
    if device is not None:
        gaussians = gaussians.to(device)
        features = None if features is None else features.to(device)
    _check(gaussians, passes, features)
    values = [gaussians.colors]
    if "depth" in passes:
        values.append(_camera_z(gaussians.means, camera)[:, None])
    if "normal" in passes:
        from .normals import facing_normals  # loads numba

        values.append(facing_normals(gaussians.means, gaussians.covariances, camera))
    if "features" in passes:
        values.append(features)
    stacked = values[0] if len(values) == 1 else torch.cat(values, -1)
    scene = (gaussians.means, gaussians.covariances, gaussians.opacities, stacked)
    layers = _implementation(gaussians.device)(*scene, camera)
    return _passes(layers, passes, background)


def _camera_z(means: Tensor, camera: Camera) -> Tensor:
    row = torch.from_numpy(camera.viewmat[2].copy()).to(means)
    return means @ row[:3] + row[3]


def _implementation(device: torch.device):
    """numba takes a second to load and gsplat may be missing: neither is imported before it is needed."""
    if device.type == "cpu":
        from .autograd import layers
    elif device.type == "cuda":
        from .gsplat import layers
    else:
        raise UserError(f"Gaussians cannot be drawn on the device {device}.", "Use the CPU or a CUDA device.")
    return layers


def _passes(layers: Tensor, passes: tuple[str, ...], background: Tensor | None) -> dict[str, Tensor]:
    out, at, alpha = {}, 4, layers[..., 3]
    if "combined" in passes:
        out["combined"] = _over(layers[..., :4], background)
    if "alpha" in passes:
        out["alpha"] = alpha
    if "depth" in passes:
        covered = alpha > 0
        out["depth"] = torch.where(covered, layers[..., at] / torch.where(covered, alpha, 1.0), 0.0)
        at += 1
    if "normal" in passes:
        out["normal"] = torch.nn.functional.normalize(layers[..., at : at + 3], dim=-1, eps=1e-8)
        at += 3
    if "features" in passes:
        out["features"] = layers[..., at:]
    return out


def _over(image: Tensor, background: Tensor | None) -> Tensor:
    if background is None:
        return image
    background = torch.as_tensor(background, dtype=image.dtype, device=image.device)
    if background.shape not in ((3,), (*image.shape[:2], 3)):
        size = f"[{image.shape[0]}, {image.shape[1]}, 3]"
        raise ValueError(f"background must have shape [3] or {size}, not {list(background.shape)}.")
    alpha = image[..., 3:]
    return torch.cat([torch.addcmul(image[..., :3], 1 - alpha, background), alpha], -1)


def _check(gaussians: Gaussians, passes: tuple[str, ...], features: Tensor | None) -> None:
    unknown = [name for name in passes if name not in PASSES]
    if isinstance(passes, str) or unknown or not passes:
        raise ValueError(f"passes must be a tuple of names out of {', '.join(PASSES)}, not {passes!r}.")
    count = len(gaussians)
    wanted = {"means": (count, 3), "covariances": (count, 3, 3), "opacities": (count,), "colors": (count, 3)}
    tensors = {name: getattr(gaussians, name) for name in wanted}
    if "features" in passes:
        if features is None or features.ndim != 2:
            raise ValueError("The features pass needs features of shape [N, C].")
        wanted["features"] = (count, features.shape[1])
        tensors["features"] = features
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != wanted[name]:
            raise ValueError(f"{name} must have shape {list(wanted[name])}, not {list(tensor.shape)}.")
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name} must be float32, not {str(tensor.dtype).removeprefix('torch.')}.")
        if tensor.device != gaussians.device:
            raise ValueError(f"{name} is on {tensor.device}, but the means are on {gaussians.device}.")
