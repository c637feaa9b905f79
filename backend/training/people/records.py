# SPDX-License-Identifier: GPL-3.0-or-later
"""Small byte strings for what a record of a synthetic person holds: pictures as PNG, template maps as packed
deltas.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image

from ...body.template import load_template
from ...errors import UserError

AGAIN = "Delete the shard and make it again."
STEP = 0.0005  # metres: the resolution of a stored template map


def map_origin() -> np.ndarray:
    """Lower corner [3] float64 of the box that holds every point of the mean template, one centimetre to
    spare.
    """
    return load_template().vertices.min(0).astype(np.float64) - 0.01


def quantise_map(template_map: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Template map [H, W, 3] metres -> [H, W, 3] uint16 in units of `STEP` from `map_origin`, 0 where alpha
    is 0.
    """
    steps = np.rint((template_map.astype(np.float64) - map_origin()) / STEP)
    return np.where(alpha[..., None] > 0, np.clip(steps, 1, 65535), 0).astype(np.uint16)


def restore_map(steps: np.ndarray) -> np.ndarray:
    """The inverse of `quantise_map`: float32 metres, 0 where nothing was stored."""
    points = (steps * np.float32(STEP) + map_origin().astype(np.float32)).astype(np.float32)
    return np.where(steps > 0, points, np.float32(0))


def pack_picture(rgba: np.ndarray) -> bytes:
    """[H, W, 4] uint8 -> PNG."""
    file = io.BytesIO()
    Image.fromarray(rgba, "RGBA").save(file, "PNG", compress_level=4)
    return file.getvalue()


def unpack_picture(data: bytes) -> np.ndarray:
    """Inverse of `pack_picture`. UserError where the bytes are no PNG."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.array(image)
    except Exception as error:  # Pillow's decoders raise anything on broken files
        raise UserError("A picture of the records is damaged.", AGAIN) from error


def pack_map(steps: np.ndarray) -> bytes:
    """[H, W, 3] uint16 -> zlib of the differences along rows, high and low bytes apart."""
    deltas = np.diff(steps, axis=1, prepend=np.uint16(0)).transpose(2, 0, 1)  # wraps round, as intended
    planes = np.ascontiguousarray(deltas).view(np.uint8).reshape(-1, 2)
    return zlib.compress(np.ascontiguousarray(planes.T).tobytes(), 5)


def unpack_map(data: bytes, height: int, width: int) -> np.ndarray:
    """Inverse of `pack_map`. UserError where the bytes are no map of that size."""
    size = 6 * height * width
    try:
        raw = zlib.decompressobj().decompress(data, size + 1)  # no more than a map has, whatever is packed
    except zlib.error:
        raw = b""
    if len(raw) != size:
        raise UserError("A template map of the records is damaged.", AGAIN)
    planes = np.frombuffer(raw, np.uint8).reshape(2, -1)
    deltas = np.ascontiguousarray(planes.T).view(np.uint16).reshape(3, height, width)
    return np.cumsum(deltas, axis=2, dtype=np.uint16).transpose(1, 2, 0)
