# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG frames to an H.264 MP4 that every player opens."""

from fractions import Fraction
from pathlib import Path

import av
from PIL import Image


def write_mp4(frames: list[Path], path: Path, fps: int) -> None:
    """Encodes the pictures in order; their sizes must be even and equal."""
    with av.open(str(path), "w") as container, Image.open(frames[0]) as first:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for path in frames:
            with Image.open(path) as picture:
                container.mux(stream.encode(av.VideoFrame.from_image(picture.convert("RGB"))))
        container.mux(stream.encode(None))
