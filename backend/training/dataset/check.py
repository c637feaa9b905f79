# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a folder of shards (`docs/data_format.md`): one line a fault, with its shard and sample.

Beyond files and shapes: cameras must be rotations with positive focal lengths, the fitted body must stand
before its camera and inside its mask, and the template's points must land on the pixels that show them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...body.anchors import surface_samples
from ...body.template import load_template
from ...errors import UserError, printable
from .shards import FEWEST_VIEWS, REGIMES, Sample, enough_views, read_shard

POINTS = 256  # of a map are projected
MAP_ERROR = 0.12  # of the person's height in pixels, in the median: clothes stand off, but not that much
ROOM = 0.15  # metres that a point may lie outside the template's box
SLACK = 0.5  # of the body's box: how far outside of the mask's box the skeleton's middle may be


def check_folder(folder: str | Path) -> Iterator[str]:
    """A line for every fault found in the shards of a folder; nothing if all is well. Never raises for bad
    data, only for a folder without shards (UserError).
    """
    paths = sorted(Path(folder).glob("*.tar"))
    if not paths:
        raise UserError(f"There are no shards (*.tar) in {folder}.")
    names: dict[str, str] = {}
    for path in paths:
        try:
            samples = read_shard(path)
        except UserError as error:
            yield error.message
            continue
        for sample in samples:
            if sample.name in names:
                yield printable(f"{path.name}: {sample.name} is in {names[sample.name]} too.")
            names[sample.name] = path.name
            yield from check_sample(sample)


def check_sample(sample: Sample) -> Iterator[str]:
    """A line for every fault of one person."""
    try:
        views = sample.facts["views"]
        sample.joint_heads()
    except UserError as error:
        yield error.message
        return
    regime = sample.facts.get("regime")
    if regime not in REGIMES:
        yield sample.wrong(f".json: regime {regime!r} is none of {', '.join(REGIMES)}").message
    known, sizes, is_face = set(), set(), []
    for view in views:
        try:
            name = sample.view_name(view)
            if name in known:
                raise sample.wrong(f".json: view {name} is there twice")
            known.add(name)
            sizes.add(check_view(sample, view, name))
            is_face.append(sample.numbers(view, "is_face", (), 0) > 0)
        except UserError as error:
            yield error.message
    if len(sizes) > 1:
        yield sample.wrong(": its frames are not all of one size").message
    if len(is_face) == len(views) and not enough_views(is_face):
        yield sample.wrong(f" has fewer than {FEWEST_VIEWS} views, or none of the body").message
    for name in sorted({key.partition(".")[0] for key in sample.members} - known - {"json"}):
        yield sample.wrong(f".{name}: the JSON knows no such view").message


def check_view(sample: Sample, view: dict, name: str) -> tuple[int, int]:
    """Height and width of a view without fault. Errors: UserError with the first fault."""
    wrong = lambda text: sample.wrong(f".{name}: {text}")  # noqa: E731
    arrays = sample.view_arrays(view)
    picture, _, points = sample.pixels(name)
    if not picture[..., 3].any():
        raise wrong("the mask is empty")
    viewmat, K = arrays["viewmats"].astype(np.float64), arrays["Ks"].astype(np.float64)
    rotation = viewmat[:3, :3]
    if (
        np.abs(viewmat[3] - [0, 0, 0, 1]).max() > 1e-4
        or np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-2
    ):
        raise wrong("viewmat is no rotation and translation")
    if np.linalg.det(rotation) < 0:
        raise wrong("viewmat mirrors")
    if min(K[0, 0], K[1, 1]) <= 0 or np.abs(K[2] - [0, 0, 1]).max() > 1e-4 or K[1, 0] != 0:
        raise wrong("K is no matrix of pixels: fx, fy > 0, last row 0 0 1")
    if arrays["expression"].min() < -0.01 or arrays["expression"].max() > 1.5:
        raise wrong("expression weights lie outside 0..1")
    if np.abs(arrays["gaze"]).max() > 1.2:
        raise wrong("gaze is no angle of eyes in radians")
    fault = _misplaced(arrays["transforms"].astype(np.float64), viewmat, K, picture[..., 3] > 127)
    if not fault and points is not None:
        fault = _astray(arrays["transforms"].astype(np.float64), viewmat, K, points)
    if fault:
        raise wrong(fault)
    return picture.shape[:2]


def _project(world: np.ndarray, viewmat: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n,2] and camera z [n] of points [n,3]."""
    seen = world @ viewmat[:3, :3].T + viewmat[:3, 3]
    pixels = seen @ K.T
    return pixels[:, :2] / np.where(np.abs(pixels[:, 2:]) < 1e-6, 1e-6, pixels[:, 2:]), seen[:, 2]


def _misplaced(transforms, viewmat, K, mask) -> str:
    """What is wrong with where the fitted skeleton stands."""
    linear = transforms[:, :, :3]
    if (np.linalg.det(linear) < 1e-3).any() or np.linalg.norm(linear, axis=1).max() > 4:
        return "transforms are no rotations with moderate scales"
    heads = np.asarray(load_template().joint_heads, np.float64)
    pixels, depth = _project(np.einsum("jab,jb->ja", linear, heads) + transforms[:, :, 3], viewmat, K)
    if (depth > 0).mean() < 0.5:
        return "the fitted body is behind the camera (axes: x right, y down, z forward)"
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return ""
    low = np.array([columns.min(), rows.min()], float)
    high = np.array([columns.max(), rows.max()], float) + 1
    slack = SLACK * (high - low).max()
    inside = ((pixels > low - slack) & (pixels < high + slack)).all(1) & (depth > 0)
    return "" if inside.any() else "the fitted body is not where the mask is"


def _astray(transforms, viewmat, K, points) -> str:
    """What is wrong with a map: points that are off the template, or on pixels that do not show them."""
    template = load_template()
    rows, columns = np.nonzero(points.any(-1))
    if not len(rows):
        return ""
    chosen = np.random.default_rng(0).permutation(len(rows))[:POINTS]
    rows, columns = rows[chosen], columns[chosen]
    at = points[rows, columns].astype(np.float64)
    low, high = template.vertices.min(0) - ROOM, template.vertices.max(0) + ROOM
    if not np.isfinite(at).all() or (at < low).any() or (at > high).any():
        return "the map holds points off the template (metres, A-pose, Z up, facing -Y)"
    if len(rows) < 16:
        return ""
    skin = surface_samples(at)
    weights = np.asarray(skin.skin_weights, np.float64)[..., None, None]
    blended = (transforms[np.asarray(skin.skin_indices)] * weights).sum(1)
    world = np.einsum("nab,nb->na", blended[:, :, :3], at) + blended[:, :, 3]
    pixels, depth = _project(world, viewmat, K)
    size = max(np.ptp(rows), np.ptp(columns), 8)
    off = np.linalg.norm(pixels - np.stack([columns, rows], 1) - 0.5, axis=1)
    if (depth > 0).mean() < 0.5 or np.median(off) > MAP_ERROR * size:
        return (
            f"the map's points land {np.median(off):.0f} pixels off in the median: camera, transforms or map"
        )
    return ""
