# SPDX-License-Identifier: GPL-3.0-or-later
"""From read photos to the network's input: body crops, face crops, and pixels with template points."""

from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from ..body.template import load_template
from ..model.views import InputViews, PixelSource
from .correspondence import Correspondence, masked_crop
from .coverage import unseen_parts, unseen_sentence
from .crops import Box, nearest_cells
from .reading import Reading

BODY_SOURCE = (320, 240)  # height, width that a body's pixels are sampled at
FACE_SOURCE = (256, 192)
MIN_HEAD = 40  # photo pixels; a smaller head gives no face crop
MIN_CONFIDENCE = 0.1  # pixels below it are left out of the sources
MAX_PROJECTION = 0.08  # metres; points farther from the template's surface are left out


class PhotoSizes(Protocol):
    """The part of the model's config that is used: (height, width) of its body and face pictures."""

    body_size: tuple[int, int]
    face_size: tuple[int, int]


def network_views(reading: Reading, config: PhotoSizes) -> InputViews:
    """The network's input from read photos; warnings: the photos' remarks and what no photo shows."""
    body, faces, sources, coverage = [], [], [], []
    for found in reading.found:
        rgb = found.seen.rgb
        box = found.box.grown(0.05, config.body_size[1] / config.body_size[0])
        body.append(masked_crop(rgb, found, box, *config.body_size)[0])
        sources.append(pixel_source(rgb, found, box, BODY_SOURCE))
        if (head := head_crop(found, config)) is not None:
            faces.append(masked_crop(rgb, found, head, *config.face_size)[0])
            if head.height / box.height * BODY_SOURCE[0] < FACE_SOURCE[0]:
                sources.append(pixel_source(rgb, found, head, FACE_SOURCE))
        step = max(1, round(min(box.height, rgb.shape[0]) / 256))
        coverage.append((found.points[::step, ::step], found.confidence[::step, ::step]))
    warnings = list(reading.remarks)
    if sentence := unseen_sentence(unseen_parts(coverage)):
        warnings.append(sentence)
    if not faces:
        warnings.append("No photo shows the face large enough; it is taken from the pictures of the body.")
    views = InputViews(
        body=np.stack(body),
        face=np.stack(faces) if faces else np.zeros((0, *config.face_size, 4), np.float32),
        sources=tuple(sources),
        photo_hashes=tuple(photo.sha256 for photo in reading.photos),
        warnings=tuple(warnings),
    )
    views.check()
    return views


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
    """A crop to sample colours from, never larger than in the photo, its points projected onto the
    template's surface.

    Pixels with unreliable points get the matte 0, so that no colour is sampled from them.
    """
    height = max(32, min(size[0], box.height))
    width = max(24, min(size[1], round(height * size[1] / size[0])))
    rgba, points = masked_crop(rgb, correspondence, box, height, width)
    cells = nearest_cells(box, height, width, rgb.shape)
    matte, error = rgba[..., 3].copy(), correspondence.error[cells]
    solid = (matte > 0) & (correspondence.confidence[cells] > MIN_CONFIDENCE)
    laid, distance = on_template(points[solid])
    points[solid] = laid
    solid[solid] = distance < MAX_PROJECTION
    matte[~solid] = 0
    points[~solid] = 0
    return PixelSource(rgba[..., :3], matte, points, error)


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
