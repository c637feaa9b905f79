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


def gather(depsgraph: bpy.types.Depsgraph, shown=None) -> list[Gaussians]:
    """Every visible avatar's splats; the same objects again while nothing about them changes.

    `shown` (original object -> bool) leaves objects out, as a local view does.
    """
    visible = list(visible_avatars(depsgraph))
    return [evaluate(obj, depsgraph, matrix) for obj, matrix in visible if shown is None or shown(obj)]


@one_thread()
def combine(sets: list[Gaussians]) -> Gaussians | None:
    """All sets as one with scene-linear colours, so that avatars are sorted together; None without sets."""
    if not sets:
        return None
    fields = ("means", "covariances", "opacities", "colors")
    means, covariances, opacities, colors = (
        getattr(sets[0], f) if len(sets) == 1 else torch.cat([getattr(s, f) for s in sets]) for f in fields
    )
    return Gaussians(means, covariances, opacities, scene_linear(colors), linear=True)


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
    return Gaussians(*(field[near] for field in fields), linear=splats.linear)


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
    holdouts: where one is, no background is put behind the splats and alpha is theirs alone.
    """
    size = (camera.height, camera.width)
    if splats is None:
        pictures = {name: np.zeros((*size, len(PASSES[name].channels)), np.float32) for name in names}
        alpha = np.zeros(size, np.float32)
    else:
        sources = {"alpha", *(PASSES[name].source for name in names)}
        behind = None if meshes is None else torch.from_numpy(meshes)
        made = rasterize(splats, camera, passes=tuple(sorted(sources)), scene_depth=behind)
        made = {source: image.numpy() for source, image in made.items()}
        alpha = made["alpha"]
        # Alpha may be a view of combined, which changes below; contiguous arrays are not copied.
        pictures = {
            name: np.ascontiguousarray(made[PASSES[name].source]).reshape(*size, -1) for name in names
        }
    if "Depth" in pictures:
        np.copyto(pictures["Depth"], NOTHING_DEPTH, where=(alpha <= 0)[..., None])
    if "Combined" in pictures and not scene.render.film_transparent:
        put_behind(pictures["Combined"], background_color(scene), meshes)
    return pictures
