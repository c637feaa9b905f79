# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy looks like in other engines: the person's colours; pink where this extension is missing."""

import bpy
import numpy as np

from ..backend.srgb import linear_of

PERSON = "lca_person"  # attribute of the proxy's mesh: the person's surface in the canonical pose
COLOR = "Color"  # its colour attribute
INSTALLED = "lca_installed"  # property of materials that only this extension registers
NOTE = "LCA for artists"  # custom property of the object
NOTE_TEXT = (
    "This mesh stands for an avatar of 3D Gaussians, which the extension LCA for artists draws. A pink body: "
    "the extension is not installed on the machine that rendered the frame, which is not the shot."
)
ROUGHNESS = 0.6
WARNING = (1.0, 0.0, 0.4, 1.0)  # scene-linear, an emission


def dress(obj: bpy.types.Object, points: np.ndarray, colors: np.ndarray) -> None:
    """Keeps the person's surface in an object's mesh and gives it the person's colours: points [n,3] of the
    canonical pose, colors [n,3] sRGB."""
    mesh = obj.data
    kept = mesh.attributes.get(PERSON) or mesh.attributes.new(PERSON, "FLOAT_VECTOR", "POINT")
    kept.data.foreach_set("vector", np.ascontiguousarray(points, np.float32).ravel())
    if COLOR not in mesh.color_attributes:
        mesh.color_attributes.new(COLOR, "BYTE_COLOR", "POINT")
    rgba = np.ones((len(colors), 4), np.float32)
    rgba[:, :3] = colors
    mesh.color_attributes[COLOR].data.foreach_set("color_srgb", rgba.ravel())
    mesh.color_attributes.active_color = mesh.color_attributes[COLOR]
    mesh.color_attributes.render_color_index = mesh.color_attributes.find(COLOR)
    if not mesh.materials:
        mesh.materials.append(person_material(obj.name))
    median = linear_of(np.median(colors, axis=0))
    mesh.materials[0].diffuse_color = obj.color = (*median.tolist(), 1.0)
    obj[NOTE] = NOTE_TEXT


def person_of(mesh: bpy.types.Mesh) -> np.ndarray | None:
    """The kept surface [n,3]; None where there is none of this mesh."""
    kept = mesh.attributes.get(PERSON)
    if kept is None or kept.data_type != "FLOAT_VECTOR" or kept.domain != "POINT":
        return None
    points = np.empty((len(kept.data), 3), np.float32)
    kept.data.foreach_get("vector", points.ravel())
    return points


def person_material(name: str) -> bpy.types.Material:
    """The mesh's colours, unless the extension is missing: then pink, which shines."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    nodes, links = tree.nodes, tree.links
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    shader.inputs["Roughness"].default_value = ROUGHNESS
    colors = nodes.new("ShaderNodeVertexColor")
    colors.layer_name = COLOR
    colors.location = (shader.location.x - 220, shader.location.y)
    warning = nodes.new("ShaderNodeEmission")
    warning.label = "LCA for artists is not installed"
    warning.inputs["Color"].default_value = WARNING
    warning.location = (shader.location.x, shader.location.y + 200)
    mix = nodes.new("ShaderNodeMixShader")
    mix.location = output.location
    output.location.x += 220
    links.new(colors.outputs["Color"], shader.inputs["Base Color"])
    links.new(warning.outputs[0], mix.inputs[1])
    links.new(shader.outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], output.inputs["Surface"])
    mix.inputs[0].default_value = 1.0
    _drive(mix.inputs[0], material)
    return material


def _drive(socket: bpy.types.NodeSocket, material: bpy.types.Material) -> None:
    """1 where this extension has registered its property, else 0; without a Python expression."""
    driver = socket.driver_add("default_value").driver
    driver.type = "AVERAGE"
    variable = driver.variables.new()
    target = variable.targets[0]
    target.id_type, target.id = "MATERIAL", material
    target.data_path = INSTALLED
    target.use_fallback_value, target.fallback_value = True, 0.0
