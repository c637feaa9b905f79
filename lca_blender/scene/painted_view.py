# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of an avatar to paint on: an image data-block whose text `Image.lca_view` says from where and in
which pose it shows the avatar, and what it showed before it was painted on.
"""

import base64
import binascii
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import bpy
import numpy as np
import torch

from ..backend.avatar import Signal
from ..backend.errors import UserError
from ..backend.raster import Camera, rasterize
from ..backend.srgb import encoded_of
from .evaluate import Bending, evaluated, one_thread, posed
from .proxy_shape import Bend

AGAIN = "Press Render View for Repaint for a new picture."


class PaintedView(NamedTuple):
    """What a picture shows: an avatar, driven and placed as `evaluate.posed` takes it, and its pixels uint8
    [h,w,4] with straight alpha, row 0 at the top."""

    camera: Camera
    signal: Signal
    world: np.ndarray
    bending: Bending | None
    picture: np.ndarray

    def splats(self, obj: bpy.types.Object, avatar):
        """The avatar's Gaussians as the picture shows them."""
        with one_thread():
            return posed(obj, avatar, self.signal, self.world, self.bending)

    def text(self) -> str:
        camera, signal = self.camera, {k: _numbers(v) for k, v in vars(self.signal).items()}
        bending = self.bending and [_numbers(a) for a in (*self.bending.bend, *self.bending[1:])]
        return json.dumps(
            {
                "camera": [_numbers(camera.viewmat), _numbers(camera.K), camera.orthographic, camera.near],
                "size": [camera.width, camera.height],
                "signal": signal,
                "world": _numbers(self.world),
                "bending": bending,
                "picture": base64.b64encode(zlib.compress(self.picture.tobytes())).decode(),
            }
        )

    @classmethod
    def read(cls, text: str) -> "PaintedView":
        """UserError for a damaged text."""
        try:
            values = json.loads(text)
            width, height = values["size"]
            viewmat, K, parallel, near = values["camera"]
            camera = Camera(viewmat, K, width, height, bool(parallel), near)
            pixels = zlib.decompressobj().decompress(base64.b64decode(values["picture"]), width * height * 4)
            picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 4)
            signal = {k: None if v is None else torch.tensor(v) for k, v in values["signal"].items()}
            bending = values["bending"] and [np.array(a, np.float32) for a in values["bending"]]
            return cls(
                camera,
                Signal(**signal),
                np.array(values["world"], np.float32).reshape(4, 4),
                bending and Bending(Bend(*bending[:2]), *bending[2:]),
                picture,
            )
        except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, AttributeError) as error:
            raise UserError("The picture no longer says how it shows the avatar.", AGAIN) from error


def painted_view(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph, camera: Camera) -> PaintedView:
    """An avatar alone as it is now, in its own colours. UserError where the camera does not see it."""
    now = evaluated(obj, depsgraph)
    with one_thread():
        drawn = rasterize(now.splats, camera)["combined"].numpy()
    alpha = drawn[..., 3:]
    if not (alpha > 0.5).any():
        raise UserError(f"“{obj.name}” is not in this view.", "Turn the view to the avatar.")
    straight = np.concatenate([drawn[..., :3] / np.maximum(alpha, 1e-6), alpha], 2)
    picture = np.round(255 * np.clip(straight, 0, 1)).astype(np.uint8)
    return PaintedView(camera, now.signal, now.world, now.bending, picture)


def pixels_of(image: bpy.types.Image) -> np.ndarray:
    """[h,w,4] sRGB with straight alpha, row 0 at the top: as painted in Blender, else as its file is now.
    UserError where there is no picture any more.
    """
    if not image.is_dirty and not image.packed_file and Path(bpy.path.abspath(image.filepath)).is_file():
        image.reload()
    width, height = image.size
    if not image.has_data or not width * height:
        raise UserError(f"The picture “{image.name}” is gone.", AGAIN)
    pixels = np.empty(height * width * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, image.channels)[::-1]
    if image.channels != 4:  # saved without alpha
        pixels = np.concatenate([pixels[..., :3], np.ones((height, width, 1), np.float32)], 2)
    if not image.is_float:
        return pixels
    rgb = pixels[..., :3] / np.maximum(pixels[..., 3:], 1e-6)
    return np.concatenate([encoded_of(np.maximum(rgb, 0)), pixels[..., 3:]], 2)


def _numbers(values) -> list | None:
    return None if values is None else np.asarray(values).tolist()
