# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar of photos looks like, for people to judge: the photo, the fitted body over it, the avatar in
the same pose, and the avatar from around.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...avatar import Avatar
from ...body.skeleton import INDEX
from ...body.template import load_template
from ...gaussians import Gaussians
from ...imaging.correspondence import Correspondence
from ...imaging.report import overlay
from ...likeness.photo import FittedPhoto
from ...model.create import rest_signal
from ...raster import Camera, look_at, rasterize

HEIGHT, WIDEST, PHOTOS = 400, 560, 4  # pixels of a row and of a picture in it; photos shown of one avatar
PAPER, GREY = 0.86, 0.5
SIDE = 35  # degrees
AROUND, HEAD_AROUND = (0, 45, -45, 180), (0, SIDE, -SIDE, 90)  # degrees to the person's left
MARGIN = 0.05  # of the person's height, about the person


def photo_sheet(path: Path, avatar: Avatar, found: list[Correspondence]) -> None:
    """Writes a PNG of two rows: photos, body and own pose; then body and head at rest from around."""
    shown = []
    for one in found[:PHOTOS]:
        photo = FittedPhoto.of(one.seen, one.fit)
        pictures = (_bytes(photo.seen.rgb), overlay(one), _bytes(own_pose(avatar, photo)))
        shown += [_scaled(_about(picture, photo.seen.matte)) for picture in pictures]
    _write(path, shown, avatar)


def pairs_sheet(path: Path, avatar: Avatar, photos: list[FittedPhoto]) -> None:
    """Writes a PNG of two rows: the persons of photos and, beside each, the avatar in the same pose; then as
    `photo_sheet`.
    """
    shown = []
    for photo in photos:
        for picture in (over_grey(photo), own_pose(avatar, photo)):
            shown.append(_scaled(_about(_bytes(picture), photo.seen.matte)))
    _write(path, shown, avatar)


@torch.no_grad()
def _write(path: Path, shown: list[np.ndarray], avatar: Avatar) -> None:
    gaussians = avatar.drive(rest_signal())
    rest = [body_picture(gaussians, degrees, HEIGHT) for degrees in AROUND]
    rest += [head_picture(gaussians, degrees, HEIGHT) for degrees in HEAD_AROUND]
    rows = [np.concatenate(row, 1) for row in (shown, rest)]
    width = max(row.shape[1] for row in rows)
    sheet = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(sheet)).save(path)


@torch.no_grad()
def own_pose(avatar: Avatar, photo: FittedPhoto) -> np.ndarray:
    """The avatar as the photo shows the person, float32 [H,W,3] over grey."""
    return _drawn(avatar.drive(photo.signal()), photo.camera, GREY)


def over_grey(photo: FittedPhoto) -> np.ndarray:
    """The person alone, float32 [H,W,3]."""
    matte = photo.seen.matte[..., None]
    return photo.seen.rgb * matte + GREY * (1 - matte)


def head_picture(gaussians: Gaussians, degrees: float, size: int = 400, metres: float = 0.42) -> np.ndarray:
    """uint8 [size,size,3]: the head at rest from 1.2 m, `metres` of it high, the camera `degrees` to the
    person's left.
    """
    head = load_template().joint_heads[INDEX["head"]]
    centre = np.array([0.0, head[1] - 0.03, head[2] + 0.07])
    return _from_around(gaussians, degrees, centre, 1.2, metres, size, size)


@torch.no_grad()
def head_renders(avatar: Avatar) -> list[np.ndarray]:
    """uint8 pictures of the head at rest, from the front and both sides."""
    gaussians = avatar.drive(rest_signal())
    return [head_picture(gaussians, degrees) for degrees in (0, SIDE, -SIDE)]


def body_picture(gaussians: Gaussians, degrees: float, height: int) -> np.ndarray:
    """uint8 [height,0.7 height,3]: all of the body at rest from 4 m."""
    return _from_around(gaussians, degrees, np.array([0.0, 0.0, 0.9]), 4.0, 2.0, round(0.7 * height), height)


def _from_around(gaussians, degrees, centre, away, metres, width, height) -> np.ndarray:
    turn = np.radians(degrees)
    eye = centre + away * np.array([np.sin(turn), -np.cos(turn), 0.0])
    focal = height * away / metres
    K = [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]
    return _bytes(_drawn(gaussians, Camera(look_at(eye, centre), K, width, height), PAPER))


def _drawn(gaussians: Gaussians, camera: Camera, background: float) -> np.ndarray:
    picture = rasterize(gaussians, camera, background=torch.full((3,), background))["combined"]
    return picture[..., :3].clamp(0, 1).numpy()


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (picture * 255 + 0.5).astype(np.uint8)


def _about(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """The part of a picture of any size in which the person of a matte stands."""
    rows, columns = (np.flatnonzero((matte > 0.5).any(axis)) for axis in (1, 0))
    margin, scale = MARGIN * np.ptp(rows), picture.shape[0] / matte.shape[0]
    (top, left), (bottom, right) = (
        [int(max(0, scale * (line[end] + side * margin))) for line in (rows, columns)]
        for end, side in ((0, -1), (-1, 1))
    )
    return picture[top : bottom + 1, left : right + 1]


def _scaled(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(HEIGHT / height, WIDEST / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    return np.pad(small, ((0, HEIGHT - small.shape[0]), (0, 0), (0, 0)), constant_values=255)
