# SPDX-License-Identifier: GPL-3.0-or-later
"""The samples of a picture gathered into the places that are to be shaded."""

from typing import NamedTuple

import numba
import numpy as np

from ...raster.mesh_faces import GBuffer

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class Places(NamedTuple):
    """What is to be shaded: P places, one per pixel and surface seen in it, made of S samples.

    pixel [P] int64 (row * width + column; the places of a pixel follow each other, the largest share first),
    share [P] of that pixel in 0..1, vertex attributes [P, c] averaged over the place's samples; and per
    sample: place [S] int64, material [S] uint8, attributes [S, d].
    """

    pixel: np.ndarray
    share: np.ndarray
    attributes: np.ndarray
    place: np.ndarray
    material: np.ndarray
    sample_attributes: np.ndarray


def gather_places(
    gbuffer: GBuffer,
    attributes: np.ndarray,
    sample_attributes: np.ndarray,
    faces: np.ndarray,
    face_material: np.ndarray,
    samples: int,
    merge_depth: float = 0.02,
) -> Places:
    """Gathers the `samples` x `samples` samples of every pixel into as few places as surfaces are seen in it.

    Samples of one pixel share a place when their material is the same and their depths differ by less than
    `merge_depth` metres. attributes [n, c] and sample_attributes [n, d] belong to the vertices.
    """
    return Places(
        *_gather(
            gbuffer.face, gbuffer.bary, gbuffer.depth, np.ascontiguousarray(attributes, np.float32),
            np.ascontiguousarray(sample_attributes, np.float32), np.ascontiguousarray(faces, np.int32),
            np.ascontiguousarray(face_material, np.uint8), samples, np.float32(merge_depth),
        )
    )  # fmt: skip


@numba.njit(**_JIT)
def _gather(face, bary, depth, attributes, sample_attributes, faces, face_material, samples, merge_depth):
    height, width = face.shape[0] // samples, face.shape[1] // samples
    channels, fine, per_pixel = attributes.shape[1], sample_attributes.shape[1], samples * samples
    room = 0
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            room += face[y, x] >= 0
    pixel = np.empty(room, np.int64)
    share = np.zeros(room, np.float32)
    out = np.zeros((room, channels), np.float32)
    place = np.empty(room, np.int64)
    material = np.empty(room, np.uint8)
    detail = np.zeros((room, fine), np.float32)
    place_material = np.empty(per_pixel, np.uint8)
    place_depth = np.empty(per_pixel, np.float32)
    used, sample = 0, 0
    for y in range(height):
        for x in range(width):
            start, first = used, sample
            for sy in range(y * samples, (y + 1) * samples):
                for sx in range(x * samples, (x + 1) * samples):
                    t = face[sy, sx]
                    if t < 0:
                        continue
                    here = -1
                    for g in range(used - start):
                        near = abs(place_depth[g] - depth[sy, sx]) < merge_depth
                        if near and place_material[g] == face_material[t]:
                            here = start + g
                            break
                    if here < 0:
                        here = used
                        used += 1
                        pixel[here] = y * width + x
                        place_material[here - start] = face_material[t]
                        place_depth[here - start] = depth[sy, sx]
                    share[here] += 1
                    v, w = bary[sy, sx, 0], bary[sy, sx, 1]
                    u = np.float32(1) - v - w
                    i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
                    for c in range(channels):
                        out[here, c] += u * attributes[i, c] + v * attributes[j, c] + w * attributes[k, c]
                    for c in range(fine):
                        a, b, d = sample_attributes[i, c], sample_attributes[j, c], sample_attributes[k, c]
                        detail[sample, c] = u * a + v * b + w * d
                    place[sample] = here
                    material[sample] = face_material[t]
                    sample += 1
            best = start
            for g in range(start, used):
                for c in range(channels):
                    out[g, c] /= share[g]
                share[g] /= per_pixel
                if share[g] > share[best]:
                    best = g
            if best != start:
                share[start], share[best] = share[best], share[start]
                for c in range(channels):
                    out[start, c], out[best, c] = out[best, c], out[start, c]
                for n in range(first, sample):
                    if place[n] == start:
                        place[n] = best
                    elif place[n] == best:
                        place[n] = start
    return pixel[:used], share[:used], out[:used], place, material, detail
