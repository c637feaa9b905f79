# SPDX-License-Identifier: GPL-3.0-or-later
"""World Gaussians -> ellipses on the picture, and the gradient back.

EWA splatting (Zwicker et al. 2001) as in 3D Gaussian splatting (Kerbl et al. 2023): with M = J W, J the
Jacobian of the projection at the mean and W the rotation of the view, the picture's covariance is M S M^T +
0.3 I. The Jacobian is taken at a point at most 30 % of the half field of view outside of the picture, as
gsplat does.

A Gaussian's record is 16 floats (one cache line): picture mean `MX MY`; `A B C LOG`, its alpha being
2^(A dx^2 + B dx dy + C dy^2 + LOG); four channel `VALUES`; `SHEAR REACH CURVE`, the span of pixels of a row
dy below the mean in which alpha >= 1/255: -SHEAR dy +- sqrt(REACH - CURVE dy^2).
"""

import math

import numpy as np

from ..jit import kernel
from .lanes import fma, load, maximum, minimum, spread, square_root, store, take_ticket

MX, MY, A, B, C, LOG, VALUES, SHEAR, REACH, CURVE = 0, 1, 2, 3, 4, 5, 6, 10, 11, 12
RECORD = 16
TILE_W, TILE_H = 32, 16
CHUNK = 1024  # Gaussians per ticket: fixed, so that results do not depend on the number of threads
DILATION = np.float32(0.3)  # px^2, added to the picture covariance

ALPHA_MIN = 1.0 / 255.0
ALPHA_MAX = np.float32(0.999)
LOG_ALPHA_MIN = np.float32(math.log2(ALPHA_MIN))
TRANSMITTANCE_MIN = np.float32(1e-4)

_LOG2_E = np.float32(1.0 / math.log(2.0))
_TWO_LN2 = np.float32(2.0 * math.log(2.0))
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_MARGIN = 0.3  # of the half field of view


def camera_numbers(camera) -> np.ndarray:
    """float32 [24]: viewmat rows 0..11, fx fy cx cy 12..15, width height 16..17, limits of x/z and y/z 18..21
    (low x, high x, low y, high y), near 22, orthographic 23."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    margin_x, margin_y = _MARGIN * 0.5 * camera.width / fx, _MARGIN * 0.5 * camera.height / fy
    limits = (
        -cx / fx - margin_x,
        (camera.width - cx) / fx + margin_x,
        -cy / fy - margin_y,
        (camera.height - cy) / fy + margin_y,
    )
    numbers = [*camera.viewmat[:3].ravel(), fx, fy, cx, cy, camera.width, camera.height, *limits]
    return np.array([*numbers, camera.near, float(camera.orthographic)], np.float32)


@kernel
def _finite(means, covariances, opacities, values, i):
    total = opacities[i] + means[i, 0] + means[i, 1] + means[i, 2]
    for k in range(9):
        total += covariances[i, k]
    for k in range(values.shape[1]):
        total += values[i, k]
    return math.isfinite(total)


@kernel
def _gather(means, covariances, opacities, first, count, inputs):
    """Eight Gaussians into rows of eight: mean x y z, covariance xx xy xz yy yz zz, log2 opacity."""
    for j in range(8):
        i = first + min(j, count - 1)
        for k in range(3):
            inputs[8 * k + j] = means[i, k]
        inputs[24 + j] = covariances[i, 0]
        inputs[32 + j] = _HALF * (covariances[i, 1] + covariances[i, 3])
        inputs[40 + j] = _HALF * (covariances[i, 2] + covariances[i, 6])
        inputs[48 + j] = covariances[i, 4]
        inputs[56 + j] = _HALF * (covariances[i, 5] + covariances[i, 7])
        inputs[64 + j] = covariances[i, 8]
        inputs[72 + j] = np.float32(math.log2(opacities[i])) if opacities[i] > _ZERO else np.float32(-1000.0)


@kernel
def _project_eight(inputs, cam, out):
    """Rows of eight: 0..5 MX MY A B C LOG, 6..8 SHEAR REACH CURVE, 9 z, 10..13 pixel bounds, 14
    determinant."""
    px, py, pz = load(inputs, 0), load(inputs, 8), load(inputs, 16)
    x = fma(px, cam[0], fma(py, cam[1], fma(pz, cam[2], spread(cam[3]))))
    y = fma(px, cam[4], fma(py, cam[5], fma(pz, cam[6], spread(cam[7]))))
    z = fma(px, cam[8], fma(py, cam[9], fma(pz, cam[10], spread(cam[11]))))
    fx, fy = cam[12], cam[13]
    if cam[23] != _ZERO:
        mx, my = fma(x, fx, spread(cam[14])), fma(y, fy, spread(cam[15]))
        jx, jy, jxz, jyz = spread(fx), spread(fy), spread(_ZERO), spread(_ZERO)
    else:
        inverse = _ONE / maximum(z, cam[22])
        u, v = x * inverse, y * inverse
        mx, my = fma(u, fx, spread(cam[14])), fma(v, fy, spread(cam[15]))
        jx, jy = inverse * fx, inverse * fy
        jxz = -(jx * minimum(maximum(u, cam[18]), cam[19]))
        jyz = -(jy * minimum(maximum(v, cam[20]), cam[21]))
    a0, a1, a2 = fma(jxz, cam[8], jx * cam[0]), fma(jxz, cam[9], jx * cam[1]), fma(jxz, cam[10], jx * cam[2])
    b0, b1, b2 = fma(jyz, cam[8], jy * cam[4]), fma(jyz, cam[9], jy * cam[5]), fma(jyz, cam[10], jy * cam[6])
    xx, xy, xz = load(inputs, 24), load(inputs, 32), load(inputs, 40)
    yy, yz, zz = load(inputs, 48), load(inputs, 56), load(inputs, 64)
    sa0, sa1, sa2 = (
        fma(a0, xx, fma(a1, xy, a2 * xz)),
        fma(a0, xy, fma(a1, yy, a2 * yz)),
        fma(a0, xz, fma(a1, yz, a2 * zz)),
    )
    sb0, sb1, sb2 = (
        fma(b0, xx, fma(b1, xy, b2 * xz)),
        fma(b0, xy, fma(b1, yy, b2 * yz)),
        fma(b0, xz, fma(b1, yz, b2 * zz)),
    )
    p = fma(a0, sa0, fma(a1, sa1, fma(a2, sa2, spread(DILATION))))
    q = fma(b0, sa0, fma(b1, sa1, b2 * sa2))
    r = fma(b0, sb0, fma(b1, sb1, fma(b2, sb2, spread(DILATION))))
    determinant = fma(p, r, -(q * q))
    inverse = _ONE / determinant
    ca, cb, cc = r * inverse, -(q * inverse), p * inverse
    log = load(inputs, 72)
    reach = maximum(log - LOG_ALPHA_MIN, _ZERO) * _TWO_LN2
    wide, high = square_root(reach * p), square_root(reach * r)
    over = _ONE / ca
    store(out, 0, mx)
    store(out, 8, my)
    store(out, 16, ca * (-_HALF * _LOG2_E))
    store(out, 24, cb * (-_LOG2_E))
    store(out, 32, cc * (-_HALF * _LOG2_E))
    store(out, 40, log)
    store(out, 48, cb * over)
    store(out, 56, reach * over)
    store(out, 64, inverse * over * over)
    store(out, 72, z)
    store(out, 80, maximum(mx - wide, _ZERO))
    store(out, 88, minimum(mx + wide, cam[16]))
    store(out, 96, maximum(my - high, _ZERO))
    store(out, 104, minimum(my + high, cam[17]))
    store(out, 112, determinant)


@kernel
def project(counter, means, covariances, opacities, values, cam, records, boxes, depths, touched, counts):
    """Fills records [N,16], boxes [N,4] (tile columns and rows, first and last; first > last: not drawn),
    depths [N] (camera z), touched [N] (number of tiles) and counts [chunks, tiles] (entries of each chunk in
    each tile).

    Not drawn: beyond the picture, nearer than near, transparent everywhere, flat to the camera beyond
    float32, or holding anything that is not finite.
    """
    inputs, out = np.empty(80, np.float32), np.empty(120, np.float32)
    columns = (np.int64(cam[16]) + TILE_W - 1) // TILE_W
    total = means.shape[0]
    while True:
        chunk = take_ticket(counter)
        if chunk >= counts.shape[0]:
            return
        tile_counts = counts[chunk]
        tile_counts[:] = 0
        for first in range(chunk * CHUNK, min(total, (chunk + 1) * CHUNK), 8):
            count = min(8, total - first)
            _gather(means, covariances, opacities, first, count, inputs)
            _project_eight(inputs, cam, out)
            for j in range(count):
                i = first + j
                boxes[i, 0], boxes[i, 1], touched[i] = 1, 0, 0
                x0, x1, y0, y1 = out[80 + j], out[88 + j], out[96 + j], out[104 + j]
                seen = out[72 + j] > cam[22] and out[112 + j] > _ZERO and out[40 + j] >= LOG_ALPHA_MIN
                seen = (
                    seen
                    and x0 < x1
                    and y0 < y1
                    and math.isfinite(out[j] + out[8 + j] + out[56 + j] + out[64 + j])
                )
                if not seen or not _finite(means, covariances, opacities, values, i):
                    continue
                record = records[i]
                for k in range(6):
                    record[k] = out[8 * k + j]
                for k in range(3):
                    record[SHEAR + k] = out[48 + 8 * k + j]
                for k in range(4):
                    record[VALUES + k] = values[i, k] if k < values.shape[1] else _ZERO
                depths[i] = out[72 + j]
                tx0, ty0 = np.int64(x0) // TILE_W, np.int64(y0) // TILE_H
                tx1 = min(np.int64(x1), np.int64(cam[16]) - 1) // TILE_W
                ty1 = min(np.int64(y1), np.int64(cam[17]) - 1) // TILE_H
                boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = tx0, tx1, ty0, ty1
                touched[i] = (tx1 - tx0 + 1) * (ty1 - ty0 + 1)
                for row in range(ty0, ty1 + 1):
                    for column in range(tx0, tx1 + 1):
                        tile_counts[row * columns + column] += 1
