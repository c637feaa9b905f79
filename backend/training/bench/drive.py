# SPDX-License-Identifier: GPL-3.0-or-later
"""A driven frame, from a signal to pixels, next to the two large matrix products inside it."""

import tempfile
from itertools import cycle
from pathlib import Path

import torch

from ...avatar import Avatar
from ...raster import rasterize
from .timing import case, in_fresh_process, medians, peak_mb
from .workload import avatar, camera, signal

TOKENS, PER_TOKEN, WIDTH = 8192, 8, 128
SIZES = ((512, 512), (1024, 1024))
PEER = f"two float32 products [{TOKENS},{WIDTH}] x [{WIDTH},{WIDTH}]"


@torch.no_grad()
def cases():
    """The whole frame in both types, at both sizes, and driving alone; a frame's peak memory."""
    made = avatar(TOKENS, PER_TOKEN)
    frames = cycle([signal(0.3 * i) for i in range(16)])
    tokens, weights, out = (
        torch.rand(TOKENS, WIDTH),
        torch.rand(2, WIDTH, WIDTH),
        torch.empty(2, TOKENS, WIDTH),
    )

    def products():
        torch.mm(tokens, weights[0], out=out[0])
        torch.mm(out[0], weights[1], out=out[1])

    ours, peer = medians(lambda: made.drive(next(frames)), products, repeats=61)
    yield case("drive alone", len(made), None, ours, PEER, peer)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bench.lca")
        made.save(file)
        yield from _frames(made, frames, products, file)


def _frames(made, frames, products, file):
    for size in SIZES:
        view = camera(*size)
        for name, dtype in (("float32", torch.float32), ("uint8", torch.uint8)):
            ours, peer = medians(
                lambda view=view, dtype=dtype: rasterize(made.drive(next(frames)), view, dtype=dtype),
                products,
                repeats=61,
            )
            added = in_fresh_process("drive:memory", str(file), *size, name)
            yield case(f"driven frame {name}", len(made), size, ours, PEER, peer, **added)


@torch.no_grad()
def memory(file: str, width: int, height: int, dtype: str) -> dict:
    """What reading an avatar and drawing thirty frames of it add to the peak memory of a process that has
    loaded its modules, megabytes."""
    before = peak_mb()
    made, view = Avatar.load(file), camera(width, height)
    for i in range(30):
        rasterize(made.drive(signal(0.3 * i)), view, dtype=getattr(torch, dtype))
    return {"added_peak_mb": round(peak_mb() - before, 1)}
