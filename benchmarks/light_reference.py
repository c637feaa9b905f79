# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh in Cycles under one light, for `lca eval-light`, which never imports bpy itself.

    python benchmarks/light_reference.py SCENE.npz OUT.npy

SCENE holds points, normals, albedo [n,3], gloss [n,2] (roughness, specular), faces [f,3], viewmat, K, size,
and light: JSON with either hdri (a name of Blender's studio environments) and turn, or a lamp's settings. OUT
is float32 [H,W,4], scene-linear, premultiplied, row 0 at the top.
"""

import json
import os
import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

SAMPLES = 128


def main(scene_file: str, out: str) -> None:
    given = np.load(scene_file)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    add_mesh(scene, given)
    add_camera(scene, given)
    add_light(scene, json.loads(str(given["light"])))
    settings = scene.render
    settings.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising = SAMPLES, True
    scene.cycles.pixel_filter_type = "BOX"
    settings.threads_mode, settings.threads = "FIXED", int(os.environ.get("OMP_NUM_THREADS", 2))
    settings.film_transparent = True
    settings.image_settings.file_format = "OPEN_EXR"
    settings.image_settings.color_depth, settings.image_settings.color_mode = "32", "RGBA"
    settings.filepath = out + ".exr"
    bpy.ops.render.render(write_still=True)
    picture = bpy.data.images.load(out + ".exr")
    pixels = np.empty(settings.resolution_x * settings.resolution_y * 4, np.float32)
    picture.pixels.foreach_get(pixels)
    np.save(out, pixels.reshape(settings.resolution_y, settings.resolution_x, 4)[::-1])
    Path(out + ".exr").unlink()


def add_mesh(scene, given) -> None:
    mesh = bpy.data.meshes.new("Person")
    mesh.from_pydata(given["points"].tolist(), [], given["faces"].tolist())
    mesh.normals_split_custom_set_from_vertices(given["normals"].tolist())
    for name, values in (("albedo", given["albedo"]), ("gloss", np.pad(given["gloss"], ((0, 0), (0, 1))))):
        attribute = mesh.attributes.new(name, "FLOAT_VECTOR", "POINT")
        attribute.data.foreach_set("vector", values.astype(np.float32).ravel())
    material = bpy.data.materials.new("Person")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    surface = next(n for n in nodes if n.type == "BSDF_PRINCIPLED")
    surface.inputs["IOR"].default_value = 1.5
    albedo, gloss, parts = (
        nodes.new(kind) for kind in (*["ShaderNodeAttribute"] * 2, "ShaderNodeSeparateXYZ")
    )
    albedo.attribute_name, gloss.attribute_name = "albedo", "gloss"
    links.new(albedo.outputs["Vector"], surface.inputs["Base Color"])
    links.new(gloss.outputs["Vector"], parts.inputs[0])
    links.new(parts.outputs["X"], surface.inputs["Roughness"])
    links.new(parts.outputs["Y"], surface.inputs["Specular IOR Level"])
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("Person", mesh))


def add_camera(scene, given) -> None:
    width, height = given["size"].tolist()
    K, viewmat = given["K"], given["viewmat"]
    scene.render.resolution_x, scene.render.resolution_y = width, height
    data = bpy.data.cameras.new("Camera")
    data.sensor_fit, data.sensor_height = "VERTICAL", 24.0
    data.lens = K[1, 1] / height * 24.0
    data.shift_x = (width / 2 - K[0, 2]) / height
    data.shift_y = (K[1, 2] - height / 2) / height
    camera = bpy.data.objects.new("Camera", data)
    camera.matrix_world = Matrix((np.linalg.inv(viewmat) @ np.diag([1, -1, -1, 1])).tolist())
    scene.collection.objects.link(camera)
    scene.camera = camera


def add_light(scene, light: dict) -> None:
    scene.world = bpy.data.worlds.new("World")
    background = next(n for n in scene.world.node_tree.nodes if n.type == "BACKGROUND")
    if "hdri" not in light:
        background.inputs["Color"].default_value = (0, 0, 0, 1)
        add_lamp(scene, light)
        return
    nodes, links = scene.world.node_tree.nodes, scene.world.node_tree.links
    kinds = "ShaderNodeTexEnvironment", "ShaderNodeMapping", "ShaderNodeTexCoord"
    texture, mapping, coordinates = (nodes.new(kind) for kind in kinds)
    folder = Path(bpy.utils.resource_path("LOCAL"), "datafiles", "studiolights", "world")
    texture.image = bpy.data.images.load(str(folder / light["hdri"]))
    mapping.inputs["Rotation"].default_value = (0, 0, light["turn"])
    links.new(coordinates.outputs["Generated"], mapping.inputs["Vector"])
    links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    links.new(texture.outputs["Color"], background.inputs["Color"])


def add_lamp(scene, light: dict) -> None:
    data = bpy.data.lights.new("Lamp", light["type"])
    for name, value in light["settings"].items():
        setattr(data, name, value)
    lamp = bpy.data.objects.new("Lamp", data)
    towards = Vector(light["aim"]) - Vector(light["at"])
    lamp.location, lamp.rotation_euler = light["at"], towards.to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(lamp)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # bpy may hang at interpreter exit
