# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the scene's lights, and avatars in them."""

import math

import bpy
import numpy as np
import pytest
from lca_blender.backend.lighting.lights import Area, Point, Spot, Sun
from mathutils import Matrix, Vector
from pictures import render, rgba, world

from lca_blender.engine import final, picture
from lca_blender.scene.lights import NO_LIGHT, light_remarks, scene_lights
from lca_blender.scene.world_light import world_light


def lamp(kind, energy=10.0, location=(0, -2, 2), aim=(0, 0, 1), **settings):
    data = bpy.data.lights.new(kind, kind)
    data.energy = energy
    for name, value in settings.items():
        setattr(data, name, value)
    obj = bpy.data.objects.new(kind, data)
    obj.location = location
    obj.rotation_euler = (Vector(aim) - Vector(location)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(obj)
    return obj


def lights(avatar=None):
    bpy.context.view_layer.update()
    return scene_lights(bpy.context.evaluated_depsgraph_get(), avatar)


def only_lamp(avatar=None):
    (found,) = lights(avatar).lamps
    return found


def test_lamps_are_read_as_they_stand(scene):
    lamp("SUN", 3.0, (5, 0, 5), (0, 0, 0), angle=0.1, color=(1, 0.5, 0.25))
    sun = only_lamp()
    assert isinstance(sun, Sun)
    assert sun.color == pytest.approx((3, 1.5, 0.75))
    assert sun.direction == pytest.approx((math.sqrt(0.5), 0, math.sqrt(0.5)), abs=1e-5)
    assert sun.angle == pytest.approx(0.1)


def test_points_spots_and_areas_are_read(scene):
    point = lamp("POINT", 100, shadow_soft_size=0.2)
    assert isinstance(only_lamp(), Point)
    assert only_lamp().position == pytest.approx((0, -2, 2))
    bpy.data.objects.remove(point)
    spot = lamp("SPOT", 100, (0, -2, 1), spot_size=1.0, spot_blend=0.3)
    found = only_lamp()
    assert isinstance(found, Spot)
    assert found.direction == pytest.approx((0, 1, 0), abs=1e-5)
    assert (found.size, found.blend) == pytest.approx((1.0, 0.3))
    bpy.data.objects.remove(spot)
    area = lamp("AREA", 100, (0, -2, 1), shape="RECTANGLE", size=0.5, size_y=0.25)
    area.scale = (2, 1, 1)
    found = only_lamp()
    assert isinstance(found, Area)
    assert np.linalg.norm(found.sides, axis=1) == pytest.approx([1, 0.25])
    assert np.cross(*found.sides) @ found.direction == pytest.approx(-0.25)
    area.data.shape = "DISK"
    assert only_lamp().ellipse


def test_exposure_and_temperature_change_a_lamps_power(scene):
    point = lamp("POINT", 10)
    if not hasattr(point.data, "exposure"):
        pytest.skip("lamps have no exposure")
    point.data.exposure = 2
    assert only_lamp().color == pytest.approx((40, 40, 40))
    point.data.use_temperature, point.data.temperature = True, 2700
    red, _, blue = only_lamp().color
    assert red > 1.5 * blue


def test_hidden_lamps_do_not_shine_and_moved_and_animated_ones_do(scene):
    point = lamp("POINT")
    point.keyframe_insert("location", frame=1)
    point.location.x = 5
    point.keyframe_insert("location", frame=11)
    for frame, x in ((1, 0), (11, 5)):
        scene.frame_set(frame)
        assert only_lamp().position[0] == pytest.approx(x)
    point.hide_viewport = True
    assert not lights().lamps


def test_instanced_lamps_shine_where_they_stand(scene):
    collection = bpy.data.collections.new("Lamps")
    point = lamp("POINT", location=(0, 0, 1))
    scene.collection.objects.unlink(point)
    collection.objects.link(point)
    for x in (-1, 1):
        empty = bpy.data.objects.new("Empty", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", collection
        empty.location.x = x
        scene.collection.objects.link(empty)
    assert sorted(found.position[0] for found in lights().lamps) == pytest.approx([-1, 1])


def test_light_linking_leaves_avatars_out(scene, avatar):
    point = lamp("POINT")
    others = bpy.data.collections.new("Receivers")
    point.light_linking.receiver_collection = others
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    others.objects.link(cube)
    assert not lights(avatar).lamps
    others.objects.link(avatar)
    assert lights(avatar).lamps
    others.objects.unlink(cube)
    others.collection_objects[0].light_linking.link_state = "EXCLUDE"
    assert not lights(avatar).lamps


def environment_world(scene, pixels, rotation=(0, 0, 0), mapping="POINT"):
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("Sky", width, height, float_buffer=True)
    image.pixels.foreach_set(
        np.concatenate([pixels, np.ones((height, width, 1))], -1)[::-1].astype(np.float32).ravel()
    )
    world(scene, (0, 0, 0))
    if bpy.app.version < (5, 0, 0):
        scene.world.use_nodes = True
    nodes, links = scene.world.node_tree.nodes, scene.world.node_tree.links
    background = next(n for n in nodes if n.type == "BACKGROUND")
    texture, turn = nodes.new("ShaderNodeTexEnvironment"), nodes.new("ShaderNodeMapping")
    coordinates = nodes.new("ShaderNodeTexCoord")
    texture.image, turn.vector_type = image, mapping
    turn.inputs["Rotation"].default_value = rotation
    links.new(coordinates.outputs["Generated"], turn.inputs["Vector"])
    links.new(turn.outputs["Vector"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 2.0
    return texture, turn


def test_a_world_of_one_colour_is_read(scene):
    world(scene, (0.1, 0.2, 0.3))
    assert world_light(scene).radiance == pytest.approx((0.1, 0.2, 0.3))
    assert world_light(scene).environment is None
    scene.world = None
    assert not any(world_light(scene).radiance)


@pytest.mark.parametrize("mapping", ["POINT", "TEXTURE"])
def test_an_environment_texture_is_read_and_turned_as_blender_turns_it(scene, mapping):
    """A map that is bright where Blender's +X is; Cycles agrees on where that is after the Mapping's turn."""
    pixels = np.zeros((16, 32, 3))
    pixels[6:10, 14:18] = 1
    environment_world(scene, pixels, (0, 0, math.pi / 2), mapping)
    found = world_light(scene)
    assert found.radiance == pytest.approx((2, 2, 2))
    assert found.remarks == []
    towards = np.array([[0, -1.0, 0], [0, 1, 0], [1, 0, 0]])
    seen = found.environment.radiance(towards)[:, 0]
    assert seen.tolist() == ([1, 0, 0] if mapping == "POINT" else [0, 1, 0])
    if mapping == "POINT":  # once: Cycles takes seconds to start
        assert cycles_light(scene, towards[:2]) == pytest.approx(2 * seen[:2], abs=0.05)


def cycles_light(scene, directions):
    """The world's radiance as Cycles sees it, through a narrow camera in each direction."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.resolution_x = scene.render.resolution_y = 4
    camera, found = scene.camera, []
    camera.location, camera.data.angle = (0, 0, 0), 0.02
    folder = bpy.app.tempdir
    for number, direction in enumerate(directions):
        camera.rotation_euler = Vector(direction).to_track_quat("-Z", "Y").to_euler()
        found.append(rgba(render(scene, f"{folder}/sky{number}.exr"))[..., 0].mean())
    return np.array(found)


def test_what_is_not_read_of_the_world_is_said(scene):
    texture, turn = environment_world(scene, np.ones((4, 8, 3)))
    assert light_remarks(scene) == []
    turn.inputs["Scale"].default_value[0] = 2
    assert "Mapping" in light_remarks(scene)[0]
    texture.projection = "MIRROR_BALL"
    assert "Environment Texture" in light_remarks(scene)[0]
    nodes, links = scene.world.node_tree.nodes, scene.world.node_tree.links
    background = next(n for n in nodes if n.type == "BACKGROUND")
    links.new(nodes.new("ShaderNodeTexSky").outputs["Color"], background.inputs["Color"])
    assert "Sky" in light_remarks(scene)[0]
    links.new(nodes.new("ShaderNodeAddShader").outputs[0], nodes["World Output"].inputs["Surface"])
    assert "not a Background" in light_remarks(scene)[0]


def test_faulty_pictures_light_without_their_faults(scene):
    pixels = np.ones((8, 8, 3))
    pixels[0, 0] = np.nan
    environment_world(scene, pixels)
    found = world_light(scene)
    assert np.isfinite(found.environment.pixels).all()
    assert any("1 pixels" in line for line in found.remarks)
    assert any("8 x 8" in line for line in found.remarks)


def splats(scene, avatar):
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    (found,) = picture.gather(graph, camera=picture_camera(scene, graph))
    return found


def picture_camera(scene, graph):
    from lca_blender.scene.camera import render_camera

    return render_camera(scene.camera.evaluated_get(graph), scene.render)


def test_lit_by_photos_is_what_it_was_bit_for_bit(scene, avatar, tmp_path):
    """The photos' colours whatever the scene's lights are; the way to them is that of files without light."""
    scene.render.film_transparent = True
    assert avatar.lca.lit_by == "PHOTOS"
    before = rgba(render(scene, tmp_path / "a.exr"))
    lamp("POINT", 500)
    world(scene, (1, 0, 0))
    assert np.array_equal(rgba(render(scene, tmp_path / "b.exr")), before)
    graph = bpy.context.evaluated_depsgraph_get()
    (with_camera,), (without,) = (
        picture.gather(graph, camera=picture_camera(scene, graph)),
        picture.gather(graph),
    )
    assert with_camera is without
    assert not without.linear


def test_an_even_world_shows_the_albedo_and_black_is_black(scene, avatar, tmp_path):
    """The test's avatar has no albedo: its colours stand for it."""
    scene.render.film_transparent = True
    photos = rgba(render(scene, tmp_path / "a.exr"))
    avatar.lca.lit_by = "SCENE"
    world(scene, (1, 1, 1))
    even = rgba(render(scene, tmp_path / "b.exr"))
    inside = photos[..., 3] > 0.9
    assert np.array_equal(even[..., 3], photos[..., 3])
    assert even[inside][:, :3].mean() == pytest.approx(photos[inside][:, :3].mean(), rel=0.15)
    world(scene, (0, 0, 0))
    final._reported.clear()
    dark = rgba(render(scene, tmp_path / "c.exr"))
    assert not dark[..., :3].any()
    assert np.array_equal(dark[..., 3], photos[..., 3])
    assert NO_LIGHT in final._reported
    assert NO_LIGHT in light_remarks(scene)


def test_a_lamp_that_moves_changes_the_side_that_is_lit(scene, avatar):
    avatar.lca.lit_by = "SCENE"
    world(scene, (0, 0, 0))
    point, sides = lamp("POINT", 200, (-2, -2, 1)), []
    for x in (-2, 2):
        point.location.x = x
        found = splats(scene, avatar)
        left = found.means[:, 0] < 0
        sides.append((found.colors[left].mean() > found.colors[~left].mean()).item())
    assert sides == [True, False]
    assert splats(scene, avatar) is splats(scene, avatar)


def test_the_lit_avatar_turns_with_its_object(scene, avatar):
    """Lamp, avatar and camera turned together give the same colours, but for what bounces: the directions
    that tell how much of its sky a place sees stay."""
    avatar.lca.lit_by = "SCENE"
    world(scene, (0, 0, 0))
    point = lamp("SUN", 3, (-2, -2, 1))
    before = splats(scene, avatar).colors
    turn = Matrix.Rotation(0.7, 4, "Z")
    for obj in (avatar, point, scene.camera):
        obj.matrix_world = turn @ obj.matrix_world
    after = splats(scene, avatar).colors
    assert (after - before).abs().mean() < 0.08 * before.mean()


def test_two_avatars_in_one_picture_may_be_lit_in_two_ways(scene, avatar, tmp_path):
    other = avatar.copy()
    other.location.x = 1
    scene.collection.objects.link(other)
    other.lca.lit_by = "SCENE"
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    found = picture.gather(graph, camera=picture_camera(scene, graph))
    assert sorted(one.linear for one in found) == [False, True]
    whole = picture.combine(found)
    assert whole.linear
    assert len(whole) == sum(map(len, found))


def lit_by_sun(scene, avatar):
    avatar.lca.lit_by = "SCENE"
    world(scene, (0, 0, 0))
    return lamp("SUN", 3, (0, 0, 5), (0, 0, 0))


def test_meshes_and_other_avatars_shade_an_avatar(scene, avatar):
    lit_by_sun(scene, avatar)
    free = splats(scene, avatar).colors
    bpy.ops.mesh.primitive_plane_add(size=4, location=(0, 0, 3))
    roof = bpy.context.object
    assert not splats(scene, avatar).colors.any()
    assert splats(scene, avatar) is splats(scene, avatar)
    roof.visible_shadow = False
    assert np.array_equal(splats(scene, avatar).colors, free)
    bpy.data.objects.remove(roof)
    other = avatar.copy()
    other.location.z = 2
    scene.collection.objects.link(other)
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    below = min(
        picture.gather(graph, camera=picture_camera(scene, graph)), key=lambda one: one.means[:, 2].mean()
    )
    assert below.colors.mean() < 0.7 * free.mean()


def test_a_floor_below_is_no_shadow_under_a_sun_above(scene, avatar):
    lit_by_sun(scene, avatar)
    free = splats(scene, avatar).colors
    bpy.ops.mesh.primitive_plane_add(size=4, location=(0, 0, -0.05))
    assert splats(scene, avatar).colors.mean() == pytest.approx(free.mean().item(), rel=0.01)


def test_passes_of_light_make_the_picture_again(scene, avatar, tmp_path):
    """Albedo times light and highlights are the combined picture, but that each is blended by itself."""
    lit_by_sun(scene, avatar)
    world(scene, (0.3, 0.4, 0.5))
    scene.render.film_transparent = True
    layer = scene.view_layers[0].lca
    layer.use_pass_albedo = layer.use_pass_diffuse_light = layer.use_pass_specular = True
    found = render(scene, tmp_path / "a.exr", "OPEN_EXR_MULTILAYER")

    def one(name):
        return np.stack([next(v for k, v in found.items() if k.endswith(f"{name}.{c}")) for c in "RGB"], -1)

    inside = next(v for k, v in found.items() if k.endswith("Combined.A")) > 0.95
    albedo, light, specular = (one(name)[inside] for name in ("Albedo", "Diffuse Light", "Specular"))
    combined = one("Combined")[inside]
    assert light.mean() > 0.1
    assert np.abs(albedo * light + specular - combined).mean() < 0.05 * combined.mean()
    avatar.lca.lit_by = "PHOTOS"
    found = render(scene, tmp_path / "b.exr", "OPEN_EXR_MULTILAYER")
    assert one("Albedo") == pytest.approx(one("Combined"), abs=1e-6)
    assert not one("Specular").any()
