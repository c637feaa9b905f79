# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads environment maps: OpenEXR and Radiance HDR by FFmpeg, PNG, JPEG, TIFF and WebP by Pillow.

Files are not trusted: their size, and the pixels that they claim, are bounded before anything is decoded, and
FFmpeg opens these two formats alone.
"""

import re
import struct
from pathlib import Path

import numpy as np

from .. import exr
from ..errors import UserError
from ..srgb import linear_of
from .environment import Environment, cleaned

MOST_BYTES = 1 << 30
MOST_PIXELS = 1 << 26  # 11,585 x 5,792; decoded, 16 bytes each
EXR, HDR = b"\x76\x2f\x31\x01", (b"#?RADIANCE", b"#?RGBE")
OPTIONS = {"format_whitelist": "exr_pipe,hdr_pipe", "protocol_whitelist": "file"}
PLANES = {"gbrp": "GBR", "gbrap": "GBRA", "gray": "Y", "graya": "YA"}
REMEDY = "Use an equirectangular OpenEXR or HDR picture, for instance of 4096 x 2048 pixels."


class EnvironmentFileError(UserError):
    """An environment map that cannot be read."""


def load_environment(path: str | Path) -> tuple[Environment, list[str]]:
    """The map in a file, and a sentence for everything odd about it: values that are no light, a shape that
    is not 2:1, colours of 8 bits. EnvironmentFileError where it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise EnvironmentFileError(f"There is no environment map {path.name}.", REMEDY)
    if path.stat().st_size > MOST_BYTES:
        raise EnvironmentFileError(f"{path.name} is larger than 1 GB.", REMEDY)
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if start.startswith(EXR) or start.startswith(HDR):
        size = _exr_size(start) if start.startswith(EXR) else _hdr_size(start)
        _check_size(path, size)
        if start.startswith(EXR) and exr.is_cut_off(path):
            raise EnvironmentFileError(f"{path.name} is damaged: a part of it is missing.", REMEDY)
        pixels, remarks = _by_ffmpeg(path, size), []
    else:
        pixels = _by_pillow(path)
        remarks = ["It is no HDR picture: no light in it is brighter than white."]
    pixels, faults = cleaned(pixels)
    return Environment(pixels), [*remarks, *faults]


def _check_size(path: Path, size: tuple[int, int] | None) -> None:
    if size is None or min(size) < 1:
        raise EnvironmentFileError(f"{path.name} is damaged.", REMEDY)
    if size[0] * size[1] > MOST_PIXELS:
        raise EnvironmentFileError(f"{path.name} is too large: {size[0]} x {size[1]} pixels.", REMEDY)


def _exr_size(start: bytes) -> tuple[int, int] | None:
    """The largest width and height that an OpenEXR header claims; None where it claims none."""
    boxes = re.findall(rb"(?:dataWindow|displayWindow)\x00box2i\x00\x10\x00\x00\x00(.{16})", start, re.DOTALL)
    corners = np.array([struct.unpack("<4i", box) for box in boxes], np.int64).reshape(-1, 4)
    return tuple((corners[:, 2:] - corners[:, :2] + 1).max(0).tolist()) if len(corners) else None


def _hdr_size(start: bytes) -> tuple[int, int] | None:
    found = re.search(rb"[-+]Y (\d{1,9}) [-+]X (\d{1,9})", start)
    return found and (int(found[2]), int(found[1]))


def _by_ffmpeg(path: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        import av
    except ImportError as error:
        raise EnvironmentFileError(
            "OpenEXR and HDR pictures are read with PyAV, which is not installed.", "Use a PNG picture."
        ) from error
    try:
        with av.open(str(path.absolute()), options=OPTIONS) as container:
            frame = next(container.decode(video=0))
            if frame.width * frame.height > MOST_PIXELS:
                raise EnvironmentFileError(f"{path.name} is too large.", REMEDY)
            planes = _planes(frame)
    except (av.FFmpegError, StopIteration, IndexError, KeyError, ValueError) as error:
        raise EnvironmentFileError(f"{path.name} is damaged or cannot be read.", REMEDY) from error
    return np.stack([planes.get(c, planes.get("Y")) for c in "RGB"], -1)


def _planes(frame) -> dict[str, np.ndarray]:
    """float32 [H,W] by the channel's letter; KeyError for a layout that is not known."""
    layout, kind = re.fullmatch(r"([a-z]+)f(16|32)le", frame.format.name).groups()
    dtype = np.dtype(f"<f{int(kind) // 8}")
    planes = {}
    for letter, plane in zip(PLANES[layout], frame.planes, strict=False):
        rows = np.frombuffer(plane, dtype).reshape(frame.height, plane.line_size // dtype.itemsize)
        planes[letter] = rows[:, : frame.width].astype(np.float32)
    return planes


def _by_pillow(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG", "JPEG", "TIFF", "WEBP"]) as image:
            _check_size(path, image.size)
            encoded = np.asarray(image.convert("RGB"), np.float32) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise EnvironmentFileError(f"{path.name} is no picture, or damaged.", REMEDY) from error
    return linear_of(encoded)
