# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny networks with random weights, written through the real savers, and photos to show them."""

from dataclasses import replace

import numpy as np
import torch
from lca_blender.backend.imaging.correspondence import HEAD_HEIGHT
from lca_blender.backend.imaging.estimator_file import save_network
from lca_blender.backend.imaging.network import CorrespondenceNetwork, NetworkConfig
from lca_blender.backend.model.checkpoint import save_model
from lca_blender.backend.model.config import preset
from lca_blender.backend.model.lca import LCA
from PIL import Image


def write_model(path):
    """A starter network made small, with the weights it begins with."""
    small = {"width": 64, "layers": 1, "heads": 4, "global_width": 16, "tokens": 192}
    small |= {"encoder_width": 48, "encoder_heads": 4, "pixel_heads": 4, "gaussians_per_token": 16}
    torch.manual_seed(1)
    save_model(path, LCA(replace(preset("starter"), name="tiny", **small)))
    return path


def write_estimator(path, sees_people):
    """A network that calls every pixel a person (or none), somewhere on the trunk, and is sure of it."""
    torch.manual_seed(2)
    network = CorrespondenceNetwork(
        NetworkConfig(widths=(8, 8, 16, 16), token_width=24, token_layers=1, token_heads=2)
    )
    with torch.no_grad():
        network.out.weight.mul_(0.1)
        network.out.bias.copy_(torch.tensor([8.0 if sees_people else -8.0, 0, 0, 0, -6, 0, 3, 3]))
    save_network(path, network, HEAD_HEIGHT)
    return path


def write_photos(folder, count):
    """Pictures with a bright figure on noise."""
    random = np.random.default_rng(5)
    paths = []
    for number in range(count):
        pixels = random.integers(0, 90, (192, 144, 3), np.uint8)
        pixels[20:180, 50:95] = random.integers(120, 255, 3)
        paths.append(folder / f"photo_{number:03d}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths
