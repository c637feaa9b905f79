# SPDX-License-Identifier: GPL-3.0-or-later
"""gsplat's own torch reference (`gsplat.cuda._torch_impl`) on the CPU, differentiable: what the rasteriser is
measured and tested against.

Two steps of it need CUDA as shipped and are replaced: listing the (Gaussian, pixel) pairs, and nerfacc's
transmittance along a ray. A third, `_isect_tiles`, is a Python loop over Gaussians; here it is a few torch
operations.
"""

import contextlib
import io
import sys
import types
from itertools import pairwise

import numba
import numpy as np
import torch
from torch import Tensor

from ...errors import UserError

TILE = 16


def load():
    """gsplat's reference and the module it takes its CUDA functions from. UserError without gsplat."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # gsplat says there that it found no CUDA
            from gsplat.cuda import _torch_impl, _wrapper
    except ImportError as error:
        raise UserError(
            "The peer of this comparison is gsplat, which is not installed.", "pip install gsplat"
        ) from error
    return _torch_impl, _wrapper


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _pairs(limits, first, last, light, centres, conics, opacities, starts, ids, width, gaussians, pixels):
    """Lists the Gaussians that each pixel blends, of the first..last entries of its tile; returns how many.

    The rules are those of gsplat's RasterizeToIndices3DGS.cu. limits: 1/2, the most alpha, the least alpha,
    the least light, in the type of the scene. Where `gaussians` is empty it only counts.
    """
    half, most, least, dark = limits
    one, count, height = half + half, 0, light.size // width
    columns = (width + TILE - 1) // TILE
    for tile in range(starts.size - 1):
        begin, end = starts[tile] + first, min(starts[tile + 1], starts[tile] + last)
        x0, y0 = tile % columns * TILE, tile // columns * TILE
        for y in range(y0, min(height, y0 + TILE)):
            for x in range(x0, min(width, x0 + TILE)):
                passing = light[y * width + x]
                for i in range(begin, end):
                    g = ids[i]
                    dx, dy = centres[g, 0] - (np.float32(x) + half), centres[g, 1] - (np.float32(y) + half)
                    a, b, c = conics[g, 0], conics[g, 1], conics[g, 2]
                    sigma = half * (a * dx * dx + c * dy * dy) + b * dx * dy
                    alpha = min(most, opacities[g] * np.exp(-sigma))
                    if sigma < 0 or alpha < least:
                        continue
                    if passing * (one - alpha) <= dark:
                        break
                    passing *= one - alpha
                    if gaussians.size:
                        gaussians[count], pixels[count] = g, y * width + x
                    count += 1
    return count


def _indices_in_range(
    first, last, light, centres, conics, opacities, width, _height, tile_size, offsets, ids
):
    """Stands in for gsplat's CUDA function `rasterize_to_indices_in_range`, for one picture."""
    scene = [tensor[0].detach().numpy() for tensor in (centres, conics, opacities)]
    starts = np.append(offsets.flatten().numpy(), len(ids)).astype(np.int64)
    block = tile_size * tile_size
    passing = light.detach().to(centres.dtype).flatten().numpy()
    limits = np.array([0.5, 0.999, 1 / 255, 1e-4], passing.dtype)
    arguments = (limits, first * block, last * block, passing, *scene, starts, ids.numpy(), width)
    nothing = np.empty(0, np.int64)
    count = _pairs(*arguments, nothing, nothing)
    gaussians, pixels = np.empty(count, np.int64), np.empty(count, np.int64)
    if count:
        _pairs(*arguments, gaussians, pixels)
    return torch.from_numpy(gaussians), torch.from_numpy(pixels), torch.zeros(count, dtype=torch.int64)


def _weights(alphas: Tensor, ray_indices: Tensor, n_rays: int) -> tuple[Tensor, Tensor]:
    """Stands in for nerfacc's `render_weight_from_alpha`: weights, and the light before each sample."""
    logs = torch.log1p(-alphas.double())
    before = torch.cumsum(logs, 0) - logs
    first = torch.ones_like(ray_indices, dtype=torch.bool)
    first[1:] = ray_indices[1:] != ray_indices[:-1]
    light = torch.exp(before - before[first][torch.cumsum(first, 0) - 1]).to(alphas)
    return alphas * light, light


def _sums(weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int) -> Tensor:
    """Stands in for nerfacc's `accumulate_along_rays`."""
    weighted = weights[:, None] if values is None else weights[:, None] * values
    return weighted.new_zeros(n_rays, weighted.shape[-1]).index_add(0, ray_indices, weighted)


@torch.no_grad()
def _tiles(centres: Tensor, radii: Tensor, depths: Tensor, columns: int, rows: int) -> tuple[Tensor, Tensor]:
    """gsplat's `_isect_tiles` and `_isect_offset_encode` for one picture: offsets [1,rows,columns], ids."""
    centres, radii = centres[0] / TILE, radii[0] / TILE
    limit = torch.tensor([columns, rows])
    low = torch.floor(centres - radii).nan_to_num(0).clamp(limit * 0, limit).long()
    high = torch.ceil(centres + radii).nan_to_num(0).clamp(limit * 0, limit).long()
    size = (high - low) * (radii > 0).all(-1, keepdim=True)
    touched = size.prod(-1)
    owner = torch.repeat_interleave(torch.arange(len(touched)), touched)
    k = torch.arange(len(owner)) - (torch.cumsum(touched, 0) - touched)[owner]
    wide = size[owner, 0].clamp(min=1)
    tile = (low[owner, 1] + k // wide) * columns + low[owner, 0] + k % wide
    key = tile << 32 | depths[0].float().view(torch.int32).long()[owner]
    key, order = torch.sort(key, stable=True)
    counts = torch.bincount(key >> 32, minlength=rows * columns)
    return (torch.cumsum(counts, 0) - counts).int().reshape(1, rows, columns), owner[order].int()


@contextlib.contextmanager
def _without_cuda(wrapper):
    """The two steps that need CUDA replaced, for as long as the reference draws."""
    nerfacc = types.ModuleType("nerfacc")
    nerfacc.render_weight_from_alpha, nerfacc.accumulate_along_rays = _weights, _sums
    theirs = sys.modules.get("nerfacc"), wrapper.rasterize_to_indices_in_range
    sys.modules["nerfacc"], wrapper.rasterize_to_indices_in_range = nerfacc, _indices_in_range
    try:
        yield
    finally:
        sys.modules["nerfacc"], wrapper.rasterize_to_indices_in_range = theirs
        if theirs[0] is None:
            del sys.modules["nerfacc"]


def camera_colors(colors: Tensor, means: Tensor, viewmat: Tensor) -> Tensor:
    """colors [N,3] as they are; spherical harmonics [N,(d+1)^2,3] as seen from the camera, as gsplat does."""
    if colors.ndim == 2:
        return colors
    implementation, _ = load()
    degree = round(colors.shape[1] ** 0.5) - 1
    directions = means - torch.inverse(viewmat)[:3, 3]
    return torch.clamp_min(implementation._spherical_harmonics(degree, directions, colors) + 0.5, 0)


def draw(
    means: Tensor,
    covariances: Tensor,
    opacities: Tensor,
    colors: Tensor,
    camera,
    *,
    features: Tensor | None = None,
    viewmat: Tensor | None = None,
    antialiased: bool = False,
) -> Tensor:
    """Layers [H,W,4+C]: premultiplied colour, alpha, features [N,C]; differentiable, in the tensors' type.

    means [N,3], covariances [N,3,3], opacities [N], colors [N,3] or spherical harmonics [N,(d+1)^2,3];
    viewmat [4,4] in place of the camera's. UserError where gsplat is missing.
    """
    implementation, wrapper = load()
    if viewmat is None:
        viewmat = torch.tensor(camera.viewmat, dtype=means.dtype)
    K = torch.tensor(camera.K, dtype=means.dtype)
    width, height = camera.width, camera.height
    radii, centres, depths, conics, compensations = implementation._fully_fused_projection(
        means,
        covariances,
        viewmat[None],
        K[None],
        width,
        height,
        near_plane=camera.near,
        calc_compensations=antialiased,
        camera_model="ortho" if camera.orthographic else "pinhole",
    )
    alphas = opacities[None] * compensations if antialiased else opacities[None]
    values = camera_colors(colors, means, viewmat)
    if features is not None:
        values = torch.cat([values, features], -1)
    offsets, ids = _tiles(centres.detach(), radii, depths.detach(), -(-width // TILE), -(-height // TILE))
    with _without_cuda(wrapper):
        picture, alpha = implementation._rasterize_to_pixels(
            centres, conics, values[None], alphas, width, height, TILE, offsets, ids
        )
    return torch.cat([picture[0, ..., :3], alpha[0], picture[0, ..., 3:]], -1)


# ---- gsplat's CUDA functions, as `gsplat.rasterization` calls them ----


def _fully_fused_projection(means, covars, quats, scales, viewmats, Ks, width, height, *, eps2d=0.3,
                            near_plane=0.01, far_plane=1e10, radius_clip=0.0, packed=False, sparse_grad=False,
                            calc_compensations=False, camera_model="pinhole", opacities=None):  # fmt: skip
    implementation, _ = load()
    full = covars[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3))
    planes = {"eps2d": eps2d, "near_plane": near_plane, "far_plane": far_plane}
    return implementation._fully_fused_projection(
        means, full, viewmats, Ks, width, height, **planes,
        calc_compensations=calc_compensations, camera_model=camera_model,
    )  # fmt: skip


def _isect_tiles(means2d, radii, depths, tile_size, tile_width, tile_height, **_packing):
    return load()[0]._isect_tiles(means2d, radii, depths, tile_size, tile_width, tile_height)


def _rasterize_to_pixels(means2d, conics, colors, opacities, image_width, image_height, tile_size,
                         isect_offsets, flatten_ids, backgrounds=None, **_packing):  # fmt: skip
    implementation, wrapper = load()
    starts = [*isect_offsets[:, 0, 0].tolist(), len(flatten_ids)]
    pictures = []
    for i, (first, last) in enumerate(pairwise(starts)):
        one = (tensor[i : i + 1] for tensor in (means2d, conics, colors, opacities))
        ids = flatten_ids[first:last] - i * means2d.shape[1]
        behind = None if backgrounds is None else backgrounds[i : i + 1]
        with _without_cuda(wrapper):
            pictures.append(
                implementation._rasterize_to_pixels(
                    *one, image_width, image_height, tile_size, isect_offsets[i : i + 1] - first, ids, behind
                )
            )
    return tuple(torch.cat(parts) for parts in zip(*pictures, strict=True))


def _spherical_harmonics(degree, dirs, coeffs, masks=None):
    return load()[0]._spherical_harmonics(degree, dirs, coeffs)


@contextlib.contextmanager
def in_place_of_cuda():
    """gsplat's CUDA functions are its torch reference, on the CPU and for tensors of one batch: code that
    calls them can run where there is no graphics card."""
    implementation, _ = load()
    import gsplat
    from gsplat import rendering

    functions = {
        "fully_fused_projection": _fully_fused_projection,
        "isect_tiles": _isect_tiles,
        "isect_offset_encode": implementation._isect_offset_encode,
        "rasterize_to_pixels": _rasterize_to_pixels,
        "spherical_harmonics": _spherical_harmonics,
    }
    theirs = [(module, name, getattr(module, name)) for module in (gsplat, rendering) for name in functions]
    for module, name, _ in theirs:
        setattr(module, name, functions[name])
    try:
        yield
    finally:
        for module, name, function in theirs:
            setattr(module, name, function)
