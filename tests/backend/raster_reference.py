# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow rasteriser that can be read in one sitting: every Gaussian at every pixel, torch, float64."""

import torch


def project(means, covariances, camera):
    """Picture means [N,2], covariances [N,2,2] (dilated) and camera z [N], as 3D Gaussian splatting defines
    them."""
    view = torch.tensor(camera.viewmat, dtype=means.dtype)
    K = torch.tensor(camera.K, dtype=means.dtype)
    points = means @ view[:3, :3].T + view[:3, 3]
    x, y, z = points.unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    zero, one = torch.zeros_like(z), torch.ones_like(z)
    if camera.orthographic:
        jacobian = torch.stack([fx * one, zero, zero, zero, fy * one, zero], -1)
        centres = torch.stack([fx * x + cx, fy * y + cy], -1)
    else:
        margin_x, margin_y = 0.15 * camera.width / fx, 0.15 * camera.height / fy
        tx = z * (x / z).clamp(-cx / fx - margin_x, (camera.width - cx) / fx + margin_x)
        ty = z * (y / z).clamp(-cy / fy - margin_y, (camera.height - cy) / fy + margin_y)
        jacobian = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1)
        centres = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)
    m = jacobian.reshape(-1, 2, 3) @ view[:3, :3]
    return centres, m @ covariances @ m.mT + 0.3 * torch.eye(2, dtype=means.dtype), z


def draw(means, covariances, opacities, values, camera):
    """Layers [H, W, 1 + D]: channels 0..2, alpha, channels 3...; differentiable. All Gaussians must be
    finite."""
    keep = camera_z(means, camera) > camera.near
    means, covariances, opacities, values = (t[keep] for t in (means, covariances, opacities, values))
    centres, spread, z = project(means, covariances, camera)
    inverse = torch.linalg.inv(spread)
    ys = torch.arange(camera.height, dtype=means.dtype) + 0.5
    xs = torch.arange(camera.width, dtype=means.dtype) + 0.5
    pixels = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
    transmittance = torch.ones(camera.height, camera.width, dtype=means.dtype)
    picture = torch.zeros(camera.height, camera.width, values.shape[1] + 1, dtype=means.dtype)
    alive = torch.ones(camera.height, camera.width, dtype=torch.bool)
    for i in torch.argsort(z.float(), stable=True):
        d = pixels - centres[i]
        power = -0.5 * torch.einsum("hwi,ij,hwj->hw", d, inverse[i], d)
        alpha = (opacities[i] * power.exp()).clamp_max(0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
        following = transmittance * (1 - alpha)
        alive = alive & (following > 1e-4)
        weight = torch.where(alive, alpha * transmittance, 0.0)
        row = torch.cat([values[i, :3], torch.ones_like(values[i, :1]), values[i, 3:]])
        picture = picture + weight[..., None] * row
        transmittance = torch.where(alive, following, transmittance)
    return picture


def camera_z(means, camera):
    view = torch.tensor(camera.viewmat, dtype=means.dtype)
    return means @ view[2, :3] + view[2, 3]
