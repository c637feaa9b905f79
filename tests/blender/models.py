# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny network with random weights, written through the real saver, and photos to show it."""

from dataclasses import replace

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


def write_walls(folder, count):
    """Pictures of nobody."""
    paths = []
    for number in range(count):
        paths.append(folder / f"wall_{number:03d}.png")
        Image.fromarray(np.roll(brick(), number, 0)).save(paths[-1])
    return paths
