# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads OpenEXR pictures of scanlines as Blender writes them, parts, layers and all, and tells damaged ones.

After https://openexr.com/en/latest/OpenEXRFileLayout.html. Zipped data carry a checksum, so that what is
read without an error is what was written. Files are not trusted: nothing larger than a file's own chunks is
made of them.
"""

import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAGIC = b"\x76\x2f\x31\x01"
TILED, DEEP, PARTS = 0x200, 0x800, 0x1000  # flags of a file
LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}  # a chunk's, by compression
RAW, ZIPS, ZIP = 0, 2, 3  # the compressions that pixels are read of
TYPES = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
MOST_PIXELS = 1 << 28
MOST_CHANNELS = 1024


class Part(NamedTuple):
    """One picture of a file: name, channels as (name, dtype) in the order of their data, width and height in
    pixels, its first row's number, its compression, and for each chunk where in the file its data begin and
    end, and its first row's number."""

    name: str
    channels: list[tuple[str, np.dtype]]
    width: int
    height: int
    top: int
    compression: int
    chunks: list[tuple[int, int, int]]


def parts(data: bytes) -> list[Part]:
    """The pictures of a file whose chunks all lie within it. ValueError for a damaged file, and for tiles and
    deep data, which are not read."""
    try:
        return _parts(data)
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError("The OpenEXR file is damaged.") from error


def is_cut_off(path: Path) -> bool:
    """Whether a picture of scanlines lacks some of its chunks, whatever its compression; False for tiles."""
    data = path.read_bytes()
    if len(data) < 8 or struct.unpack_from("<I", data, 4)[0] & (TILED | DEEP):
        return len(data) < 8
    try:
        parts(data)
    except ValueError:
        return True
    return False


def read(path: Path, wanted: Callable[[str], bool] = bool) -> dict[str, np.ndarray]:
    """Channels [H,W] by name, row 0 at the top, in the file's dtype (float16, float32, uint32), of all parts:
    those whose name is wanted. ValueError for a damaged file, and one that is not read."""
    data = path.read_bytes()
    found: dict[str, np.ndarray] = {}
    for one in parts(data):
        if any(wanted(name) for name, _ in one.channels):
            found |= {name: values for name, values in _pixels(data, one).items() if wanted(name)}
    return found


def check(path: Path) -> tuple[int, int]:
    """Reads a file to its last byte, without keeping it: width and height in pixels. ValueError where it is
    damaged, or not read."""
    data = path.read_bytes()
    found = parts(data)
    if not found:
        raise ValueError("The OpenEXR file holds no picture.")
    for one in found:
        for chunk in one.chunks:
            _unpacked(data, one, chunk)
    return found[0].width, found[0].height


def _parts(data: bytes) -> list[Part]:
    magic, flags = struct.unpack_from("<4sI", data)
    if magic != MAGIC or flags & (TILED | DEEP):
        raise ValueError("This is no OpenEXR picture of scanlines.")
    several = bool(flags & PARTS)
    headers, at = [], 8
    while True:
        header, at = _header(data, at)
        if header:
            headers.append(header)
        if not several or not header:
            break
    found = []
    for number, header in enumerate(headers):
        part = _part(header)
        lines = LINES[part.compression]
        count = math.ceil(part.height / lines)
        if count * 8 > len(data) - at:
            raise ValueError("The OpenEXR file is damaged.")
        offsets = struct.unpack_from(f"<{count}Q", data, at)
        at += 8 * count
        for index, offset in enumerate(offsets):
            part.chunks.append(_chunk(data, offset, number if several else None))
            if part.chunks[-1][2] != part.top + index * lines:
                raise ValueError("The OpenEXR file is damaged.")
        found.append(part)
    return found


def _header(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    header = {}
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        if not 0 <= size <= len(data) - at - 4:
            raise ValueError("The OpenEXR file is damaged.")
        header[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return header, at + 1


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at, at + 256)
    if end < 0:
        raise ValueError("The OpenEXR file is damaged.")
    return data[at:end].decode("utf-8"), end + 1


def _part(header: dict[str, bytes]) -> Part:
    left, top, right, bottom = struct.unpack("<4i", header["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    if min(width, height) < 1 or width * height > MOST_PIXELS:
        raise ValueError("The OpenEXR file is damaged.")
    channels, at, listed = [], 0, header["channels"]
    while listed[at]:
        name, at = _text(listed, at)
        kind, across, down = struct.unpack_from("<i4x2i", listed, at)
        if (across, down) != (1, 1) or len(channels) == MOST_CHANNELS:
            raise ValueError("The OpenEXR file's channels are not read.")
        channels.append((name, TYPES[kind]))
        at += 16
    name = header.get("name", b"").decode("utf-8")
    return Part(name, channels, width, height, top, header["compression"][0], [])


def _chunk(data: bytes, offset: int, part: int | None) -> tuple[int, int, int]:
    if part is not None:
        if struct.unpack_from("<i", data, offset)[0] != part:
            raise ValueError("The OpenEXR file is damaged.")
        offset += 4
    row, size = struct.unpack_from("<2i", data, offset)
    if not 0 <= size <= len(data) - offset - 8:
        raise ValueError("The OpenEXR file is cut off.")
    return offset + 8, offset + 8 + size, row


def _unpacked(data: bytes, part: Part, chunk: tuple[int, int, int]) -> tuple[bytes, bool, int]:
    """A chunk's bytes, whether they are still to be put in order, and its number of rows."""
    begin, end, row = chunk
    rows = min(LINES[part.compression], part.top + part.height - row)
    size = rows * part.width * sum(kind.itemsize for _, kind in part.channels)
    packed = data[begin:end]
    if len(packed) == size:  # stored as it is where packing does not make it smaller
        return packed, False, rows
    if part.compression not in (ZIPS, ZIP):
        raise ValueError("The OpenEXR file is damaged, or its compression is not read.")
    unzip = zlib.decompressobj()
    try:
        plain = unzip.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError("The OpenEXR file is damaged.") from error
    if len(plain) != size or not unzip.eof:
        raise ValueError("The OpenEXR file is damaged.")
    return plain, True, rows


def _pixels(data: bytes, part: Part) -> dict[str, np.ndarray]:
    found = {name: np.zeros((part.height, part.width), kind) for name, kind in part.channels}
    for chunk in part.chunks:
        plain, packed, rows = _unpacked(data, part, chunk)
        lines = np.frombuffer(_ordered(plain) if packed else plain, np.uint8).reshape(rows, -1)
        first, column = chunk[2] - part.top, 0
        for name, kind in part.channels:
            width = part.width * kind.itemsize
            values = np.ascontiguousarray(lines[:, column : column + width]).view(kind)
            found[name][first : first + rows] = values
            column += width
    return found


def _ordered(plain: bytes) -> bytes:
    """Undoes what is done before zipping: differences of bytes, and even and odd bytes apart."""
    steps = np.frombuffer(plain, np.uint8).copy()
    steps[1:] -= 128
    values = np.cumsum(steps, dtype=np.uint8)
    half = (len(values) + 1) // 2
    ordered = np.empty_like(values)
    ordered[0::2], ordered[1::2] = values[:half], values[half:]
    return ordered.tobytes()
