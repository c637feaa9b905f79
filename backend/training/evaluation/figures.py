# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of what a network makes, for people to judge: photos beside avatars and truth; an avatar's face
and hands through all they can do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ...avatar import Avatar, Signal
from ...body.arkit import ARKIT_NAMES
from ...body.pose import joint_transforms
from ...body.template import load_template
from ...raster import rasterize
from ..network.losses import over
from ..people.cameras import body_extent, frame
from ..people.expressions import expression, with_gaze
from ..people.figure import Figure
from .evaluate import Subject, picture, truth

PAPER, INK = (255, 255, 255), (60, 60, 60)
TEXT = 16  # pixels of a line
PHOTOS = 4  # shown of each person
FACE_CAMERA, HAND_CAMERA = np.array([0.15, -1.2, 0.02]), np.array([0.1, -0.9, 0.05])  # metres from the middle
OPENED = ("mouthClose",)  # shapes that say nothing while the mouth is closed
GAZES = {
    "up, right": (-0.4, 0.3), "up": (0, 0.3), "up, left": (0.4, 0.3), "right": (-0.4, 0), "ahead": (0, 0),
    "left": (0.4, 0), "down, right": (-0.4, -0.3), "down": (0, -0.3), "down, left": (0.4, -0.3),
}  # fmt: skip
HANDS = {  # curls from index to pinky, spread in degrees, thumb
    "flat": (0.0, 0.0, 0.0), "spread": (0.0, 10.0, 0.0), "relaxed": (0.25, 0.0, 0.2),
    "pointing": ([0.0, 0.85, 0.9, 0.9], 0.0, 0.6), "fist": (1.0, 0.0, 1.0), "thumb up": (1.0, 0.0, 0.0),
}  # fmt: skip


def people_figure(path: str | Path, subjects: Sequence[Subject], people: int = 8) -> None:
    """A PNG, a row per person: photos, then own and truth at body scale and at face scale, new poses."""
    shown = subjects[:people]
    height, width = shown[0].record["rgba"].shape[1:3]
    empty = np.full((height, width, 3), 255, np.uint8)
    names = ["photo"] * PHOTOS + ["avatar", "truth", "avatar", "truth"]
    rows = []
    for subject in shown:
        record = subject.record
        row = [record["rgba"][v, ..., :3] for v in subject.photos[:PHOTOS]]
        row += [empty] * (PHOTOS - len(row))
        is_face = record["is_face"][subject.targets].astype(bool)
        for kind in (~is_face, is_face):
            views = subject.targets[kind][:1]
            for view in views:
                own = picture(subject.avatar, record, view)
                row += [_pixels(own, 0.5), _pixels(truth(record, view), 0.5)]
            row += [empty] * (2 - 2 * len(views))
        rows.append(row)
    _save(path, [picture for row in rows for picture in row], names * len(rows), len(names))


def expression_figure(path: str | Path, avatar: Avatar, size: int = 160) -> None:
    """A PNG of an avatar's neutral face, the 52 expressions one by one at full weight (mouthClose with the
    jaw open), gaze in nine directions, and hands.
    """
    pictures, names = [_face(avatar, np.zeros(52, np.float32), np.zeros((2, 2)), size)], ["neutral"]
    for name in ARKIT_NAMES:
        weights = expression({name: 1.0, **({"jawOpen": 1.0} if name in OPENED else {})})
        pictures.append(_face(avatar, weights, np.zeros((2, 2)), size))
        names.append(name)
    for name, angles in GAZES.items():
        gaze = np.array([angles, angles], np.float32)
        pictures.append(_face(avatar, with_gaze(np.zeros(52), gaze), gaze, size))
        names.append(f"looks {name}")
    for name, (curls, spread, thumb) in HANDS.items():
        pictures.append(_hand(avatar, curls, spread, thumb, size))
        names.append(f"hand: {name}")
    _save(path, pictures, names, 10)


def _render(avatar: Avatar, transforms: np.ndarray, weights, gaze, points, eye, size: int) -> np.ndarray:
    values = (transforms, weights, gaze)
    signal = Signal(*(torch.from_numpy(np.asarray(value, np.float32)) for value in values))
    with torch.no_grad():
        return _pixels(rasterize(avatar.drive(signal), frame(points, eye, size, size))["combined"], 1.0)


def _face(avatar: Avatar, weights, gaze, size: int) -> np.ndarray:
    transforms = np.tile(np.eye(4), (len(avatar.joint_names), 1, 1))
    points = body_extent(transforms, "head")
    points = points.mean(0) + 0.8 * (points - points.mean(0))  # without the hair
    return _render(avatar, transforms, weights, gaze, points, points.mean(0) + FACE_CAMERA, size)


def _hand(avatar: Avatar, curls, spread: float, thumb: float, size: int) -> np.ndarray:
    """The left hand, raised beside the body, its palm to the viewer."""
    figure = Figure()
    figure.reach("L", (0.42, -0.18, 1.6), (0.8, 0.4, -1.0))
    figure.palm_towards("L", (0, -1, 0))
    figure.fingers("L", curls, spread, thumb)
    pose, template = figure.finish(), load_template()
    transforms = np.asarray(joint_transforms(template, pose.rotations, pose.root), np.float64)
    parts = [n for n, name in enumerate(template.joint_names) if name[-3:] in ("1.L", "2.L", "3.L")]
    ends = np.concatenate([template.joint_heads[parts], template.joint_tails[parts]]).astype(np.float64)
    moved = transforms[parts * 2]
    points = np.einsum("jab,jb->ja", moved[:, :3, :3], ends) + moved[:, :3, 3]
    points = np.concatenate([points - 0.03, points + 0.03])
    zeros = np.zeros((2, 2))
    return _render(avatar, transforms, np.zeros(52), zeros, points, points.mean(0) + HAND_CAMERA, size)


def _pixels(premultiplied: torch.Tensor, grey: float) -> np.ndarray:
    """uint8 [H,W,3] over a grey."""
    return (over(premultiplied, torch.tensor(grey)).clamp(0, 1) * 255).round().byte().numpy()


def _save(path: str | Path, pictures: list[np.ndarray], names: list[str], columns: int) -> None:
    """Pictures of one size with their names below, in rows."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + 4), rows * (height + TEXT + 4)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for n, (pixels, name) in enumerate(zip(pictures, names, strict=True)):
        left, top = n % columns * (width + 4) + 2, n // columns * (height + TEXT + 4) + 2
        sheet.paste(Image.fromarray(pixels), (left, top))
        draw.text((left + width // 2, top + height + 1), name, INK, font, anchor="ma")
    sheet.save(path, "PNG", optimize=True)
