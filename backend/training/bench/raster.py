# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a body, forward, and forward and backward; next to gsplat's torch reference."""

import statistics
from functools import partial

import torch

from ...gaussians import Gaussians
from ...raster import Camera, rasterize
from . import gsplat_reference
from .timing import busy_processes, case, in_fresh_process, medians, milliseconds
from .workload import body, camera

PEER = "gsplat torch reference"
SQUARE, LARGE, WIDE = (512, 512), (1024, 1024), (1920, 1080)
COUNTS = (16_384, 65_536, 200_000, 1_000_000)
TYPES = {"float32": torch.float32, "uint8": torch.uint8}
USUAL = 65_536


def _ours(scene: Gaussians, view: Camera, dtype=torch.float32) -> torch.Tensor:
    return rasterize(scene, view, dtype=dtype)["combined"]


def _theirs(scene: Gaussians, view: Camera) -> torch.Tensor:
    return gsplat_reference.draw(scene.means, scene.covariances, scene.opacities, scene.colors, view)


@torch.no_grad()
def forward():
    """Every count and size in both types; then how cost grows, a busy machine, and the first picture."""
    times = {}
    for count in COUNTS:
        scene, few = body(count), count > 500_000
        for size in (SQUARE, LARGE, WIDE):
            view = camera(*size)
            theirs = partial(_theirs, scene, view)
            for name, dtype in TYPES.items():
                ours = partial(_ours, scene, view, dtype)
                mine, peer = medians(ours, theirs, 11 if few else 31, 1 if few or name == "uint8" else 3)
                times[count, size, name] = mine
                yield case(f"raster {name}", count, size, mine, PEER, peer)
    yield from _growth({(count, size): times[count, size, "uint8"] for count, size, _ in times})
    yield _beside_busy_processes()
    first = in_fresh_process("raster:first_picture")
    yield case("first picture of a process", USUAL, SQUARE, first["first"], "a later one", first["later"])


def _growth(times: dict):
    """Cost against that of the fewest Gaussians, or of the smaller picture, times what there is more of."""
    for count in COUNTS[1:]:
        times_more = count / COUNTS[0]
        peer = f"{COUNTS[0]} Gaussians, x{times_more:.0f}"
        share = times_more * times[COUNTS[0], SQUARE]
        yield case("cost of more Gaussians", count, SQUARE, times[count, SQUARE], peer, share)
    yield case(
        "cost of more pixels", USUAL, LARGE, times[USUAL, LARGE], "512x512, x4", 4 * times[USUAL, SQUARE]
    )


def _median_picture(scene: Gaussians, view: Camera, repeats: int = 41) -> float:
    return statistics.median(milliseconds(partial(_ours, scene, view)) for _ in range(repeats))


def _beside_busy_processes() -> dict:
    scene, view = body(USUAL), camera(*SQUARE)
    _ours(scene, view)
    alone = _median_picture(scene, view)
    with busy_processes(2):
        busy = _median_picture(scene, view)
    return case("beside two busy processes", USUAL, SQUARE, busy, "the same, alone", alone)


def first_picture() -> dict:
    """Milliseconds of the first picture that a process draws, which loads the library, and of a later one."""
    scene, view = body(USUAL), camera(*SQUARE)
    first = milliseconds(partial(_ours, scene, view))
    return {"first": first, "later": _median_picture(scene, view, 9)}


def _both_ways(draw, leaves: list[torch.Tensor], weight: torch.Tensor, view: Camera) -> None:
    torch.autograd.grad(draw(Gaussians(*leaves), view), leaves, weight)


def backward():
    """Forward and backward to means, covariances, opacities and colours."""
    for count, size in ((COUNTS[0], SQUARE), (USUAL, SQUARE), (USUAL, LARGE)):
        scene = body(count)
        fields = (scene.means, scene.covariances, scene.opacities, scene.colors)
        leaves = [tensor.clone().requires_grad_() for tensor in fields]
        arguments = (leaves, torch.rand(size[1], size[0], 4), camera(*size))
        ours, theirs = (partial(_both_ways, draw, *arguments) for draw in (_ours, _theirs))
        mine, peer = medians(ours, theirs, peer_repeats=3)
        yield case("forward and backward", count, size, mine, f"autograd through {PEER}", peer)
