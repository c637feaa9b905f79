# SPDX-License-Identifier: GPL-3.0-or-later
"""From avatars and a camera to scene-linear pictures, for final frames and the 3D view."""

from collections.abc import Sequence

import bpy
import numpy as np
import torch

from ..backend.gaussians import Gaussians
from ..backend.lighting.shading import INTERACTIVE, Quality
from ..backend.raster import Camera, rasterize
from ..backend.raster.background import put_behind
from ..backend.raster.mesh_depth import mesh_depth
from ..scene.colour import scene_linear
from ..scene.evaluate import Shown, evaluate, one_thread, visible_avatars
from ..scene.lighting import Lit, caster, evaluate_lit, in_scene_light
from ..scene.lights import scene_lights
from ..scene.meshes import Placed, placed_surfaces
from ..scene.world import background_color
from .passes import LIGHT_PASSES, NOTHING_DEPTH, PASSES, Pictures

Layers = dict[str, torch.Tensor]  # values [N,c] of splats


def gather(
    depsgraph: bpy.types.Depsgraph,
    shown=None,
    show_seen: bool = False,
    camera: Camera | None = None,
    quality: Quality = INTERACTIVE,
    meshes: Sequence[Placed] | None = None,
) -> list[Gaussians]:
    """Every visible avatar's splats; the same objects again while nothing about them changes.

    `shown` (original object -> bool) leaves objects out, as a local view does. `show_seen`: as for
    `evaluate`. Avatars that are lit by the scene are lit as the camera sees them, in the shadows of `meshes`,
    else of the scene's; without a camera they have the photos' colours.
    """
    found = gather_lit(depsgraph, shown, show_seen, camera, quality, meshes)
    return [one.splats if isinstance(one, Lit) else one for one in found]


def gather_lit(
    depsgraph, shown=None, show_seen=False, camera=None, quality=INTERACTIVE, meshes=None
) -> list[Gaussians | Lit]:
    """As `gather`, with what the colours of avatars in the scene's light are made of."""
    visible = [one for one in visible_avatars(depsgraph) if shown is None or shown(one.obj)]
    lit = [camera is not None and _is_lit(one, show_seen) for one in visible]
    if not any(lit):
        return [evaluate(one.obj, depsgraph, one.matrix, one.holdout, show_seen) for one in visible]
    meshes = placed_surfaces(depsgraph, shown) if meshes is None else meshes
    still = [one.mesh() for one in meshes if one.casts]
    alone = len(visible) == 1
    people = [None if alone else caster(one.obj, depsgraph, one.matrix) for one in visible]
    found = []
    for one, own, by_scene in zip(visible, people, lit, strict=True):
        if by_scene:
            casters = [*still, *(other for other in people if other is not own)]
            lights = scene_lights(depsgraph, one.obj)
            found.append(evaluate_lit(one.obj, depsgraph, one.matrix, lights, camera, quality, casters))
        else:
            found.append(evaluate(one.obj, depsgraph, one.matrix, one.holdout, show_seen))
    return found


def _is_lit(one: Shown, show_seen: bool) -> bool:
    """Whether the scene lights an avatar: not a holdout, which is black, nor one that shows what was seen."""
    return in_scene_light(one.obj) and not one.holdout and not (show_seen and one.obj.lca.show_seen)


@one_thread()
def light_layers(found: Sequence[Gaussians | Lit]) -> Layers:
    """The `LIGHT_PASSES` of all avatars together; those lit by photos are all albedo."""
    parts = [torch.zeros(0, 9)]
    for one in found:
        if isinstance(one, Lit):
            parts.append(torch.from_numpy(one.layers()))
        else:
            colors = one.colors if one.linear else scene_linear(one.colors)
            parts.append(torch.cat([colors, torch.ones_like(colors), torch.zeros_like(colors)], 1))
    return dict(zip(LIGHT_PASSES, torch.cat(parts).split(3, 1), strict=True))


@one_thread()
def people_layers(found: Sequence[Gaussians]) -> Layers:
    """Which avatar each splat belongs to: 1 in its column, but for holdouts."""
    counts = [len(one) for one in found]
    columns = torch.zeros(sum(counts), len(counts))
    for column, (rows, one) in enumerate(zip(columns.split(counts), found, strict=True)):
        rows[:, column : column + 1] = 1 if one.seen is None else one.seen
    return {"People": columns}


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
    if any(one.linear for one in sets):
        colors = torch.cat([one.colors if one.linear else scene_linear(one.colors) for one in sets])
    else:
        colors = scene_linear(colors)
    return Gaussians(means, covariances, opacities, colors, linear=True, seen=seen)


@one_thread()
def within(
    splats: Gaussians | None, camera: Camera, far: float, layers: Layers
) -> tuple[Gaussians | None, Layers]:
    """The splats whose mean is not beyond `far`, metres of camera z, and their layers."""
    if splats is None:
        return None, {}
    x, y, z, offset = camera.viewmat[2].tolist()
    near = splats.means @ torch.tensor([x, y, z]) + offset <= far
    if near.all():
        return splats, layers
    fields = (splats.means, splats.covariances, splats.opacities, splats.colors)
    seen = None if splats.seen is None else splats.seen[near]
    nearer = Gaussians(*(field[near] for field in fields), linear=splats.linear, seen=seen)
    return nearer, {name: layer[near] for name, layer in layers.items()}


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
    layers: Layers | None = None,
    backed: bool = True,
) -> Pictures:
    """Blender's passes by name, contiguous float32 [H,W,C]; Combined is premultiplied. With them Cover
    [H,W,1], the coverage of all splats.

    Splats whose mean lies behind `meshes`, a depth image [H,W] of the scene, are not drawn there. With
    `backed` and an opaque film the world's colour is put behind the splats; then meshes are holdouts, as
    avatars can be: where one is, nothing is put behind and alpha is that of the seen ones alone. layers:
    values of each splat for passes of that name.
    """
    size, layers = (camera.height, camera.width), layers or {}
    held = None
    if splats is None:
        widths = {name: len(PASSES[name].channels) if name in PASSES else 0 for name in names}
        pictures = {name: np.zeros((*size, width), np.float32) for name, width in widths.items()}
        pictures["Cover"] = np.zeros((*size, 1), np.float32)
    else:
        layers = _layers(splats, layers, names)
        sources = {"alpha", *(PASSES[name].source for name in names if name in PASSES)} - {"derived"}
        features = torch.cat(list(layers.values()), 1) if layers else None
        sources = sources - {"features"} | ({"features"} if layers else set())
        behind = None if meshes is None else torch.from_numpy(meshes)
        made = rasterize(splats, camera, tuple(sorted(sources)), features=features, scene_depth=behind)
        made = {source: image.numpy() for source, image in made.items()}
        # Alpha may be a view of combined, which changes below; contiguous arrays are not copied.
        pictures = {
            name: np.ascontiguousarray(made[PASSES[name].source]).reshape(*size, -1)
            for name in names
            if name in PASSES and PASSES[name].source not in {"features", "derived"}
        }
        pictures["Cover"] = made["alpha"].reshape(*size, 1).copy()
        at = 0
        for name, layer in layers.items():
            pictures[name] = np.ascontiguousarray(made["features"][..., at : at + layer.shape[1]])
            at += layer.shape[1]
        if splats.seen is not None:
            held = hold_out(pictures, pictures["Cover"][..., 0], pictures.pop("seen"))
    if "Depth" in pictures:
        np.copyto(pictures["Depth"], NOTHING_DEPTH, where=pictures["Cover"] <= 0)
    if "Combined" in pictures and backed and not scene.render.film_transparent:
        put_behind(pictures["Combined"], background_color(scene), meshes)
        if held is not None:
            take_from(pictures["Combined"], background_color(scene), held, meshes)
    return pictures


def _layers(splats: Gaussians, layers: Layers, names: list[str]) -> Layers:
    """What is blended beside colours: the layers of the wanted passes, then `seen`."""
    found = {}
    missing = [name for name in names if name in LIGHT_PASSES and name not in layers]
    layers = layers | light_layers([splats]) if missing else layers
    for name in names:
        if name in layers:
            found[name] = layers[name]
        elif name in PASSES and PASSES[name].source == "features":
            found[name] = torch.zeros(len(splats), len(PASSES[name].channels))
    return found if splats.seen is None else found | {"seen": splats.seen}


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
