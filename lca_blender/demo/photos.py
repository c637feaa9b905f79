# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs of a synthetic person, and the avatar rendered into the same poses to be compared with them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..backend.avatar import Avatar, Signal
from ..backend.raster import Camera, rasterize
from ..backend.training.people import poses
from ..backend.training.people.cameras import body_extent, frame
from ..backend.training.people.lights import direction, neutral_light
from ..backend.training.people.person import sample_person
from ..backend.training.people.render import View, pose_person, render_posed

DEFAULT_SEED = 1_000_011
WIDTH, HEIGHT = 768, 1024
BACKDROP = 0.735  # sRGB grey behind the avatar where it is compared
SHOTS = (  # what is framed, azimuth in degrees from the front towards the person's left, metres away
    ("body", 8, 3.6),
    ("body", 78, 3.6),
    ("body", 186, 3.6),
    ("bust", -12, 1.6),
)


@dataclass(frozen=True)
class Truth:
    """Ground truth of a photo, which creation does not use."""

    view: View
    camera: Camera


def photograph(seed: int, folder: Path) -> tuple[list[Path], list[Truth]]:
    """Takes three photos of the body and a portrait of a person that training never saw."""
    folder.mkdir(parents=True, exist_ok=True)
    person, rng = sample_person(seed), np.random.default_rng(seed)
    files, truths = [], []
    for number, (region, azimuth, distance) in enumerate(SHOTS):
        pose = poses.standing(rng)
        posed = pose_person(person, pose.rotations, root=pose.root)
        points = body_extent(posed.transforms, region)
        eye = points.mean(0) + distance * direction(azimuth, 3.0)
        camera = frame(points, eye, WIDTH, HEIGHT, 0.86)
        view = render_posed(person, posed, camera, neutral_light())
        files.append(folder / f"photo_{number + 1}.png")
        Image.fromarray(before_a_wall(rng, view.rgba)).save(files[-1])
        truths.append(Truth(view, camera))
    return files, truths


def before_a_wall(rng: np.random.Generator, rgba: np.ndarray) -> np.ndarray:
    """Puts the person [H, W, 4] uint8 into a room: a wall lit from one side, a darker floor -> [H, W, 3]."""
    height, width = rgba.shape[:2]
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    wall = rng.uniform(0.55, 0.8) + rng.uniform(-0.06, 0.06, 3)
    light = 1 + rng.uniform(-0.2, 0.2) * (columns - 0.5) - 0.15 * rows
    floor = 1 / (1 + np.exp((0.83 - rows) * 120))
    room = wall * (light * (1 - 0.35 * floor))[..., None] * 255
    alpha = rgba[..., 3:].astype(np.float32) / 255
    grain = rng.normal(0, 2.0, (*rgba.shape[:2], 1))
    return np.clip(rgba[..., :3] * alpha + room * (1 - alpha) + grain, 0, 255).astype(np.uint8)


def render_again(avatar: Avatar, truths: list[Truth], folder: Path) -> tuple[list[Path], list[float]]:
    """Renders the avatar as each photo shows the person: pictures, and PSNR in dB on the person's pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    files, psnr = [], []
    for number, truth in enumerate(truths):
        signal = Signal(torch.from_numpy(truth.view.transforms), torch.zeros(52), torch.zeros(2, 2))
        image = rasterize(avatar.drive(signal), truth.camera, background=torch.full((3,), BACKDROP))
        rendered = image["combined"][..., :3].clamp(0, 1).numpy()
        files.append(folder / f"again_{number + 1}.png")
        Image.fromarray((rendered * 255 + 0.5).astype(np.uint8)).save(files[-1])
        rgba = truth.view.rgba.astype(np.float32) / 255
        alpha = rgba[..., 3:]
        error = (rendered - rgba[..., :3] * alpha - BACKDROP * (1 - alpha))[alpha[..., 0] > 0.5]
        psnr.append(round(float(-10 * np.log10(np.mean(error**2))), 2))
    return files, psnr
