# SPDX-License-Identifier: GPL-3.0-or-later
"""A z-buffer for triangle meshes: which triangle every sample sees, and where inside it.

Triangles are set up in homogeneous pixel coordinates (Olano & Greer 1997, "Triangle scan conversion using 2D
homogeneous coordinates"), so barycentrics are perspective correct and triangles that pass behind the camera
need no clipping. One thread, fixed order: equal bits on every run.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

_JIT = {"cache": True, "nogil": True, "error_model": "numpy"}


class GBuffer(NamedTuple):
    """What h x w samples see: face [h, w] int32 (-1 nothing), bary [h, w, 2] of its corners 1 and 2, depth
    [h, w] metres along the view axis (inf where nothing)."""

    face: np.ndarray
    bary: np.ndarray
    depth: np.ndarray

    def interpolate(self, attribute: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Vertex attribute [n, c], faces [f, 3] -> [h, w, c] float32, zero where nothing is seen."""
        attribute = np.ascontiguousarray(attribute, np.float32)
        return _interpolate(self.face, self.bary, attribute, np.ascontiguousarray(faces, np.int32))


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


def to_pixels(points: np.ndarray, viewmat: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World points [n, 3] -> homogeneous pixels [n, 3] (x w, y w, w) and camera depth [n] (w is the depth),
    float64.
    """
    viewmat, K = np.asarray(viewmat, np.float64), np.asarray(K, np.float64)
    camera = np.asarray(points, np.float64) @ viewmat[:3, :3].T + viewmat[:3, 3]
    return camera @ K.T, camera[:, 2].copy()


def rasterize_mesh(
    points: np.ndarray,
    faces: np.ndarray,
    viewmat: np.ndarray,
    K: np.ndarray,
    width: int,
    height: int,
    samples: int = 1,
    near: float = 0.01,
) -> GBuffer:
    """Draws a mesh through an OpenCV camera.

    Args: points [n, 3] world metres; faces [f, 3]; viewmat [4, 4] world to camera; K [3, 3] in pixels;
    `samples` x `samples` samples a pixel on a regular grid; nothing nearer than `near` metres is drawn. Both
    sides are visible.
    Returns: a `GBuffer` of height * samples by width * samples.
    """
    homogeneous, depth = to_pixels(points, viewmat, K)
    homogeneous[:, :2] *= samples
    return _draw(homogeneous, depth, faces, width * samples, height * samples, near)


def rasterize_flat(
    pixels: np.ndarray, depth: np.ndarray, faces: np.ndarray, width: int, height: int
) -> GBuffer:
    """Draws a mesh without perspective: pixels [n, 2], depth [n]."""
    homogeneous = np.ones((len(pixels), 3))
    homogeneous[:, :2] = pixels
    return _draw(homogeneous, np.asarray(depth, np.float64), faces, width, height, -np.inf)


def _draw(homogeneous, depth, faces, width, height, near):
    if not (np.isfinite(homogeneous).all() and np.isfinite(depth).all()):
        raise ValueError("The mesh or the camera holds values that are not finite.")
    face = np.full((height, width), -1, np.int32)
    bary = np.zeros((height, width, 2), np.float32)
    zbuffer = np.full((height, width), np.inf, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    _fill(np.ascontiguousarray(homogeneous), np.ascontiguousarray(depth), faces, near, face, bary, zbuffer)
    return GBuffer(face, bary, zbuffer)


@numba.njit(**_JIT)
def _flatten(q):
    """Homogeneous pixels [n, 3] -> pixels [n, 2]; NaN for points not safely before the camera."""
    flat = np.empty((len(q), 2))
    for i in range(len(q)):
        if q[i, 2] > 1e-6:
            flat[i, 0], flat[i, 1] = q[i, 0] / q[i, 2], q[i, 1] / q[i, 2]
        else:
            flat[i, 0] = flat[i, 1] = np.nan
    return flat


@numba.njit(**_JIT)
def _bounds(q, flat, a, b, c, width, height):
    """Sample columns and rows a triangle can touch; the whole image when only some corners are before the
    camera.
    """
    xa, xb, xc = flat[a, 0], flat[b, 0], flat[c, 0]
    if np.isnan(xa + xb + xc):
        if q[a, 2] <= 1e-6 and q[b, 2] <= 1e-6 and q[c, 2] <= 1e-6:
            return 1, 0, 1, 0
        return 0, width - 1, 0, height - 1
    # Sample i lies at i + 0.5. Limits are clamped while still floats: far corners overflow an integer.
    x0 = np.ceil(max(min(xa, xb, xc) - 0.5, 0.0))
    x1 = np.floor(min(max(xa, xb, xc) - 0.5, width - 1.0))
    if x0 > x1:
        return 1, 0, 1, 0
    ya, yb, yc = flat[a, 1], flat[b, 1], flat[c, 1]
    y0 = np.ceil(max(min(ya, yb, yc) - 0.5, 0.0))
    y1 = np.floor(min(max(ya, yb, yc) - 0.5, height - 1.0))
    return int(x0), int(x1), int(y0), int(y1)


@numba.njit(**_JIT)
def _fill(q, depth, faces, near, face, bary, zbuffer):
    height, width = face.shape
    flat = _flatten(q)
    for t in range(len(faces)):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        x0, x1, y0, y1 = _bounds(q, flat, a, b, c, width, height)
        if x0 > x1 or y0 > y1:
            continue
        ax, ay, aw = q[a, 0], q[a, 1], q[a, 2]
        bx, by, bw = q[b, 0], q[b, 1], q[b, 2]
        cx, cy, cw = q[c, 0], q[c, 1], q[c, 2]
        # Rows of the adjugate: edge functions; divided by the determinant they are barycentrics over w.
        e0x, e0y, e0w = by * cw - bw * cy, bw * cx - bx * cw, bx * cy - by * cx
        e1x, e1y, e1w = cy * aw - cw * ay, cw * ax - cx * aw, cx * ay - cy * ax
        e2x, e2y, e2w = ay * bw - aw * by, aw * bx - ax * bw, ax * by - ay * bx
        determinant = ax * e0x + ay * e0y + aw * e0w
        if abs(determinant) < 1e-14:
            continue
        if determinant < 0:
            e0x, e0y, e0w, e1x, e1y, e1w = -e0x, -e0y, -e0w, -e1x, -e1y, -e1w
            e2x, e2y, e2w = -e2x, -e2y, -e2w
        za, zb, zc = depth[a], depth[b], depth[c]
        wide = x1 - x0 > 4
        for y in range(y0, y1 + 1):
            py = y + 0.5
            r0, r1, r2 = e0y * py + e0w, e1y * py + e1w, e2y * py + e2w
            left, right = x0, x1
            if wide:  # a long thin triangle covers little of its box
                left, right = _row(e0x, r0, left, right)
                left, right = _row(e1x, r1, left, right)
                left, right = _row(e2x, r2, left, right)
            for x in range(left, right + 1):
                px = x + 0.5
                b0, b1, b2 = e0x * px + r0, e1x * px + r1, e2x * px + r2
                if b0 < 0 or b1 < 0 or b2 < 0:
                    continue
                total = b0 + b1 + b2
                if total <= 0:
                    continue
                z = (b0 * za + b1 * zb + b2 * zc) / total
                if z >= near and z < zbuffer[y, x]:
                    zbuffer[y, x] = z
                    face[y, x] = t
                    bary[y, x, 0] = b1 / total
                    bary[y, x, 1] = b2 / total


@numba.njit(**_JIT)
def _row(slope, offset, left, right):
    """Narrows columns left..right to those where slope * (x + 0.5) + offset may be positive, one to spare."""
    if slope > 0:
        low = -offset / slope - 1.5
        return (max(left, int(low)) if low < right + 2 else right + 1), right
    if slope < 0:
        high = -offset / slope + 0.5
        return left, (min(right, int(high)) if high > left - 2 else left - 1)
    return left, (right if offset >= 0 else left - 1)


@numba.njit(**_JIT)
def _interpolate(face, bary, attribute, faces):
    height, width = face.shape
    channels = attribute.shape[1]
    out = np.zeros((height, width, channels), np.float32)
    for y in range(height):
        for x in range(width):
            t = face[y, x]
            if t < 0:
                continue
            v, w = bary[y, x, 0], bary[y, x, 1]
            u = np.float32(1) - v - w
            for k in range(channels):
                out[y, x, k] = (
                    u * attribute[faces[t, 0], k]
                    + v * attribute[faces[t, 1], k]
                    + w * attribute[faces[t, 2], k]
                )
    return out


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
