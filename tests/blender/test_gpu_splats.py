# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats drawn through Blender's `gpu` module against the rasteriser, on whatever OpenGL this machine has."""

import dataclasses
import math
from types import SimpleNamespace

import bpy
import gpu
import numpy as np
import pytest
import torch
from lca_blender.backend.gaussians import Gaussians
from lca_blender.backend.raster import Camera, look_at, rasterize
from lca_blender.backend.raster.mesh_depth import mesh_depth
from mathutils import Matrix

from lca_blender.engine import picture, viewport
from lca_blender.engine.gpu_canvas import Canvas
from lca_blender.engine.gpu_order import CpuOrder, GpuOrder
from lca_blender.engine.gpu_shaders import ROW
from lca_blender.engine.gpu_splats import NOTHING_Z, SplatTexture
from lca_blender.engine.gpu_state import read_texture
from lca_blender.engine.gpu_support import gpu_draws
from lca_blender.preferences import DEFAULTS
from lca_blender.scene.camera import viewport_camera
from lca_blender.scene.meshes import placed_surfaces


class ContextEngine(bpy.types.RenderEngine):
    """Renders nothing, but Blender gives it a GPU context, which then stays."""

    bl_idname = "LCA_TEST_CONTEXT"
    bl_label = "GPU context"
    bl_use_gpu_context = True

    def render(self, depsgraph):
        pass


@pytest.fixture(scope="module", autouse=True)
def _gpu_context():
    bpy.utils.register_class(ContextEngine)
    scene = bpy.data.scenes.new("GPU context")
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.render.engine = ContextEngine.bl_idname
    try:
        bpy.ops.render.render(scene=scene.name)
        gpu.types.GPUTexture((1, 1), format="R32F")
    except (RuntimeError, SystemError) as error:
        print(f"No GPU context: {error}")
        pytest.skip(f"no GPU context: {error}")
    finally:
        bpy.data.scenes.remove(scene)
        bpy.utils.unregister_class(ContextEngine)


WIDTH, HEIGHT = 200, 150
VIEW = look_at((0.4, -2.2, 0.5), (0.0, 0.0, 0.0))
CAMERAS = {
    "pinhole": Camera.from_fov(VIEW, 0.9, WIDTH, HEIGHT),
    "parallel": Camera.from_ortho(VIEW, 2.0, WIDTH, HEIGHT),
    "shifted": Camera(VIEW, [[180, 0, 50], [0, 175, 120], [0, 0, 1]], WIDTH, HEIGHT),
    "shifted parallel": Camera(
        VIEW, [[90, 0, 60], [0, 95, 100], [0, 0, 1]], WIDTH, HEIGHT, orthographic=True, near=-1e4
    ),
    "among the splats": Camera.from_fov(look_at((0, -0.3, 0), (0, 0, 0)), 1.3, HEIGHT, WIDTH, near=0.1),
}


def cloud(count=4000, seed=0, spread=0.35) -> Gaussians:
    """Splats of all shapes and opacities, thin and round, faint and solid."""
    rng = torch.Generator().manual_seed(seed)
    means = spread * torch.randn(count, 3, generator=rng)
    scales = torch.exp(0.7 * torch.randn(count, 3, generator=rng) - 3.7)
    quats = torch.randn(count, 4, generator=rng)
    opacities, colors = torch.rand(count, generator=rng), torch.rand(count, 3, generator=rng)
    made = Gaussians.from_quats_scales(means, quats, scales, opacities, colors)
    return dataclasses.replace(made, linear=True)


def together(*sets: Gaussians) -> Gaussians:
    fields = ("means", "covariances", "opacities", "colors")
    return Gaussians(*(torch.cat([getattr(s, f) for s in sets]) for f in fields), linear=True)


def drawn(canvas: Canvas, *args, **kwargs) -> np.ndarray:
    return read_texture(canvas.paint(*args, **kwargs), 4)


def psnr(a, b) -> float:
    return -10 * math.log10(max(float(np.mean((np.asarray(a) - np.asarray(b)) ** 2)), 1e-20))


@pytest.mark.parametrize("name", CAMERAS)
def test_the_picture_is_the_rasterisers(name):
    splats, camera = cloud(), CAMERAS[name]
    expected = rasterize(splats, camera)["combined"]
    assert expected[..., 3].max() > 0.9
    assert psnr(drawn(Canvas(), [splats], camera), expected) > 45
    assert psnr(drawn(Canvas(format="RGBA32F"), [splats], camera), expected) > 65


@pytest.mark.parametrize("order", [GpuOrder, CpuOrder])
def test_avatars_are_sorted_as_one(order):
    sets, camera = [cloud(1500, seed) for seed in range(3)], CAMERAS["pinhole"]
    expected = rasterize(together(*sets), camera)["combined"]
    found = drawn(Canvas(order(), "RGBA32F"), sets, camera)
    assert psnr(found, expected) > 65
    layered = 0.0
    for one in sets:
        over = rasterize(one, camera)["combined"]
        layered = over + (1 - over[..., 3:]) * layered
    assert psnr(layered, expected) < 35  # one avatar after the other would be another picture


@pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("order", [GpuOrder, CpuOrder])
def test_the_order_is_far_to_near_and_equal_depths_stay_in_reverse(count, order):
    means = torch.randint(-4, 5, (count, 3), generator=torch.Generator().manual_seed(count)).float()
    splats = dataclasses.replace(cloud(count), means=means)
    camera = Camera(np.diag([1.0, 1, 1, 1]), np.eye(3), 8, 8)  # exact depths, most of them several times
    texture = SplatTexture()
    assert texture.update([splats])
    found = order().sort(texture.texture, texture.means, camera)
    channels = 2 if order is GpuOrder else 1
    indices = read_texture(found, channels)[::-1].reshape(-1, channels)[:count, 0]
    nearest_first = sorted(range(count), key=means[:, 2].tolist().__getitem__)  # stable
    assert indices.tolist() == nearest_first[::-1]


def test_only_what_changed_is_packed_and_a_moved_view_uploads_nothing():
    first, second, canvas = cloud(300, 1), cloud(2 * ROW, 2), Canvas(CpuOrder())
    drawn(canvas, [first, second], CAMERAS["pinhole"])
    texture, block, order = canvas.splats.splats.texture, canvas.splats.splats.blocks[1], canvas.splats.order
    drawn(canvas, [first, second], CAMERAS["shifted"])  # another lens, the same direction
    assert (canvas.splats.splats.texture, canvas.splats.order) == (texture, order)
    drawn(canvas, [first, second], CAMERAS["among the splats"])
    assert canvas.splats.splats.texture is texture
    assert canvas.splats.order is not order
    third = cloud(300, 3)
    found = drawn(canvas, [third, second], CAMERAS["pinhole"])
    assert canvas.splats.splats.texture is not texture
    assert canvas.splats.splats.blocks[1] is block
    assert psnr(found, rasterize(together(third, second), CAMERAS["pinhole"])["combined"]) > 45


def test_what_cannot_be_drawn_is_left_out():
    good, camera = cloud(500), CAMERAS["pinhole"]
    bad = cloud(8, 5)
    bad.means[0, 0], bad.covariances[1, 0, 0], bad.colors[2, 1] = math.nan, math.inf, math.nan
    bad.opacities[3], bad.opacities[4], bad.opacities[5] = 0.0, math.nan, 1 / 300
    bad.means[6] = torch.tensor([0.4, -2.3, 0.5])  # behind the camera
    bad.means[7] = torch.tensor([500.0, 0.0, 0.0])  # far beside the picture
    expected = rasterize(good, camera)["combined"]
    assert psnr(drawn(Canvas(), [good, bad], camera), expected) > 45
    nothing = drawn(Canvas(), [], camera)
    assert nothing.shape == (HEIGHT, WIDTH, 4)
    assert not nothing.any()
    assert not drawn(Canvas(), [cloud(0)], camera).any()


def test_one_splat_over_the_whole_picture():
    splat = cloud(1)
    splat.means[:], splat.covariances[:], splat.opacities[:] = 0.0, 40.0 * torch.eye(3), 1.0
    expected = rasterize(splat, CAMERAS["pinhole"])["combined"]
    found = drawn(Canvas(), [splat], CAMERAS["pinhole"])
    assert found[..., 3].min() > 0.9
    assert found[..., 3].max() == pytest.approx(0.999, abs=1e-3)
    assert psnr(found, expected) > 55


def test_splats_lie_over_what_the_picture_starts_from():
    splats, camera, back = cloud(), CAMERAS["pinhole"], (0.1, 0.5, 2.0)
    expected = rasterize(splats, camera, background=torch.tensor(back))["combined"].clone()
    expected[..., 3] = 1
    assert psnr(drawn(Canvas(), [splats], camera, clear=(*back, 1.0)), expected) > 45


@pytest.fixture
def ball(scene):
    """A ball among the splats and a leaning cube before some of them; surfaces as the depsgraph has them."""
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.3, location=(0.1, 0.0, 0.05))
    bpy.ops.mesh.primitive_cube_add(size=0.3, location=(-0.3, -0.6, 0.2), rotation=(0.3, 0.4, 0.5))
    bpy.context.object.scale = (1.0, 2.0, 0.5)
    bpy.context.view_layer.update()
    return placed_surfaces(bpy.context.evaluated_depsgraph_get())


def depth_of(meshes, camera) -> np.ndarray:
    return mesh_depth([one.mesh() for one in meshes], camera)


@pytest.mark.parametrize("name", CAMERAS)
def test_meshes_have_the_camera_z_of_final_frames(ball, name):
    camera, canvas = CAMERAS[name], Canvas()
    canvas.paint([], camera, ball)
    found, expected = read_texture(canvas.scene_z, 1)[..., 0], depth_of(ball, camera)
    found[found == np.float32(NOTHING_Z)] = np.inf
    both = np.isfinite(found) & np.isfinite(expected)
    assert both.mean() > 0.02
    assert (np.isfinite(found) != np.isfinite(expected)).mean() < 1e-3
    off = np.abs(found[both] - expected[both])
    assert np.median(off) < 1e-5
    assert (off > 1e-3).mean() < 0.02  # pixels on an outline, where either surface may win


@pytest.mark.parametrize("name", ["pinhole", "parallel", "shifted", "shifted parallel"])
def test_splats_behind_meshes_are_hidden(ball, name):
    splats, camera = cloud(), CAMERAS[name]
    depth = torch.from_numpy(depth_of(ball, camera).copy())
    expected = rasterize(splats, camera, scene_depth=depth)["combined"]
    found = drawn(Canvas(), [splats], camera, ball, clay=False)
    assert psnr(found, expected) > 40
    assert psnr(rasterize(splats, camera)["combined"], expected) < 35  # the meshes do hide something


def test_clay_stands_where_the_meshes_are(ball):
    camera = CAMERAS["pinhole"]
    found = drawn(Canvas(), [], camera, ball, clear=(1.0, 0.0, 0.0, 1.0))
    covered = np.isfinite(depth_of(ball, camera))
    inside = covered & (found[..., 0] < 0.5)
    assert (covered != inside).mean() < 1e-3
    assert np.ptp(found[..., :3], axis=-1)[inside].max() == 0  # grey
    assert found[inside, 0].min() > 0.05
    behind = cloud(300, spread=0.02)
    behind.means[:, 0] += 0.1
    with_splats = drawn(Canvas(), [behind], camera, ball, clear=(1.0, 0.0, 0.0, 1.0))
    assert psnr(with_splats, found) > 45  # all are in the ball, but for some tails beyond its outline


def test_a_still_mesh_is_uploaded_once(ball):
    canvas = Canvas()
    canvas.paint([], CAMERAS["pinhole"], ball)
    batches = dict(canvas.batches)
    canvas.paint([], CAMERAS["shifted"], ball)
    assert canvas.batches == batches
    bpy.context.object.location.x += 1  # moves, and is the same surface
    bpy.context.view_layer.update()
    canvas.paint([], CAMERAS["shifted"], placed_surfaces(bpy.context.evaluated_depsgraph_get()))
    assert canvas.batches == batches
    canvas.paint([], CAMERAS["shifted"], ball[:1])
    assert len(canvas.batches) == 1


# --- the viewport --------------------------------------------------------------------------------


def test_the_preferences_and_the_machine_choose_who_draws(monkeypatch):
    monkeypatch.setattr(DEFAULTS, "viewport", "GPU")
    assert gpu_draws()
    monkeypatch.setattr(DEFAULTS, "viewport", "CPU")
    assert not gpu_draws()
    monkeypatch.setattr(DEFAULTS, "viewport", "AUTO")
    assert gpu_draws() == (gpu.platform.device_type_get() != "SOFTWARE")


@pytest.mark.parametrize("transparent", [False, True])
def test_both_ways_of_drawing_a_viewport_agree(scene, bound, transparent):
    scene.render.film_transparent = transparent
    scene.world = bpy.data.worlds.new("World")
    scene.world.color = (0.2, 0.3, 0.4)
    if scene.world.node_tree is not None:
        scene.world.node_tree.nodes.clear()
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0.2, -0.6, 1.0))
    bpy.context.view_layer.update()
    graph, region = bpy.context.evaluated_depsgraph_get(), SimpleNamespace(width=160, height=200)
    projection = scene.camera.calc_matrix_camera(graph, x=region.width, y=region.height)
    matrices = np.array(scene.camera.matrix_world.inverted()), np.array(projection)
    view = viewport.View()
    view.set_content(picture.gather(graph), view.surfaces(graph, None))
    view.paint_on_gpu(matrices, region, scene)
    on_gpu = read_texture(view.texture, 4)
    view.paint_on_cpu(matrices, region, 1.0, scene)
    over, under = read_texture(view.texture, 4), read_texture(view.under, 4)
    assert over[..., 3].max() > 0.9
    assert under[..., 3].min() == (0 if transparent else 1)
    assert psnr(on_gpu, over + (1 - over[..., 3:]) * under) > 40


def test_an_overlay_holds_splats_alone_in_display_colours(scene, avatar):
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0.0, -0.6, 1.0))
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    region = SimpleNamespace(width=120, height=160)
    projection = scene.camera.calc_matrix_camera(graph, x=region.width, y=region.height)
    matrices = np.array(scene.camera.matrix_world.inverted()), np.array(projection)
    view = viewport.View(overlay=True)
    view.set_content(picture.gather(graph), placed_surfaces(graph))
    view.paint_on_gpu(matrices, region, scene)
    camera = viewport_camera(*matrices, region.width, region.height)
    depth = torch.from_numpy(depth_of(view.meshes, camera).copy())
    expected = rasterize(view.sets[0], camera, scene_depth=depth)["combined"]
    assert not expected[depth.isfinite(), 3].all()
    assert psnr(read_texture(view.texture, 4), expected) > 40


def test_a_moved_mesh_is_seen(ball):
    view, scene = viewport.View(), bpy.context.scene
    view.set_content([], ball)
    matrices = np.eye(4), np.eye(4)
    base = view.picture_key(matrices, (9, 9), scene, True)
    view.set_content([], placed_surfaces(bpy.context.evaluated_depsgraph_get()))
    assert view.picture_key(matrices, (9, 9), scene, True) == base
    assert view.picture_key(matrices, (9, 9), scene, False) != base
    bpy.context.object.matrix_world = Matrix.Translation((0, 0, 1e-4))
    bpy.context.view_layer.update()
    view.set_content([], placed_surfaces(bpy.context.evaluated_depsgraph_get()))
    assert view.picture_key(matrices, (9, 9), scene, True) != base


def test_the_scene_is_walked_again_only_after_a_change(ball):
    view, graph = viewport.View(), bpy.context.evaluated_depsgraph_get()
    view.set_content([], view.surfaces(graph, None))
    assert len(view.meshes) == 2
    bpy.data.objects.remove(bpy.context.object)
    graph = bpy.context.evaluated_depsgraph_get()
    assert view.surfaces(graph, None) is view.meshes
    view.stale = True  # what the engine sets when Blender says that something changed
    assert len(view.surfaces(graph, None)) == 1
    assert view.surfaces(graph, lambda obj: False) == []
    assert len(view.surfaces(graph, None)) == 1  # a local view was left
