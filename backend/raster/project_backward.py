# SPDX-License-Identifier: GPL-3.0-or-later
"""The gradient of projection: from the picture's ellipses back to means, covariances and opacities.

In double precision, one Gaussian at a time: this is a small part of a gradient's time, and ill-conditioned
ellipses stay exact. The camera is constant.
"""

import numpy as np

from ..jit import kernel
from .lanes import take_ticket
from .project import CHUNK


@kernel
def _jacobian(x, y, z, cam, out):
    """out: jx, jy, jxz, jyz, and where the limit of x/z, y/z holds (1) or the point itself counts (0)."""
    fx, fy = cam[12], cam[13]
    if cam[23] != 0.0:
        out[0], out[1], out[2], out[3], out[4], out[5] = fx, fy, 0.0, 0.0, 0.0, 0.0
        return
    u, v = x / z, y / z
    limited_u, limited_v = min(max(u, cam[18]), cam[19]), min(max(v, cam[20]), cam[21])
    out[0], out[1] = fx / z, fy / z
    out[2], out[3] = -fx * limited_u / z, -fy * limited_v / z
    out[4], out[5] = 1.0 if limited_u != u else 0.0, 1.0 if limited_v != v else 0.0


@kernel
def _backward_one(mean, covariance, opacity, cam, sums, work, grad_mean, grad_covariance):
    """One Gaussian. sums: alpha's gradient times 1, dx, dy, dx^2, dx dy, dy^2, summed over its pixels.
    Returns the gradient of the opacity."""
    x = cam[0] * mean[0] + cam[1] * mean[1] + cam[2] * mean[2] + cam[3]
    y = cam[4] * mean[0] + cam[5] * mean[1] + cam[6] * mean[2] + cam[7]
    z = cam[8] * mean[0] + cam[9] * mean[1] + cam[10] * mean[2] + cam[11]
    _jacobian(x, y, z, cam, work)
    jx, jy, jxz, jyz = work[0], work[1], work[2], work[3]
    m, sm = work[8:14].reshape(2, 3), work[16:22].reshape(2, 3)
    for k in range(3):
        m[0, k] = jx * cam[k] + jxz * cam[8 + k]
        m[1, k] = jy * cam[4 + k] + jyz * cam[8 + k]
    for r in range(2):
        for k in range(3):
            sm[r, k] = 0.0
            for l in range(3):
                sm[r, k] += 0.5 * (covariance[3 * k + l] + covariance[3 * l + k]) * m[r, l]
    p, q, r_ = 0.3, 0.0, 0.3
    for k in range(3):
        p += m[0, k] * sm[0, k]
        q += m[1, k] * sm[0, k]
        r_ += m[1, k] * sm[1, k]
    det = p * r_ - q * q
    ca, cb, cc = r_ / det, -q / det, p / det
    # d loss / d picture mean, and (with G the gradient of the inverse covariance Q) d loss / d covariance =
    # -Q G Q
    gx, gy = ca * sums[1] + cb * sums[2], cb * sums[1] + cc * sums[2]
    ga, gb, gc = -0.5 * sums[3], -0.5 * sums[4], -0.5 * sums[5]
    t00, t01, t10, t11 = ca * ga + cb * gb, ca * gb + cb * gc, cb * ga + cc * gb, cb * gb + cc * gc
    d00, d01, d11 = -(t00 * ca + t01 * cb), -(t00 * cb + t01 * cc), -(t10 * cb + t11 * cc)
    for k in range(3):
        u0, u1 = d00 * m[0, k] + d01 * m[1, k], d01 * m[0, k] + d11 * m[1, k]
        for l in range(3):
            grad_covariance[3 * k + l] = u0 * m[0, l] + u1 * m[1, l]
    dx, dy, dz = 0.0, 0.0, 0.0
    if cam[23] != 0.0:
        dx, dy = gx * cam[12], gy * cam[13]
    else:
        jac_x, jac_y, jac_xz, jac_yz = 0.0, 0.0, 0.0, 0.0  # d loss / d entries of the Jacobian
        for k in range(3):
            e0, e1 = 2.0 * (d00 * sm[0, k] + d01 * sm[1, k]), 2.0 * (d01 * sm[0, k] + d11 * sm[1, k])
            jac_x += e0 * cam[k]
            jac_xz += e0 * cam[8 + k]
            jac_y += e1 * cam[4 + k]
            jac_yz += e1 * cam[8 + k]
        dx, dy = gx * jx, gy * jy
        dz = -(gx * jx * x + gy * jy * y) / z - (jac_x * jx + jac_y * jy) / z
        if work[4] == 0.0:
            dx -= jac_xz * jx / z
            dz -= 2.0 * jac_xz * jxz / z
        else:
            dz -= jac_xz * jxz / z
        if work[5] == 0.0:
            dy -= jac_yz * jy / z
            dz -= 2.0 * jac_yz * jyz / z
        else:
            dz -= jac_yz * jyz / z
    for k in range(3):
        grad_mean[k] = cam[k] * dx + cam[4 + k] * dy + cam[8 + k] * dz
    return sums[0] / opacity


@kernel
def project_backward(
    counter, means, covariances, opacities, cam, touched, sums, grad_means, grad_covariances, grad_opacities
):
    """Fills grad_means [N,3], grad_covariances [N,9], grad_opacities [N]; zeros where a Gaussian was not
    drawn."""
    work = np.empty(24, np.float64)
    total = means.shape[0]
    while True:
        first = take_ticket(counter) * CHUNK
        if first >= total:
            return
        for i in range(first, min(total, first + CHUNK)):
            if touched[i]:
                grad_opacities[i] = _backward_one(
                    means[i],
                    covariances[i],
                    opacities[i],
                    cam,
                    sums[i],
                    work,
                    grad_means[i],
                    grad_covariances[i],
                )
            else:
                grad_means[i], grad_covariances[i], grad_opacities[i] = 0.0, 0.0, 0.0
