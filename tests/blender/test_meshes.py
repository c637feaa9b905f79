# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth image of a scene's meshes, against Blender's own rays."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Vector

from lca_blender.scene import meshes
from lca_blender.scene.camera import render_camera
from lca_blender.scene.meshes import scene_depth


def depth_now(scene, far=math.inf):
    graph = bpy.context.evaluated_depsgraph_get()
    return scene_depth(graph, render_camera(scene.camera.evaluated_get(graph), scene.render), far)


def rays_depth(scene):
    """Camera z [H,W] by `scene.ray_cast` through every pixel centre."""
    graph = bpy.context.evaluated_depsgraph_get()
    camera = render_camera(scene.camera.evaluated_get(graph), scene.render)
    to_world = np.linalg.inv(camera.viewmat)
    found = np.full((camera.height, camera.width), np.inf)
    for y in range(camera.height):
        for x in range(camera.width):
            at = ((x + 0.5 - camera.K[0, 2]) / camera.K[0, 0], (y + 0.5 - camera.K[1, 2]) / camera.K[1, 1])
            start, along = ((*at, 0), (0, 0, 1)) if camera.orthographic else ((0, 0, 0), (*at, 1))
            origin = to_world[:3, :3] @ start + to_world[:3, 3]
            hit, place, *_ = scene.ray_cast(graph, Vector(origin), Vector(to_world[:3, :3] @ along))
            if hit:
                found[y, x] = camera.viewmat[2] @ (*place, 1)
    return found


def furnish(scene):
    """Modifiers, a mirrored and a sheared object, polygons that are not flat, instances of a collection."""
    bpy.ops.mesh.primitive_monkey_add(location=(0.3, 0.5, 0.9), size=0.8)
    monkey = bpy.context.object
    monkey.modifiers.new("Subdivision", "SUBSURF")
    monkey.scale = (-1, 0.7, 1.2)
    monkey.rotation_euler = (0.3, 0.4, 0.5)
    bpy.ops.mesh.primitive_uv_sphere_add(segments=8, ring_count=6, radius=0.3, location=(-0.4, -0.2, 1.2))
    bpy.context.object.parent = monkey  # sheared
    bpy.ops.mesh.primitive_cylinder_add(vertices=7, radius=0.3, depth=0.5, location=(-0.3, 0, 0.4))
    bumpy = bpy.context.object.data
    for i, vertex in enumerate(bumpy.vertices):
        vertex.co.z += 0.1 * math.sin(5.0 * i)
    people = bpy.data.collections.new("Cubes")
    cube = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    cube.data.from_pydata(
        [(x, y, z) for x in (0, 0.2) for y in (0, 0.2) for z in (0, 0.2)],
        [],
        [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)],
    )
    people.objects.link(cube)
    for i in range(3):
        empty = bpy.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", people
        empty.location, empty.rotation_euler = (0.35 * i - 0.5, -0.3, 0.1 + 0.6 * i), (i, 0.5, 0)
        scene.collection.objects.link(empty)
    bpy.context.view_layer.update()


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_depth_is_what_blenders_rays_hit(scene, kind):
    furnish(scene)
    camera, render = scene.camera, scene.render
    camera.data.type, camera.data.ortho_scale, camera.data.lens = kind, 2.2, 60
    camera.data.shift_x, camera.data.shift_y = 0.05, -0.03
    render.resolution_percentage, render.pixel_aspect_x = 70, 1.2
    render.use_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.1, 0.9, 0.05, 1
    bpy.context.view_layer.update()
    ours, blenders = depth_now(scene), rays_depth(scene)
    assert ours.shape == blenders.shape
    same = np.isfinite(ours) == np.isfinite(blenders)
    assert np.isfinite(ours).mean() > 0.2
    assert (~same).sum() <= 3  # a ray along an outline
    both = np.isfinite(ours) & np.isfinite(blenders)
    off = np.abs(ours[both] / blenders[both] - 1)
    assert np.quantile(off, 0.995) < 1e-5
    assert (off > 1e-5).sum() <= 3


def add_plane(scene, y=0.0, name="Plane"):
    """A wall of 4 m across the camera's axis."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-2, 0, -2), (2, 0, -2), (2, 0, 2), (-2, 0, 2)], [], [(0, 1, 2, 3)])
    wall = bpy.data.objects.new(name, mesh)
    wall.location = (0, y, 0.9)
    scene.collection.objects.link(wall)
    bpy.context.view_layer.update()
    return wall


def test_a_wall_is_as_far_as_it_stands_and_the_far_end_of_the_camera_counts(scene):
    assert depth_now(scene) is None
    add_plane(scene, 1.0)
    assert depth_now(scene) == pytest.approx(5.0)
    assert np.isinf(depth_now(scene, far=4.9)).all()
    scene.camera.data.clip_start = 5.1
    bpy.context.view_layer.update()
    assert np.isinf(depth_now(scene)).all()


def test_avatars_and_what_the_camera_does_not_see_are_left_out(scene, avatar):
    assert depth_now(scene) is None
    wall = add_plane(scene)
    wall.visible_camera = False
    bpy.context.view_layer.update()
    assert depth_now(scene) is None
    wall.visible_camera = True
    collection = bpy.data.collections.new("Indirect")
    scene.collection.children.link(collection)
    scene.collection.objects.unlink(wall)
    collection.objects.link(wall)
    layer = bpy.context.view_layer.layer_collection.children["Indirect"]
    bpy.context.view_layer.update()
    assert depth_now(scene) is not None
    layer.indirect_only = True
    bpy.context.view_layer.update()
    assert depth_now(scene) is None
    layer.indirect_only, layer.exclude = False, True
    bpy.context.view_layer.update()
    assert depth_now(scene) is None


@pytest.mark.parametrize("kind", ["curve", "text", "metaball", "surface"])
def test_whatever_renders_as_a_mesh_counts(scene, kind):
    at = {"location": (0, 0, 0.9), "rotation": (math.pi / 2, 0, 0)}
    if kind == "curve":
        bpy.ops.curve.primitive_bezier_circle_add(radius=0.3, **at)
        bpy.context.object.data.bevel_depth = 0.1
    elif kind == "text":
        bpy.ops.object.text_add(**at)
        bpy.context.object.data.extrude = 0.05
    elif kind == "metaball":
        bpy.ops.object.metaball_add(radius=0.5, **at)
    else:
        bpy.ops.surface.primitive_nurbs_surface_sphere_add(radius=0.4, location=(0, 0, 0.9))
    bpy.context.view_layer.update()
    found = depth_now(scene)
    assert 3.4 < found.min() < 4.05
    assert np.isfinite(found).sum() > 100


def test_a_mesh_without_faces_hides_nothing(scene):
    mesh = bpy.data.meshes.new("Wire")
    mesh.from_pydata([(0, 0, 0), (0, 0, 2)], [(0, 1)], [])
    scene.collection.objects.link(bpy.data.objects.new("Wire", mesh))
    bpy.context.view_layer.update()
    assert depth_now(scene) is None


def test_still_meshes_are_drawn_once_and_no_change_is_missed(scene):
    wall = add_plane(scene)
    first = depth_now(scene)
    assert depth_now(scene) is first
    surface = next(iter(meshes._surfaces.values()))
    wall.location.y += 1
    bpy.context.view_layer.update()
    assert depth_now(scene) == pytest.approx(5.0)
    assert next(iter(meshes._surfaces.values())) is surface
    for vertex in wall.data.vertices:
        vertex.co.y -= 2
    wall.data.update()
    bpy.context.view_layer.update()
    assert depth_now(scene) == pytest.approx(3.0)
    scene.camera.location.y -= 1
    bpy.context.view_layer.update()
    assert depth_now(scene) == pytest.approx(4.0)
    meshes.forget_meshes()
    assert depth_now(scene) == pytest.approx(4.0)
    bpy.data.objects.remove(wall)
    bpy.context.view_layer.update()
    assert depth_now(scene) is None
    assert not meshes._surfaces
