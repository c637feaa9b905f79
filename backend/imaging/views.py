# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of one person -> what the network is shown: body crops, face crops, and pixels with template
points.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from ..body.template import load_template
from ..jobs import Cancelled
from ..model.views import InputViews, PixelSource
from .correspondence import ERROR_SCALE, Correspondence, Estimator, NoPersonError, Sighting, masked_crop
from .coverage import unseen_parts, unseen_sentence
from .crops import Box
from .photos import KEEP, Photo, PhotoError, load_photos

BODY_SOURCE = (640, 480)  # height, width that a body's pixels are sampled at
FACE_SOURCE = (384, 288)
MIN_HEAD = 40  # photo pixels; a lower head makes no face crop
MIN_CONFIDENCE = 0.1  # pixels below it are left out of the sources
MAX_PROJECTION = 0.08  # metres; points farther from the template's surface are left out


class PhotoSizes(Protocol):
    """What is read of the model's config: (height, width) of its body and face pictures."""

    body_size: tuple[int, int]
    face_size: tuple[int, int]


@dataclass
class _Prepared:
    """One photo's share of the `InputViews`."""

    photo: Photo
    body: np.ndarray
    face: np.ndarray | None
    sources: list[PixelSource]
    coverage: tuple[np.ndarray, np.ndarray]


def prepare_views(
    photos: Iterable[Photo | str | Path],
    estimator: Estimator,
    config: PhotoSizes,
    progress: Callable[..., None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> InputViews:
    """Finds the person in every photo and cuts out what the model needs.

    `photos`: files or loaded photos, in any order (the result does not depend on it). A photo that cannot
    be used costs a warning; so does what no photo shows. Raises `NoPersonError` when no photo shows a
    person, `PhotoError` when there is no usable photo, `Cancelled` when `cancelled()` becomes true.
    """
    report = progress or (lambda fraction, message="": None)
    loaded, warnings = _load(photos, report)
    seen: list[tuple[Photo, Sighting]] = []
    refused: list[str] = []
    for index, photo in enumerate(loaded):
        if cancelled is not None and cancelled():
            raise Cancelled
        report(
            0.2 + 0.6 * index / len(loaded), f"Looking for the person in photo {index + 1} of {len(loaded)}"
        )
        try:
            seen.append((photo, estimator.see(photo.rgb, photo.alpha, photo.name)))
        except NoPersonError as error:
            refused.append(error.message)
            continue
        if seen[-1][1].others:
            warnings.append(f"{photo.name} shows more than one person; the largest was used.")
    if not seen:
        message = "No photo shows a person." if len(loaded) > 1 else refused[0]
        raise NoPersonError(message, "Use photos in which the person is clearly visible.")
    explained = estimator.explain([sighting for _, sighting in seen])
    prepared = [_prepare(photo, found, config) for (photo, _), found in zip(seen, explained, strict=True)]
    warnings += [f"{message} It was left out." for message in refused]
    sentence = unseen_sentence(unseen_parts(entry.coverage for entry in prepared))
    if sentence:
        warnings.append(sentence)
    return _gathered(prepared, config, warnings)


def _load(photos: Iterable[Photo | str | Path], report) -> tuple[list[Photo], list[str]]:
    """All photos in the order of their hashes, each once, and the remarks on them."""
    photos = list(photos)
    paths = [photo for photo in photos if not isinstance(photo, Photo)]
    loaded = {photo.sha256: photo for photo in photos if isinstance(photo, Photo)}
    warnings = [note for photo in loaded.values() for note in photo.warnings]
    if paths:
        try:
            read, remarks = load_photos(
                paths, KEEP, lambda fraction, message="": report(0.2 * fraction, message)
            )
            loaded |= {photo.sha256: photo for photo in read}
            warnings += remarks
        except PhotoError as error:
            if not loaded:
                raise
            warnings.append(str(error))
    if not loaded:
        raise PhotoError("There are no photos.", "Add at least one photo.")
    return [loaded[key] for key in sorted(loaded)], sorted(warnings)


def _prepare(photo: Photo, correspondence: Correspondence, config: PhotoSizes) -> _Prepared:
    body_box = correspondence.box.grown(0.05, config.body_size[1] / config.body_size[0])
    body, _ = masked_crop(photo.rgb, correspondence, body_box, *config.body_size)
    sources = [pixel_source(photo.rgb, correspondence, body_box, BODY_SOURCE)]
    face = None
    if (face_box := head_crop(correspondence, config)) is not None:
        face, _ = masked_crop(photo.rgb, correspondence, face_box, *config.face_size)
        if face_box.height / body_box.height * BODY_SOURCE[0] < FACE_SOURCE[0]:
            sources.append(pixel_source(photo.rgb, correspondence, face_box, FACE_SOURCE))
    points, confidence = correspondence.points, correspondence.confidence
    step = max(1, round(min(body_box.height, points.shape[0]) / 256))
    coverage = (points[::step, ::step].copy(), confidence[::step, ::step].copy())
    return _Prepared(photo, body, face, sources, coverage)


def head_crop(correspondence: Correspondence, config: PhotoSizes) -> Box | None:
    """The box of the face picture; None where the photo shows no head large enough."""
    head = correspondence.head
    if head is None or head.height < MIN_HEAD:
        return None
    middle = ((head.left + head.right) / 2, (head.top + head.bottom) / 2)
    return Box.around(*middle, head.height, head.height * config.face_size[1] / config.face_size[0])


def pixel_source(
    rgb: np.ndarray, correspondence: Correspondence, box: Box, size: tuple[int, int]
) -> PixelSource:
    """A crop to sample colours from, never larger than the photo shows it, its points laid on the
    template's surface.

    Pixels whose points are not to be trusted get the matte 0: they colour nothing.
    """
    height = max(32, min(size[0], box.height))
    width = max(24, min(size[1], round(height * size[1] / size[0])))
    rgba, points = masked_crop(rgb, correspondence, box, height, width)
    confidence = _nearest(correspondence.confidence, box, height, width)
    matte = rgba[..., 3].copy()
    solid = (matte > 0) & (confidence > MIN_CONFIDENCE)
    error = ERROR_SCALE * np.sqrt(np.maximum(matte / np.maximum(confidence, 1e-3) - 1, 0))
    laid, distance = on_template(points[solid])
    points[solid] = laid
    solid[solid] = distance < MAX_PROJECTION
    matte[~solid] = 0
    points[~solid] = 0
    return PixelSource(rgba[..., :3], matte, points, error)


def _nearest(values: np.ndarray, box: Box, height: int, width: int) -> np.ndarray:
    rows = ((np.arange(height) + 0.5) * box.height / height + box.top).astype(int)
    columns = ((np.arange(width) + 0.5) * box.width / width + box.left).astype(int)
    rows, columns = np.clip(rows, 0, values.shape[0] - 1), np.clip(columns, 0, values.shape[1] - 1)
    return values[rows[:, None], columns]


def on_template(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [n,3] moved onto the tangent plane of the nearest template vertex (outer skin and eyes):
    (moved, distances).
    """
    template = load_template()
    outer = template.part <= 1
    vertices, normals = template.vertices[outer], template.normals[outer]
    if len(points) == 0:
        return points, np.zeros(0, np.float32)
    distance, index = cKDTree(vertices).query(points, workers=1)
    height = ((points - vertices[index]) * normals[index]).sum(axis=1, keepdims=True)
    return (points - height * normals[index]).astype(np.float32), distance


def _gathered(prepared: list[_Prepared], config: PhotoSizes, warnings: list[str]) -> InputViews:
    faces = [entry.face for entry in prepared if entry.face is not None]
    if not faces:
        warnings.append("No photo shows the face large enough; it is made from the body's pictures.")
    views = InputViews(
        body=np.stack([entry.body for entry in prepared]),
        face=np.stack(faces) if faces else np.zeros((0, *config.face_size, 4), np.float32),
        sources=tuple(source for entry in prepared for source in entry.sources),
        photo_hashes=tuple(entry.photo.sha256 for entry in prepared),
        warnings=tuple(warnings),
    )
    views.check()
    return views
