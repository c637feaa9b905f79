# SPDX-License-Identifier: GPL-3.0-or-later
"""Where every pixel of a photo lies on the template: coarse to fine, from the whole picture to the face.

    correspondence = load_estimator().estimate(photo.rgb)

The network sees 192 x 144 pixels. It looks at the whole picture (and at overlapping parts of a long one) to
find the person, at the person, and at the head; each time the crop fills its input. Then a body is fitted to
what it saw, and sets right what no body can be.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from ..errors import UserError
from .body_fit import BodyFit, fit_bodies
from .crops import Box, crop, feather, paste
from .estimator_file import BUNDLED, load_network
from .finding import ASPECT, Found, find_people, main_parts, windows
from .fusing import Look, believed, candidates, evidence, fuse
from .matting import matte_of
from .network import CorrespondenceNetwork, mean_of_mirrored

ERROR_SCALE = 0.05  # metres of expected error at which confidence is one half
# A thing that was taken for a person is seldom taken for the same from farther away. Margins, in sizes of the
# first look, of looks one of which must see the same person, and how much of it (intersection over union).
AGAIN = ((0.2, 0.3), (0.05, 0.8), (0.15, 0.8))
HEAD_HEIGHT = 1.5  # metres; the mean template's head lies above, but for the point of the chin


class NoPersonError(UserError):
    """No person was found in a photo."""


@dataclass(frozen=True)
class Correspondence:
    """One photo of H x W pixels, explained.

    `matte` [H,W] in 0..1, the person's coverage; `points` [H,W,3] metres in the mean template's canonical
    space, 0 where the matte is 0; `confidence` [H,W] in 0..1, 0 outside the person, one half where 5 cm of
    error are expected; `box` the person's; `head` the head's crop or None where no head is visible;
    `others`: more people stand there; `fit`: the body fitted to the photo, None where none could be believed.
    """

    matte: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    box: Box
    head: Box | None
    others: bool = False
    fit: BodyFit | None = None


@dataclass(frozen=True)
class Sighting:
    """A photo rgb [H,W,3] with alpha [H,W] or None, the looks at the person and at the head (or None), and
    whether others stand there.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    body: Look
    head: Look | None
    others: bool

    @property
    def looks(self) -> list[Look]:
        return [self.body] if self.head is None else [self.body, self.head]


class Estimator:
    """The network with the looking round it. `head_height`: the template's z, in metres, above which lies
    the head; `mirrored`: the network looks at mirrored pictures too.
    """

    def __init__(
        self, network: CorrespondenceNetwork, head_height: float = HEAD_HEIGHT, mirrored: bool = True
    ):
        self.network = network.eval()
        self.head_height = head_height
        self.mirrored = mirrored

    def estimate(
        self, rgb: np.ndarray, alpha: np.ndarray | None = None, name: str = "The photo"
    ) -> Correspondence:
        """rgb float32 [H,W,3] sRGB in 0..1, alpha [H,W] or None. Raises `NoPersonError`."""
        return self.explain([self.see(rgb, alpha, name)])[0]

    def see(self, rgb: np.ndarray, alpha: np.ndarray | None = None, name: str = "The photo") -> Sighting:
        """What the network says of a photo, as `estimate` takes it. Raises `NoPersonError`."""
        if alpha is not None:
            rgb = rgb * alpha[..., None] + 0.5 * (1 - alpha[..., None])
        found = self._find(rgb, name)
        box = found.box
        body = self._look_at(found, rgb, box)
        for _ in range(2):  # a better look may move the box: limbs that were too small to see
            refined = self._person_box(body, rgb.shape)
            if refined is None:
                raise _no_person(name)
            if _overlap(refined, box) > 0.85:
                break
            box = refined
            body = self._look_at(found, rgb, box)
        if not _clear(body) or not any(
            _agreement(body, self._look_at(found, rgb, box.grown(margin, ASPECT))) > least
            for margin, least in AGAIN
        ):
            raise _no_person(name)
        body.probability = body.probability * ndimage.binary_dilation(
            main_parts(body.probability > 0.3), iterations=2
        )
        head_box = self._head_box(body, rgb.shape)
        head = self._look_at(found, rgb, head_box) if head_box is not None else None
        return Sighting(rgb, alpha, body, head, found.others)

    def explain(self, sightings: list[Sighting], fitted: bool = True) -> list[Correspondence]:
        """Photos of one person, who has one shape; without the body that is fitted unless `fitted`."""
        fits: list[BodyFit | None] = [None] * len(sightings)
        if fitted:
            fits = list(fit_bodies([evidence(seen.looks, seen.rgb.shape[:2]) for seen in sightings]))
        return [self._explained(seen, fit) for seen, fit in zip(sightings, fits, strict=True)]

    def _explained(self, seen: Sighting, fit: BodyFit | None) -> Correspondence:
        looks = seen.looks
        if fit is not None and not believed(fit, seen.body):
            fit = None
        if fit is not None:
            looks = [fuse(look, fit) for look in looks]
        matte, points, error = self._assemble(seen.rgb, looks)
        if seen.alpha is not None:
            matte = matte * seen.alpha
        confidence = matte / (1 + (error / ERROR_SCALE) ** 2)
        points[matte == 0] = 0
        tight = Box.of_mask(matte > 0.5) if (matte > 0.5).any() else seen.body.box
        head = seen.head.box if seen.head is not None else None
        return Correspondence(matte, points, confidence, tight, head, seen.others, fit)

    @torch.no_grad()
    def _look(self, rgb: np.ndarray, boxes: list[Box], twice: bool = False) -> list[Look]:
        """`twice`: at the mirrored pictures too."""
        crops = np.stack([crop(rgb, box, *self.network.config.input_size) for box in boxes])
        pictures = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
        out = self.network(pictures)
        if twice and self.mirrored:
            out = mean_of_mirrored(out, self.network(pictures.flip(-1)))
        answers = [{name: tensor[n].numpy() for name, tensor in out.items()} for n in range(len(boxes))]
        return [_read(box, answer) for box, answer in zip(boxes, answers, strict=True)]

    def _look_at(self, found: Found, rgb: np.ndarray, box: Box) -> Look:
        """At the person who was found, not at others who stand in the box too."""
        return found.without_others(self._look(rgb, [box], twice=True)[0])

    def _find(self, rgb: np.ndarray, name: str) -> Found:
        found = find_people(self._look(rgb, windows(*rgb.shape[:2])), *rgb.shape[:2], self.head_height)
        if found is None:
            raise _no_person(name)
        return found

    def _person_box(self, look: Look, shape: tuple[int, ...]) -> Box | None:
        mask = main_parts(look.probability > 0.5)
        if not mask.any():
            return None
        return _to_picture(Box.of_mask(mask), look).inside(*shape[:2]).grown(0.1, ASPECT)

    def _head_box(self, look: Look, shape: tuple[int, ...]) -> Box | None:
        """A crop of the head and some neck, if it would show more than the body's crop does."""
        mask = (look.probability > 0.5) & (look.points[..., 2] > self.head_height) & (look.error < 0.2)
        mask = main_parts(ndimage.binary_opening(mask), keep=1.0)
        if mask.sum() < 12:
            return None
        box = _to_picture(Box.of_mask(mask), look).inside(*shape[:2]).grown(0.22, ASPECT)
        return box if box.height < 0.9 * look.box.height else None

    def _assemble(self, rgb: np.ndarray, looks: list[Look]):
        """Matte, points and expected error [H,W(,3)] at the photo's size; the head's look laid over the
        body's.
        """
        shape = rgb.shape[:2]
        matte = np.zeros(shape, np.float32)
        points = np.zeros((*shape, 3), np.float32)
        error = np.full(shape, 10.0, np.float32)
        for number, look in enumerate(looks):
            weight = None
            if number > 0:  # what the body's look did not call a person stays out: it saw more around it
                weight = feather(*look.probability.shape)
                seen = crop(matte, look.box, *look.probability.shape, fill=0.0)
                near = ndimage.maximum_filter(seen, 9) > 0.3
                look = replace(look, probability=look.probability * near)
                weight = weight * near
            paste(matte, matte_of(rgb, look), look.box, weight)
            _paste_points(points, error, look, shape, weight)
        matte[matte < 0.02] = 0
        return matte, points, error


@cache
def load_estimator(path: Path = BUNDLED) -> Estimator:
    """The bundled estimator, or the one in `path`. Raises `EstimatorFileError`."""
    return Estimator(*load_network(path))


def _read(box: Box, answer: dict[str, np.ndarray]) -> Look:
    """The network's arrays [.,h,w] for one picture as a look."""
    probability = 1 / (1 + np.exp(-answer["matte"][0]))
    points = answer["points"].transpose(1, 2, 0)
    return Look(box, probability, points, np.exp(answer["log_error"][0]), *candidates(answer))


def _no_person(name: str) -> NoPersonError:
    return NoPersonError(f"{name} shows no person.", "Use a photo in which the person is clearly visible.")


def _clear(look: Look) -> bool:
    """Whether a look is sure enough of what it saw."""
    mask = look.probability > 0.5
    return (
        mask.mean() >= 0.02 and look.probability[mask].mean() >= 0.7 and np.median(look.error[mask]) <= 0.35
    )


def _agreement(look: Look, wider: Look) -> float:
    """Overlap of a look's person with the one that a look at a wider box shows, intersection over union."""
    mask = look.probability > 0.5
    rows, columns = np.indices(mask.shape).reshape(2, -1)
    cells = (look.pixels(rows, columns) - (wider.box.left, wider.box.top)) / wider.step
    x, y = cells.astype(int).T
    again = (wider.probability[y, x] > 0.5).reshape(mask.shape)
    return (mask & again).sum() / (mask | again).sum()


def _to_picture(box: Box, look: Look) -> Box:
    sy, sx = look.box.height / look.probability.shape[0], look.box.width / look.probability.shape[1]
    left, top = look.box.left, look.box.top
    return Box(
        int(np.floor(left + box.left * sx)),
        int(np.floor(top + box.top * sy)),
        int(np.ceil(left + box.right * sx)),
        int(np.ceil(top + box.bottom * sy)),
    )


def _overlap(a: Box, b: Box) -> float:
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    common = max(width, 0) * max(height, 0)
    return common / (a.width * a.height + b.width * b.height - common)


def _paste_points(
    points: np.ndarray, error: np.ndarray, look: Look, shape: tuple[int, int], weight: np.ndarray | None
) -> None:
    """Points and errors into the photo's size, in place. Across an edge between limbs the nearest answer
    counts.

    With `weight`, the pass replaces what was there where the weight is above one half; never a mean of two
    points.
    """
    inner = look.box.inside(*shape)
    if inner.width == 0 or inner.height == 0:
        return
    rows = np.arange(inner.top, inner.bottom)
    columns = np.arange(inner.left, inner.right)
    h, w = look.probability.shape
    y = np.clip((rows - look.box.top + 0.5) * h / look.box.height - 0.5, 0, h - 1)
    x = np.clip((columns - look.box.left + 0.5) * w / look.box.width - 0.5, 0, w - 1)
    nearest_y, nearest_x = np.rint(y).astype(int), np.rint(x).astype(int)
    nearest = look.points[nearest_y[:, None], nearest_x]
    smooth = _bilinear(look.points, y, x)
    apart = np.square(smooth - nearest).sum(axis=-1, keepdims=True) > 0.03**2
    new = np.where(apart, nearest, smooth)
    new_error = look.error[nearest_y[:, None], nearest_x]
    region = (slice(inner.top, inner.bottom), slice(inner.left, inner.right))
    if weight is None:
        points[region], error[region] = new, new_error
        return
    use = weight[nearest_y[:, None], nearest_x] > 0.5
    points[region] = np.where(use[..., None], new, points[region])
    error[region] = np.where(use, new_error, error[region])


def _bilinear(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, values.shape[0] - 1), np.minimum(x0 + 1, values.shape[1] - 1)
    fy, fx = (y - y0)[:, None, None].astype(np.float32), (x - x0)[None, :, None].astype(np.float32)
    rows = values[y0] * (1 - fy) + values[y1] * fy
    return rows[:, x0] * (1 - fx) + rows[:, x1] * fx


def masked_crop(
    rgb: np.ndarray, correspondence: Correspondence, box: Box, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """A straight-alpha crop of the person, float32 [height,width,4], and its template points
    [height,width,3].

    Colours are averaged with the matte as weight, so that the background does not bleed in; points are the
    nearest ones.
    """
    matte = crop(correspondence.matte, box, height, width, fill=0.0)
    colour = crop(rgb * correspondence.matte[..., None], box, height, width, fill=0.0)
    colour = np.where(matte[..., None] > 1e-4, colour / np.maximum(matte[..., None], 1e-4), 0.5)
    rows = np.clip(
        ((np.arange(height) + 0.5) * box.height / height + box.top).astype(int), 0, rgb.shape[0] - 1
    )
    columns = np.clip(
        ((np.arange(width) + 0.5) * box.width / width + box.left).astype(int), 0, rgb.shape[1] - 1
    )
    points = correspondence.points[rows[:, None], columns]
    return np.dstack([np.clip(colour, 0, 1), matte]).astype(np.float32), points
