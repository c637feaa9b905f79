# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser for the CPU: project, list per tile, sort, blend (kernels/).

Bit for bit the same on any number of threads: work is cut into pieces whose size does not depend on it, and
every sum has one fixed order.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..native import INT, POINTER, Kernel, Struct
from ..workers import default_threads, share
from .workspace import Workspace

TILE_W, TILE_H = 32, 16
RECORD = 16  # floats
MOST_CHANNELS = 40  # blended in one pass over a tile, colour included
MOST_ENTRIES = 1 << 26  # of the lists that are in memory at a time
MOST_COUNTS = 1 << 22

_project = Kernel("lca_project", POINTER, INT, INT, *[POINTER] * 6, INT, POINTER, INT, *[POINTER] * 4, INT)
_offsets = Kernel("lca_offsets", INT, INT, INT, POINTER, POINTER)
_longest_first = Kernel("lca_longest_first", INT, INT, POINTER, POINTER)
_scatter = Kernel(
    "lca_scatter", POINTER, INT, INT, *[POINTER] * 3, *[INT] * 3, POINTER, POINTER, INT, POINTER
)
_blend = Kernel("lca_blend", POINTER, INT, POINTER, POINTER, INT, INT, POINTER, POINTER, POINTER)


@dataclass(frozen=True)
class Scene:
    """Contiguous float32 arrays: means [N,3], covariances [N,9], opacities [N], colors [N,3], and, or None,
    normals [N,3] and features [N,C]. depth: camera z is blended too; it always is with normals."""

    means: np.ndarray
    covariances: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    normals: np.ndarray | None = None
    features: np.ndarray | None = None
    depth: bool = False

    def __len__(self) -> int:
        return len(self.means)

    @property
    def feature_channels(self) -> int:
        return 0 if self.features is None else self.features.shape[1]

    @property
    def geometry(self) -> int:
        """Channels of camera z and normal."""
        return 4 if self.normals is not None else int(self.depth)

    @property
    def layers(self) -> int:
        """Channels beside colour and alpha: camera z, normal, features."""
        return self.geometry + self.feature_channels


@dataclass(frozen=True)
class View:
    """camera: the numbers of `camera_numbers`; scene_depth float32 [H,W] or None; background float32 [3],
    [H,W,3] or None."""

    camera: np.ndarray
    width: int
    height: int
    antialiased: bool = False
    scene_depth: np.ndarray | None = None
    background: np.ndarray | None = None

    @property
    def columns(self) -> int:
        return -(-self.width // TILE_W)

    @property
    def tiles(self) -> int:
        return self.columns * -(-self.height // TILE_H)


def camera_numbers(camera, viewmat: np.ndarray | None = None) -> np.ndarray:
    """float32 [24], `camera_t` of kernels/raster.h: viewmat rows 0..11, fx fy cx cy 12..15, width height
    16..17, limits of x/z and y/z 18..21 (low x, high x, low y, high y), near 22, orthographic 23.

    The Jacobian is taken at a point at most 30 % of the half field of view outside of the picture, as gsplat
    does.
    """
    viewmat = camera.viewmat if viewmat is None else viewmat
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    width, height = camera.width, camera.height
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    limits = (-cx / fx - margin_x, (width - cx) / fx + margin_x)
    limits += (-cy / fy - margin_y, (height - cy) / fy + margin_y)
    numbers = [*viewmat[:3].ravel(), fx, fy, cx, cy, width, height, *limits]
    return np.array([*numbers, camera.near, float(camera.orthographic)], np.float32)


@dataclass
class Lists:
    """The Gaussians on the picture and their lists per tile; arrays as in kernels/raster.h."""

    space: Workspace
    records: np.ndarray
    boxes: np.ndarray
    keys: np.ndarray
    positions: np.ndarray  # [chunks, stride]
    starts: np.ndarray  # [tiles + 1]
    chunk: int
    bands: list[tuple[int, int]]  # first and last + 1 tile of the lists that are in memory at a time


def project(scene: Scene, view: View, space: Workspace, threads: int) -> Lists:
    count, tiles = len(scene), view.tiles
    stride = tiles + view.columns + 2
    # Pieces are small for many threads to share, but few where the picture has many tiles.
    pieces = max(1, min(64, MOST_COUNTS // stride))
    chunk = max(1024, -(-count // pieces + 7) // 8 * 8)
    chunks = -(-count // chunk)
    room = count + 8
    records = space.array("records", (room, RECORD), np.float32)
    boxes, keys = space.array("boxes", (room, 4), np.int16), space.array("keys", (room,), np.uint32)
    counts = space.array("counts", (chunks, stride), np.uint32)
    arrays = (scene.means, scene.covariances, scene.opacities, scene.colors, scene.normals, scene.features)
    results = (records, boxes, keys, counts)
    flags = (scene.feature_channels, view.camera, int(view.antialiased))
    share(_project, chunks, threads, count, chunk, *arrays, *flags, *results, stride)
    starts = space.array("starts", (tiles + 1,), np.int64)
    total = _offsets(chunks, tiles, stride, counts, starts)
    return Lists(space, records, boxes, keys, counts, starts, chunk, _bands(starts, tiles, total))


def _bands(starts: np.ndarray, tiles: int, total: int) -> list[tuple[int, int]]:
    """Neighbouring tiles whose lists are at most MOST_ENTRIES together, or one tile."""
    edges = [0]
    while total - starts[edges[-1]] > MOST_ENTRIES:
        fitting = int(np.searchsorted(starts, starts[edges[-1]] + MOST_ENTRIES, "right")) - 1
        edges.append(max(fitting, edges[-1] + 1))
    return list(pairwise([*edges, tiles] if edges[-1] < tiles else edges))


def fill_lists(scene: Scene, view: View, lists: Lists, band: tuple[int, int], threads: int):
    """The band's tiles, longest lists first; their entries, not yet sorted, and scratch for sorting."""
    first, last = band
    size, chunks = int(lists.starts[last] - lists.starts[first]), len(lists.positions)
    entries = lists.space.array("entries", (size,), np.uint64)
    scratch = lists.space.array("scratch", (size,), np.uint64)
    order = lists.space.array("order", (last - first,), np.int64)
    projected = (lists.records, lists.boxes, lists.keys)
    where = (view.columns, first, last, lists.starts, lists.positions, lists.positions.shape[1])
    share(_scatter, chunks, threads, len(scene), lists.chunk, *projected, *where, entries)
    _longest_first(first, last, lists.starts, order)
    return order, entries, scratch


def walks(scene: Scene):
    """First feature, number of features and number of other layers that are blended, walk by walk."""
    geometry, first = scene.geometry, 0
    while True:
        count = min(MOST_CHANNELS - 3 - geometry, scene.feature_channels - first)
        yield first, count, geometry
        geometry, first = 0, first + count
        if first >= scene.feature_channels:
            return


@dataclass
class Frame:
    """What `draw` keeps in its workspace for the gradient: the lists, those of the last band sorted."""

    lists: Lists
    filled: tuple


def draw(scene: Scene, view: View, picture: np.ndarray, layers: np.ndarray, space: Workspace) -> Frame:
    """Fills picture [H,W,4], float32 or uint8: premultiplied colour over the background, and coverage;
    and layers [H,W,scene.layers] float32: camera z, normal, features, times coverage.

    A Gaussian that is not finite, not in front of the camera or nowhere 1/255 opaque is left out.
    """
    threads = default_threads()
    lists = project(scene, view, space, threads)
    for band in lists.bands:
        filled = fill_lists(scene, view, lists, band, threads)
        for index, walk in enumerate(walks(scene)):
            job = job_of(scene, view, lists, walk, picture if index == 0 else None, layers)
            share(_blend, len(filled[0]), threads, *band_arguments(lists, band, filled, index == 0), job)
    return Frame(lists, filled)


def band_arguments(lists: Lists, band: tuple[int, int], filled: tuple, sort: bool) -> tuple:
    """What kernels that walk through the tiles of a band begin with."""
    order, entries, scratch = filled
    return len(order), order, lists.starts, int(lists.starts[band[0]]), int(sort), entries, scratch


def job_of(scene: Scene, view: View, lists: Lists, walk, picture, layers, gradients=(None, None)) -> Struct:
    """`job_t` of kernels/walk.h. gradients: of picture and layers."""
    first, count, geometry = walk
    background_step = 3 if view.background is not None and view.background.ndim == 3 else 0
    floats, bytes_ = (picture, None) if picture is None or picture.dtype == np.float32 else (None, picture)
    return Struct(
        *(lists.records, scene.features, scene.feature_channels, first, count, geometry),
        *(view.scene_depth, view.width, view.height, view.background, background_step),
        *(floats, bytes_, layers if scene.layers else None, scene.layers, *gradients),
    )
