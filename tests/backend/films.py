# SPDX-License-Identifier: GPL-3.0-or-later
"""Films for the tests: written, filmed of a turning synthetic person, and marked as a phone does."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from lca_blender.backend.training.people import poses
from lca_blender.backend.training.people.cameras import body_extent, frame
from lca_blender.backend.training.people.lights import direction, neutral_light
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import pose_person, render_posed
from scipy.ndimage import uniform_filter1d
from skimage.data import brick

RATE = 10
HEIGHT, WIDTH = 480, 270


def write_movie(path, frames, rate=RATE, codec="libx264", seconds=None):
    """Frames uint8 [H,W,3] at a rate, or at `seconds` of their own."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        if seconds is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(frames):
            encoded = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            if seconds is not None:
                encoded.pts, encoded.time_base = round(seconds[number] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(encoded))
        container.mux(stream.encode(None))
    return path


def held_upright(path: Path) -> Path:
    """Marks an MP4 file as filmed by a phone that was turned: to be shown a quarter turn clockwise."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # ISO 14496-12, TrackHeaderBox of version 0
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@dataclass(frozen=True)
class Turning:
    """Pictures of a person from around, rgba uint8 [n,H,W,4], the azimuths evenly spread."""

    rgba: np.ndarray

    def before_wall(self, number: int, blur: int = 0) -> np.ndarray:
        """uint8 [H,W,3]: one picture before a sharp wall, the person blurred across by motion."""
        rgba = self.rgba[number % len(self.rgba)].astype(np.float64) / 255
        premultiplied = np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1)
        if blur:
            premultiplied = uniform_filter1d(premultiplied, blur, axis=1)
        wall = brick()[:HEIGHT, :WIDTH, None] / 255 * (0.9, 0.8, 0.75)
        mixed = premultiplied[..., :3] + wall * (1 - premultiplied[..., 3:])
        return (mixed.clip(0, 1) * 255).astype(np.uint8)


def turning_person(number: int = 1_000_011, count: int = 24) -> Turning:
    person, rng = sample_person(number), np.random.default_rng(3)
    pose = poses.standing(rng)
    posed = pose_person(person, pose.rotations, root=pose.root)
    points = body_extent(posed.transforms, "body")
    views = []
    for azimuth in np.arange(count) * 360 / count:
        eye = points.mean(0) + 3.6 * direction(azimuth, 3.0)
        camera = frame(points, eye, WIDTH, HEIGHT, 0.86)
        views.append(render_posed(person, posed, camera, neutral_light()).rgba)
    return Turning(np.stack(views))
