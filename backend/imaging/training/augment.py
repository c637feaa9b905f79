# SPDX-License-Identifier: GPL-3.0-or-later
"""Training pictures for the correspondence network: cut, placed, lit and spoiled the way real photos are.

One rendered view with alpha and template points becomes one picture with a matte and points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from ...people.wear import Occluder, occlude, tone, wear_down

Background = Callable[[np.random.Generator, int, int], np.ndarray]
"""(rng, height, width) -> uint8 [H,W,3]"""


@dataclass(frozen=True)
class Sample:
    """rgb uint8 [H,W,3]; alpha uint8 [H,W]; points float16 [H,W,3], metres, 0 where alpha is at most 127."""

    rgb: np.ndarray
    alpha: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Window:
    """The part of the source that fills the new picture: centre and size in its pixels, turn in radians."""

    x: float
    y: float
    height: float
    width: float
    turn: float = 0.0

    def affine(self, height: int, width: int) -> np.ndarray:
        """[2,3]: continuous pixel coordinates (x, y, 1) of the new picture -> those of the source."""
        sx, sy = self.width / width, self.height / height
        c, s = np.cos(self.turn), np.sin(self.turn)
        matrix = np.array([[c * sx, -s * sy], [s * sx, c * sy]])
        offset = np.array([self.x, self.y]) - matrix @ np.array([width / 2, height / 2])
        return np.column_stack([matrix, offset])


def make_sample(
    rng: np.random.Generator,
    rgba: np.ndarray,
    points: np.ndarray,
    background: Background,
    height: int,
    width: int,
    put_thing: Occluder | None = None,
) -> Sample:
    """One training picture of one view: rgba uint8 [h,w,4] straight sRGB, points [h,w,3] metres."""
    for _ in range(6):  # not a picture that shows next to nothing of the person
        window = random_window(rng, rgba[..., 3], width / height)
        if share_shown(rgba[..., 3], window) > 0.04:
            break
    person, warped = warp(rgba, points, window, height, width)
    if rng.random() < 0.5:
        person, warped = mirror(person, warped)
    alpha = person[..., 3].copy()
    colour = tone(rng, person[..., :3], 0.6) if rng.random() < 0.5 else person[..., :3].astype(np.float32)
    backdrop = background(rng, height, width)
    if rng.random() < 0.3:
        radius = rng.uniform(0.002, 0.016) * height
        backdrop = np.asarray(Image.fromarray(backdrop).filter(ImageFilter.GaussianBlur(radius)))
    backdrop = backdrop.astype(np.float32)
    cover = alpha[..., None] * np.float32(1 / 255)
    picture = backdrop + (colour - backdrop) * cover
    if rng.random() < 0.2:
        occlude(rng, picture, alpha, put_thing)
    warped[alpha <= 127] = 0
    return Sample(spoil(rng, picture), alpha, warped.astype(np.float16))


def make_empty_sample(
    rng: np.random.Generator,
    background: Background,
    height: int,
    width: int,
    put_thing: Occluder | None = None,
) -> Sample:
    """A picture without a person: teaches the network to say so."""
    picture = background(rng, height, width).astype(np.float32)
    alpha = np.zeros((height, width), np.uint8)
    if rng.random() < 0.5:
        occlude(rng, picture, alpha, put_thing)
    return Sample(spoil(rng, picture), alpha, np.zeros((height, width, 3), np.float16))


def random_window(rng: np.random.Generator, alpha: np.ndarray, aspect: float) -> Window:
    """How the person is framed; `aspect` is width / height of the new picture.

    Whole with a margin, small in the frame, or a part of the body (mostly the upper one, as portraits show
    it). Where the person is cut by the source's border the window stays inside that border: nobody floats.
    """
    rows, columns = np.flatnonzero(alpha.max(axis=1) > 127), np.flatnonzero(alpha.max(axis=0) > 127)
    source_height, source_width = alpha.shape
    if len(rows) < 4 or len(columns) < 4:
        return Window(source_width / 2, source_height / 2, source_height, source_height * aspect)
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    tight = max(bottom - top, (right - left) / aspect)
    kind = rng.random()
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    if kind < 0.4:  # whole, as the zoomed pass of the estimator frames it
        height = tight * rng.uniform(1.02, 1.5)
        slack = max(height - tight, 0.04 * tight)
        centre_x += rng.uniform(-0.5, 0.5) * slack * aspect
        centre_y += rng.uniform(-0.5, 0.5) * slack
    elif kind < 0.62:  # small, anywhere in the frame
        height = tight * np.exp(rng.uniform(np.log(1.5), np.log(5.0)))
        centre_x += rng.uniform(-0.5, 0.5) * max(height * aspect - (right - left), 0)
        centre_y += rng.uniform(-0.5, 0.5) * max(height - (bottom - top), 0)
    else:  # a part
        height = tight * rng.uniform(0.3, 0.95)
        upper = rng.random() < 0.7
        span = (bottom - top) - height
        start = top - 0.12 * height + (rng.uniform(0, 0.2) if upper else rng.uniform(0, 1)) * max(span, 0)
        centre_y = start + height / 2
        centre_x += rng.uniform(-0.3, 0.3) * (right - left)
    stretch = np.exp(rng.normal(0, 0.04))
    width = height * aspect * stretch
    touches = (left <= 0, top <= 0, right >= source_width, bottom >= source_height)
    if not any(touches):
        return Window(centre_x, centre_y, height, width, rng.normal(0, 0.08))
    return _inside(centre_x, centre_y, height, width, touches, source_height, source_width)


def share_shown(alpha: np.ndarray, window: Window) -> float:
    """The person's share of the upright window's area."""
    top, bottom = window.y - window.height / 2, window.y + window.height / 2
    left, right = window.x - window.width / 2, window.x + window.width / 2
    part = alpha[max(0, int(top)) : max(0, int(bottom)), max(0, int(left)) : max(0, int(right))]
    return float((part > 127).sum() / (window.height * window.width))


def _inside(x, y, height, width, touches, source_height, source_width) -> Window:
    left, top, right, bottom = touches
    limit = min(
        source_width / width if left and right else np.inf,
        source_height / height if top and bottom else np.inf,
        1.0,
    )
    height, width = height * limit, width * limit
    x = max(x, width / 2) if left else x
    x = min(x, source_width - width / 2) if right else x
    y = max(y, height / 2) if top else y
    y = min(y, source_height - height / 2) if bottom else y
    return Window(x, y, height, width)


def warp(
    rgba: np.ndarray, points: np.ndarray, window: Window, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The window at the new size: colours bilinear and antialiased, points from the nearest source pixel."""
    affine = window.affine(height, width)
    x = np.arange(width, dtype=np.float32) + 0.5
    y = (np.arange(height, dtype=np.float32) + 0.5)[:, None]
    a = affine.astype(np.float32)
    column = np.floor(a[0, 0] * x + (a[0, 1] * y + a[0, 2])).astype(np.int32)
    row = np.floor(a[1, 0] * x + (a[1, 1] * y + a[1, 2])).astype(np.int32)
    valid = (column >= 0) & (row >= 0) & (column < rgba.shape[1]) & (row < rgba.shape[0])
    warped = np.zeros((height, width, 3), np.float32)
    warped[valid] = points[row[valid], column[valid]]
    image = Image.fromarray(rgba)
    factor = max(1, int(min(window.height / height, window.width / width)))
    if factor > 1:
        image = image.convert("RGBa").reduce(factor).convert("RGBA")
    coefficients = (affine / factor).ravel()
    person = image.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.array(person), warped


def mirror(rgba: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mirrored person: what was on the left hand is now on the right one, so x changes its sign."""
    return rgba[:, ::-1].copy(), points[:, ::-1] * np.array([-1, 1, 1], np.float32)


def spoil(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A camera's doing: tone, blur, low resolution, noise, JPEG, sometimes no colour. float32 -> uint8."""
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        pixels = tone(rng, pixels, 0.7).astype(np.uint8)
    if rng.random() < 0.08:
        pixels = np.array(Image.fromarray(pixels).convert("L").convert("RGB"))
    return wear_down(rng, pixels)
