# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of `rasterize`'s arguments; ValueError for whatever it does not accept."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..gaussians import Gaussians
from .camera import Camera
from .harmonics import BASES

PASSES = ("combined", "alpha", "depth", "normal", "features")
BYTE_PASSES = ("combined", "alpha")


@dataclass(frozen=True)
class Shot:
    """One camera's picture, checked: tensors on the Gaussians' device, or None. `viewmat` float32 [4,4] in
    place of the camera's; `normal`, `depth`: these passes are wanted."""

    camera: Camera
    viewmat: Tensor | None = None
    features: Tensor | None = None
    background: Tensor | None = None
    normal: bool = False
    depth: bool = False
    antialiased: bool = False
    scene_depth: Tensor | None = None
    dtype: torch.dtype = torch.float32

    def on_cpu(self) -> "Shot":
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{n: t.cpu() for n, t in tensors.items() if isinstance(t, Tensor)})


def check_scene(gaussians: Gaussians, features: Tensor | None) -> None:
    count = gaussians.means.shape[0] if gaussians.means.ndim else 0
    wanted = {"means": (count, 3), "covariances": (count, 3, 3), "opacities": (count,), "colors": (count, 3)}
    tensors = {name: getattr(gaussians, name) for name in wanted}
    if gaussians.colors.ndim == 3 and gaussians.colors.shape[1] in BASES:
        wanted["colors"] = (count, gaussians.colors.shape[1], 3)
    if features is not None:
        wanted["features"], tensors["features"] = (
            (count, features.shape[-1] if features.ndim else 0),
            features,
        )
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != wanted[name]:
            also = " or [N, 1, 4, 9 or 16, 3]" if name == "colors" else ""
            raise ValueError(f"{name} must have shape {list(wanted[name])}{also}, not {list(tensor.shape)}.")
        if tensor.dtype != torch.float32:
            raise ValueError(f"{name} must be float32, not {_plain(tensor.dtype)}.")
        if tensor.device != gaussians.device:
            raise ValueError(f"{name} is on {tensor.device}, but the means are on {gaussians.device}.")


def check_passes(passes, features: Tensor | None, dtype: torch.dtype) -> None:
    unknown = isinstance(passes, str) or not passes or [name for name in passes if name not in PASSES]
    if unknown:
        raise ValueError(f"passes must be a tuple of names out of {', '.join(PASSES)}, not {passes!r}.")
    if "features" in passes and features is None:
        raise ValueError("The features pass needs features of shape [N, C].")
    if dtype not in (torch.float32, torch.uint8):
        raise ValueError(f"dtype must be float32 or uint8, not {_plain(dtype)}.")
    if dtype == torch.uint8 and any(name not in BYTE_PASSES for name in passes):
        raise ValueError(f"uint8 pictures are {' and '.join(BYTE_PASSES)} only, not {passes!r}.")


def check_cameras(camera) -> list[Camera]:
    cameras = [camera] if isinstance(camera, Camera) else list(camera)
    if not cameras or not all(isinstance(one, Camera) for one in cameras):
        raise ValueError("camera must be a Camera or a sequence of at least one.")
    if len({(one.width, one.height) for one in cameras}) > 1:
        raise ValueError("All cameras of one call must have the same width and height.")
    return cameras


def per_camera(value, cameras: list[Camera], single: bool, shape: tuple[int, ...], name: str) -> list:
    """`value` split among the cameras: it has `shape`, with several cameras one more axis in front."""
    if value is None:
        return [None] * len(cameras)
    value = torch.as_tensor(value)
    wanted = shape if single else (len(cameras), *shape)
    if tuple(value.shape) != wanted:
        raise ValueError(f"{name} must have shape {list(wanted)}, not {list(value.shape)}.")
    if value.dtype != torch.float32:
        raise ValueError(f"{name} must be float32, not {_plain(value.dtype)}.")
    return [value] if single else list(value)


def background_of(background, camera: Camera, device) -> Tensor | None:
    if background is None:
        return None
    background = torch.as_tensor(background, dtype=torch.float32, device=device)
    size = (camera.height, camera.width, 3)
    if tuple(background.shape) not in ((3,), size):
        raise ValueError(f"background must have shape [3] or {list(size)}, not {list(background.shape)}.")
    return background


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
