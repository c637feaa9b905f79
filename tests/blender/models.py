# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny network with random weights, written through the real saver, and photos to show it."""

from dataclasses import replace

import av
import numpy as np
import torch
from lca_blender.backend.model.checkpoint import save_model
from lca_blender.backend.model.config import preset
from lca_blender.backend.model.lca import LCA
from PIL import Image
from skimage.data import astronaut, brick


def write_model(path):
    """A starter network made small, with the weights it begins with."""
    small = {"width": 64, "layers": 1, "heads": 4, "global_width": 16, "tokens": 192}
    small |= {"encoder_width": 48, "encoder_heads": 4, "pixel_heads": 4, "gaussians_per_token": 16}
    torch.manual_seed(1)
    save_model(path, LCA(replace(preset("starter"), name="tiny", **small)))
    return path


def write_photos(folder, count):
    """The astronaut, each time a little darker."""
    paths = []
    for number in range(count):
        paths.append(folder / f"photo_{number:03d}.png")
        Image.fromarray((astronaut() * (1 - 0.01 * number)).astype(np.uint8)).save(paths[-1])
    return paths


def write_film(path, count=6, picture=None):
    """The astronaut, or another picture [H,W,3], moved and made larger from frame to frame."""
    picture = astronaut() if picture is None else picture
    high, wide = (side // 2 * 2 for side in picture.shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = high, wide, "yuv420p"
        for number in range(count):
            margin = 60 - 60 * number // count
            padded = np.pad(picture[:high, :wide], ((margin, margin), (2 * margin, 0), (0, 0)), "edge")
            shrunk = Image.fromarray(padded).resize((wide, high))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(shrunk), "rgb24")))
        container.mux(stream.encode(None))
    return path


def write_walls(folder, count):
    """Pictures of nobody."""
    paths = []
    for number in range(count):
        paths.append(folder / f"wall_{number:03d}.png")
        Image.fromarray(np.roll(brick(), number, 0)).save(paths[-1])
    return paths
