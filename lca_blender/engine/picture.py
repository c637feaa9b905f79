# SPDX-License-Identifier: GPL-3.0-or-later
"""From avatars and a camera to scene-linear pictures, for final frames and the 3D view."""

from collections.abc import Sequence

import bpy
import numpy as np
import torch

from ..backend.gaussians import Gaussians
from ..backend.raster import Camera, rasterize
from ..backend.raster.background import put_behind
from ..backend.raster.mesh_depth import mesh_depth
from ..scene.colour import scene_linear
from ..scene.evaluate import evaluate, one_thread, visible_avatars
from ..scene.meshes import Placed
from ..scene.world import background_color
from .passes import NOTHING_DEPTH, PASSES


def gather(depsgraph: bpy.types.Depsgraph, shown=None, show_seen: bool = False) -> list[Gaussians]:
    """Every visible avatar's splats; the same objects again while nothing about them changes.

    `shown` (original object -> bool) leaves objects out, as a local view does. `show_seen`: as for
    `evaluate`.
    """
    visible = [one for one in visible_avatars(depsgraph) if shown is None or shown(one.obj)]
    return [evaluate(one.obj, depsgraph, one.matrix, one.holdout, show_seen) for one in visible]


@one_thread()
def combine(sets: list[Gaussians]) -> Gaussians | None:
    """All sets as one with scene-linear colours, so that avatars are sorted together; None without sets."""
    if not sets:
        return None
    fields = ("means", "covariances", "opacities", "colors")
    means, covariances, opacities, colors = (
        getattr(sets[0], f) if len(sets) == 1 else torch.cat([getattr(s, f) for s in sets]) for f in fields
    )
    seen = None
    if any(one.seen is not None for one in sets):
        seen = torch.cat([torch.ones(len(one), 1) if one.seen is None else one.seen for one in sets])
    return Gaussians(means, covariances, opacities, scene_linear(colors), linear=True, seen=seen)


@one_thread()
def within(splats: Gaussians | None, camera: Camera, far: float) -> Gaussians | None:
    """The splats whose mean is not beyond `far`, metres of camera z."""
    if splats is None:
        return None
    x, y, z, offset = camera.viewmat[2].tolist()
    near = splats.means @ torch.tensor([x, y, z]) + offset <= far
    if near.all():
        return splats
    fields = (splats.means, splats.covariances, splats.opacities, splats.colors)
    seen = None if splats.seen is None else splats.seen[near]
    return Gaussians(*(field[near] for field in fields), linear=splats.linear, seen=seen)


@one_thread()
def paint_splats(splats: Gaussians | None, camera: Camera, meshes: Sequence[Placed]) -> np.ndarray:
    """Premultiplied colour of the splats that the meshes do not hide, float32 [H,W,4]."""
    if splats is None:
        return np.zeros((camera.height, camera.width, 4), np.float32)
    depth = torch.from_numpy(mesh_depth([one.mesh() for one in meshes], camera)) if meshes else None
    return rasterize(splats, camera, scene_depth=depth)["combined"].numpy()


@one_thread()
def paint(
    splats: Gaussians | None,
    camera: Camera,
    names: list[str],
    scene: bpy.types.Scene,
    meshes: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Blender's passes by name, contiguous float32 [H,W,C]; Combined is premultiplied.

    Splats whose mean lies behind `meshes`, a depth image [H,W] of the scene, are not drawn there. Meshes are
    holdouts, as avatars can be: where one is, no background is put behind the splats and alpha is that of
    the seen ones alone.
    """
    size = (camera.height, camera.width)
    held = None
    if splats is None:
        pictures = {name: np.zeros((*size, len(PASSES[name].channels)), np.float32) for name in names}
        alpha = np.zeros(size, np.float32)
    else:
        sources = {"alpha", *(PASSES[name].source for name in names)}
        sources |= set() if splats.seen is None else {"features"}
        behind = None if meshes is None else torch.from_numpy(meshes)
        seen = splats.seen
        made = rasterize(splats, camera, tuple(sorted(sources)), features=seen, scene_depth=behind)
        made = {source: image.numpy() for source, image in made.items()}
        alpha = made["alpha"].copy() if seen is not None else made["alpha"]
        # Alpha may be a view of combined, which changes below; contiguous arrays are not copied.
        pictures = {
            name: np.ascontiguousarray(made[PASSES[name].source]).reshape(*size, -1) for name in names
        }
        if seen is not None:
            held = hold_out(pictures, alpha, made["features"])
    if "Depth" in pictures:
        np.copyto(pictures["Depth"], NOTHING_DEPTH, where=(alpha <= 0)[..., None])
    if "Combined" in pictures and not scene.render.film_transparent:
        put_behind(pictures["Combined"], background_color(scene), meshes)
        if held is not None:
            take_from(pictures["Combined"], background_color(scene), held, meshes)
    return pictures


def hold_out(pictures: dict[str, np.ndarray], alpha: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Takes the coverage of holdouts out of Combined and Alpha; returns it, [H,W,1].

    alpha [H,W] is the coverage of all splats, seen [H,W,1] that of those which are no holdouts.
    """
    if "Combined" in pictures:
        pictures["Combined"][..., 3:] = seen
    if "Alpha" in pictures:
        pictures["Alpha"][:] = seen
    return alpha[..., None] - seen


def take_from(picture: np.ndarray, color, held: np.ndarray, meshes: np.ndarray | None) -> None:
    """Takes a background back that was put behind holdouts of coverage held [H,W,1]."""
    held = held if meshes is None else np.where(np.isfinite(meshes)[..., None], 0, held)
    picture -= held * np.array((*color, 1), np.float32)
