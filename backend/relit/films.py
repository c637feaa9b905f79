# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures to an H.264 MP4 that every player opens."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from PIL import Image


def write_mp4(pictures: Iterable[Image.Image], path: Path, fps: float) -> None:
    """Encodes RGB pictures of one size in order; an odd row or column at the end is left out."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = None
        for picture in pictures:
            if stream is None:
                rate = Fraction(fps).limit_denominator(1001)
                stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
                stream.width, stream.height = (max(side // 2 * 2, 2) for side in picture.size)
                stream.pix_fmt = "yuv420p"
            box = (0, 0, stream.width, stream.height)
            container.mux(stream.encode(av.VideoFrame.from_image(picture.convert("RGB").crop(box))))
        if stream is None:
            raise ValueError("There is no picture.")
        container.mux(stream.encode(None))
