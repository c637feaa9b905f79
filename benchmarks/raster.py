# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU rasteriser against the plain torch tile loop, in one run; prints JSON.

    python benchmarks/raster.py --count 65536 --size 512 --repeats 9 --threads 2

The peer sorts once, and composites each tile of 16 x 16 pixels by a cumulative product over its Gaussians.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at, rasterize, workers

TILE = 16


def body_like(count: int, seed: int = 0) -> Gaussians:
    """Flat, nearly opaque Gaussians on the surface of a body-sized ellipsoid, spaced as an avatar's are."""
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    means = normals * (0.25, 0.18, 0.9) + (0, 0, 0.9)
    spacing = np.sqrt(2.0 / count)
    scales = spacing * np.stack(
        [rng.uniform(0.5, 1.2, count), rng.uniform(0.5, 1.2, count), np.full(count, 0.15)], 1
    )
    z = np.array([0.0, 0, 1])
    quats = np.concatenate([1 + normals @ z[:, None] + 1e-6, np.cross(z, normals)], 1)
    opacities = np.clip(rng.normal(0.95, 0.02, count), 0.85, 0.99)
    arrays = (means, quats, scales, opacities, rng.uniform(size=(count, 3)))
    return Gaussians.from_quats_scales(*(torch.tensor(a, dtype=torch.float32) for a in arrays))


@torch.no_grad()
def torch_tile_loop(scene: Gaussians, camera: Camera) -> torch.Tensor:
    """combined [H,W,4] in plain torch, float32."""
    view, K = (torch.tensor(m, dtype=torch.float32) for m in (camera.viewmat, camera.K))
    x, y, z = (scene.means @ view[:3, :3].T + view[:3, 3]).unbind(-1)
    fx, fy, zero = K[0, 0], K[1, 1], torch.zeros_like(x)
    jacobian = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1).reshape(-1, 2, 3)
    m = jacobian @ view[:3, :3]
    spread = m @ scene.covariances @ m.mT + 0.3 * torch.eye(2)
    inverse = torch.linalg.inv(spread)
    centres = torch.stack([fx * x / z + K[0, 2], fy * y / z + K[1, 2]], -1)
    reach = (2 * torch.log(255 * scene.opacities)).clamp_min(0)[:, None] * spread.diagonal(dim1=1, dim2=2)
    low, high = centres - reach.sqrt(), centres + reach.sqrt()
    order = torch.argsort(z)
    picture = torch.zeros(camera.height, camera.width, 4)
    for y0 in range(0, camera.height, TILE):
        row = order[(high[order, 1] > y0) & (low[order, 1] < y0 + TILE)]
        for x0 in range(0, camera.width, TILE):
            here = row[(high[row, 0] > x0) & (low[row, 0] < x0 + TILE)]
            if not len(here):
                continue
            ys, xs = (
                torch.arange(y0, min(y0 + TILE, camera.height)),
                torch.arange(x0, min(x0 + TILE, camera.width)),
            )
            pixels = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 1, 2) + 0.5
            d = pixels - centres[here]
            q = inverse[here]
            power = (
                q[:, 0, 0] * d[..., 0] ** 2
                + 2 * q[:, 0, 1] * d[..., 0] * d[..., 1]
                + q[:, 1, 1] * d[..., 1] ** 2
            )
            alpha = (scene.opacities[here] * torch.exp(-0.5 * power)).clamp_max(0.999)
            alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
            passing = torch.cumprod(1 - alpha, 1)
            weight = alpha * torch.cat([torch.ones_like(passing[:, :1]), passing[:, :-1]], 1)
            colors = torch.cat([scene.colors[here], torch.ones(len(here), 1)], 1)
            picture[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] = (weight @ colors).reshape(len(ys), len(xs), 4)
    return picture


def milliseconds(work, repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(times), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=65536)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    workers.set_threads(args.threads)
    scene = body_like(args.count)
    camera = Camera.from_fov(look_at((0.9, -3.0, 1.2), (0, 0, 0.9)), 0.7, args.size, args.size)
    leaves = [
        t.clone().requires_grad_() for t in (scene.means, scene.covariances, scene.opacities, scene.colors)
    ]
    weight = torch.rand(args.size, args.size, 4)

    def both_ways():
        torch.autograd.grad((rasterize(Gaussians(*leaves), camera)["combined"] * weight).sum(), leaves)

    ours = milliseconds(lambda: rasterize(scene, camera), args.repeats)
    peer = milliseconds(lambda: torch_tile_loop(scene, camera), max(1, args.repeats // 4))
    error = (rasterize(scene, camera)["combined"] - torch_tile_loop(scene, camera)).square().mean().item()
    result = {
        **{"gaussians": args.count, "size": args.size, "threads": args.threads},
        **{"ours_ms": ours, "torch_tile_loop_ms": peer, "times_faster": round(peer / ours, 1)},
        "forward_and_backward_ms": milliseconds(both_ways, args.repeats),
        "psnr_against_peer_db": round(-10 * np.log10(error + 1e-20), 1),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
