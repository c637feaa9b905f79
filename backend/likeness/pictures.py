# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of photos that renders of an avatar are compared with: the person, and the face at a finer scale."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..gaussians import Gaussians
from ..imaging.crops import Box, crop
from ..raster import Camera
from ..similarity import ssim
from .photo import FittedPhoto

ABOUT_FACE = (0.95, 1.2)  # of the face's size: half the width of its picture, and how far it goes up and down
SMALL = 0.8  # of the person's height, under which a face is worth a picture of its own
FAINT, SOLID = 0.2, 0.9  # matte as `window.py` takes it


class Picture(NamedTuple):
    """number: of the photo; camera from the photo's place; rgb [h,w,3] and matte [h,w] float32."""

    number: int
    camera: Camera
    rgb: Tensor
    matte: Tensor

    def over(self, background: Tensor) -> Tensor:
        """[h,w,3]: the person over a background [3]."""
        part = self.matte[..., None]
        return self.rgb * part + background * (1 - part)


def pictures(number: int, photo: FittedPhoto, person: int, face: int) -> list[Picture]:
    """One picture or two, at most `person` and `face` pixels high; none where the matte is empty."""
    solid = photo.seen.matte > 0.5
    if not solid.any():
        return []
    body = Box.of_mask(solid).inside(*photo.seen.size)
    made = [_picture(number, photo, body, person)]
    closer = _face_box(photo)
    if closer is not None and closer.height < SMALL * body.height and min(closer.sides[2:]) > 0:
        made.append(_picture(number, photo, closer, face))
    return made


def on(value, device: str | torch.device):
    """A value, and the tensors in it and in the tuples and lists that it is made of, on a device."""
    if isinstance(value, Tensor | Gaussians):
        return value.to(device)
    if isinstance(value, list):
        return [on(part, device) for part in value]
    if isinstance(value, tuple):
        parts = [on(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def difference(drawn: Tensor, target: Tensor) -> Tensor:
    """0.8 L1 + 0.2 (1 - SSIM) of pictures [h,w,3], as 3DGS is trained (Kerbl et al. 2023, eq. 7)."""
    return 0.8 * (drawn - target).abs().mean() + 0.2 * (1 - ssim(drawn[None], target[None]))


def _face_box(photo: FittedPhoto) -> Box | None:
    if photo.seen.face is None:
        return None
    points = photo.seen.face.points[:, :2]
    x, y = (points.min(0) + points.max(0)) / 2
    size = (points.max(0) - points.min(0)).max()
    aside, up = ABOUT_FACE
    box = Box.around(x, y, 2 * up * size, 2 * aside * size).inside(*photo.seen.size)
    return box if min(box.width, box.height) > 16 else None


def _picture(number: int, photo: FittedPhoto, box: Box, height: int) -> Picture:
    scale = min(1.0, height / box.height)
    size = max(2, round(box.height * scale)), max(2, round(box.width * scale))
    K = photo.fit.K.copy()
    K[:2, 2] -= box.left, box.top
    K[:2] *= np.array([[size[1] / box.width], [size[0] / box.height]])
    small = crop(np.dstack([photo.seen.rgb, photo.seen.matte]), box, *size, 0.0).astype(np.float32)
    matte = np.clip((small[..., 3] - FAINT) / (SOLID - FAINT), 0, 1)
    rgb = np.ascontiguousarray(small[..., :3])
    return Picture(number, Camera(np.eye(4), K, size[1], size[0]), *map(torch.from_numpy, (rgb, matte)))
