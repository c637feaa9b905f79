# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands behind the synthetic people: procedural patterns, and parts of pictures without people.

`python -m lca_blender.backend.training.people.surroundings --panoramas DIR --out DIR` turns environment maps
(such as the CC0 ones in Blender's `datafiles/studiolights/world`) into pictures for `Backgrounds`.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import UserError
from ...srgb import encoded_of
from .backgrounds import compose_background
from .textures import TextureBank


class Backgrounds:
    """Draws backgrounds: parts of the JPEG and PNG pictures in `folder` if one is given, textured surfaces
    with things in front of them, and the plain ones of the people's own backgrounds.
    """

    def __init__(self, folder: Path | None, seed: int = 0):
        files = sorted(folder.iterdir()) if folder else []
        self.pictures = [_picture(file) for file in files if file.suffix in (".jpg", ".png")]
        self.textures = TextureBank(np.random.default_rng([seed, 5]))
        self.put_thing = self.textures.put_thing

    def __call__(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """uint8 [H,W,3]"""
        kind = rng.random()
        if kind < 0.2:
            return compose_background(rng, np.zeros((height, width, 4), np.uint8))[..., :3]
        if kind < 0.55 or not self.pictures:
            return self.textures.scene(rng, None, height, width)
        picture = self._part_of_a_picture(rng, height, width)
        return self.textures.scene(rng, picture, height, width) if kind < 0.75 else picture

    def _part_of_a_picture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        picture = self.pictures[rng.integers(len(self.pictures))]
        limit = min(picture.height, picture.width * height / width)
        h = limit * math.exp(rng.uniform(math.log(0.3), 0))
        w = h * width / height
        left, top = rng.uniform(0, picture.width - w), rng.uniform(0, picture.height - h)
        part = picture.resize((width, height), Image.BILINEAR, box=(left, top, left + w, top + h))
        return np.array(part)[:, :: 1 if rng.random() < 0.5 else -1]


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise anything on broken files
        raise UserError(f"{path.name} is no JPEG or PNG picture.", "Take it out of the folder.") from error


def develop(radiance: np.ndarray) -> np.ndarray:
    """Linear radiance [H,W,3] -> sRGB in 0..1, exposed so that the brighter half is mid-grey, highlights
    rolled off.
    """
    x = radiance / max(float(np.percentile(radiance, 60)), 1e-6) * 0.35
    x = np.clip(1.2 * x / (1 + 0.5 * x), 0, 1)
    return encoded_of(x)


def perspective(panorama: np.ndarray, yaw: float, pitch: float, fov: float, size: int) -> np.ndarray:
    """A square perspective picture [size,size,3] out of an equirectangular panorama [H,W,3]; angles in
    radians.
    """
    height, width = panorama.shape[:2]
    u = ((np.arange(size) + 0.5) / size * 2 - 1) * np.tan(fov / 2)
    x, y = np.meshgrid(u, -u)
    c, s = np.cos(pitch), np.sin(pitch)
    up, ahead = y * c + s, c - y * s
    longitude = np.arctan2(x, ahead) + yaw
    latitude = np.arctan2(up, np.hypot(x, ahead))
    column = (longitude / (2 * np.pi)) % 1 * width - 0.5
    row = (0.5 - latitude / np.pi) * height - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    fx, fy = (column - left)[..., None], (row - top)[..., None]

    def at(r, c):
        return panorama[np.clip(r, 0, height - 1), c % width]

    upper = at(top, left) * (1 - fx) + at(top, left + 1) * fx
    lower = at(top + 1, left) * (1 - fx) + at(top + 1, left + 1) * fx
    return upper * (1 - fy) + lower * fy


def read_radiance(path: Path) -> np.ndarray:
    """float32 [H,W,3] of an OpenEXR or Radiance file, through FFmpeg."""
    import av  # late: only panoramas need it

    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.to_ndarray() if "f32" in frame.format.name else frame.to_ndarray(format="gbrpf32le")


def write_views(panoramas: Path, out: Path, skip: set[str], count: int = 12, size: int = 640) -> int:
    """`count` pictures round every panorama of a folder; returns how many were written."""
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for path in sorted(panoramas.glob("*.exr")) + sorted(panoramas.glob("*.hdr")):
        if path.stem in skip:
            continue
        picture = develop(read_radiance(path))
        for index in range(count):
            pitch = np.radians((-18, 0, 12)[index % 3])
            view = perspective(picture, 2 * np.pi * index / count, pitch, np.radians(75), size)
            Image.fromarray((view * 255).astype(np.uint8)).save(
                out / f"{path.stem}_{index:02d}.jpg", quality=90
            )
            written += 1
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pictures for the correspondence network's backgrounds")
    parser.add_argument(
        "--panoramas", type=Path, required=True, help="folder of .exr or .hdr environment maps"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--skip", nargs="*", default=[], help="names of panoramas that show people (sunset)")
    arguments = parser.parse_args()
    print(write_views(arguments.panoramas, arguments.out, set(arguments.skip)), "pictures")
