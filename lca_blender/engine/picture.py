# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars and a camera in, scene-linear pictures out: what final frames and the viewport have in common."""

import bpy
import numpy as np
import torch

from ..backend.gaussians import Gaussians
from ..backend.raster import Camera, rasterize
from ..scene.colour import scene_linear
from ..scene.evaluate import evaluate, one_thread, visible_avatars
from ..scene.world import background_color
from .passes import NOTHING_DEPTH, PASSES


def gather(depsgraph: bpy.types.Depsgraph, shown=None) -> list[Gaussians]:
    """Every visible avatar's splats; the same objects again as long as nothing about them changes.

    `shown` (original object -> bool) leaves objects out, as a local view does.
    """
    visible = list(visible_avatars(depsgraph))
    return [evaluate(obj, depsgraph, matrix) for obj, matrix in visible if shown is None or shown(obj)]


@one_thread()
def combine(sets: list[Gaussians]) -> Gaussians | None:
    """One set with scene-linear colours, so that avatars sort against each other; None of none."""
    if not sets:
        return None
    fields = ("means", "covariances", "opacities", "colors")
    means, covariances, opacities, colors = (
        getattr(sets[0], f) if len(sets) == 1 else torch.cat([getattr(s, f) for s in sets]) for f in fields
    )
    return Gaussians(means, covariances, opacities, scene_linear(colors), linear=True)


@one_thread()
def paint(
    splats: Gaussians | None, camera: Camera, names: list[str], scene: bpy.types.Scene
) -> dict[str, np.ndarray]:
    """Blender's passes by name, float32 [H,W,C], row 0 at the top; Combined is premultiplied.

    Colours are made linear before they are blended, as Blender blends everything else.
    """
    if splats is None:
        pictures = {
            name: torch.zeros(camera.height, camera.width, len(PASSES[name].channels)) for name in names
        }
        alpha = torch.zeros(camera.height, camera.width)
    else:
        sources = {"alpha", *(PASSES[name].source for name in names)}
        made = rasterize(splats, camera, passes=tuple(sorted(sources)))
        alpha = made["alpha"]
        shape = (camera.height, camera.width, -1)
        pictures = {name: made[PASSES[name].source].reshape(shape) for name in names}
    if "Depth" in pictures:
        pictures["Depth"] = torch.where(alpha[..., None] > 0, pictures["Depth"], NOTHING_DEPTH)
    if not scene.render.film_transparent:
        pictures["Combined"] = over(pictures["Combined"], background_color(scene))
    return {name: np.ascontiguousarray(image.numpy(), np.float32) for name, image in pictures.items()}


def over(image: torch.Tensor, color: tuple[float, float, float]) -> torch.Tensor:
    """A premultiplied picture [H,W,4] over a plain opaque colour."""
    background = torch.tensor([*color, 1.0])
    return image + (1 - image[..., 3:]) * background
