# SPDX-License-Identifier: GPL-3.0-or-later
"""A textured mesh as Blender objects: vertex groups, shape keys with drivers, a material, and a skeleton for
an avatar that has no rig."""

from dataclasses import dataclass

import bpy
import numpy as np

from ..backend.body.arkit import ARKIT_NAMES
from .armature import bone_names
from .rest_pose import applied

ROUGHNESS = 0.6  # between skin and cloth
EYES = ("eye.L", "eye.R")
NEAR = {"jaw": 0.03, "eye.L": 0.01, "eye.R": 0.01}  # metres from a joint to a bone that may turn it
SHORTEST = 0.005  # metres of a bone
AHEAD = np.array([0, -0.02, 0])  # metres from the middle of an eye to the end of its bone


@dataclass(frozen=True, eq=False)
class Rigging:
    """rest [J,4,4], canonical -> the armature's rest pose; bones [J]: the bone that moves each joint, or
    None."""

    armature: bpy.types.Object
    rest: np.ndarray
    bones: tuple[str | None, ...]


def rigging_of(avatar: bpy.types.Object, binding, bone_map: dict[str, str], joint_heads) -> Rigging:
    """The rigging to the armature that an avatar is bound to, by its `Binding` and joint -> bone map; jaw
    and eyes have their own bones where these turn about the same points."""
    from ..backend.body.skeleton import INDEX

    armature = avatar.lca.armature
    names = bone_names(armature)
    resting = np.tile(np.eye(4, dtype=np.float32), (len(names), 1, 1))
    rest = np.asarray(binding.transforms(resting, applied(avatar.data)), np.float64)
    bones = [names[bone] if bone >= 0 else None for bone in binding.bones]
    for joint, near in NEAR.items():
        bone = armature.data.bones.get(bone_map.get(joint, ""))
        at = rest[INDEX[joint]] @ np.append(joint_heads[INDEX[joint]], 1)
        if bone and np.linalg.norm(np.array(bone.head_local) - at[:3]) < near * binding.scale:
            bones[INDEX[joint]] = bone.name
    return Rigging(armature, rest, tuple(bones))


def add_skeleton(context: bpy.types.Context, avatar_object: bpy.types.Object, avatar) -> Rigging:
    """An armature with a bone for every joint of an unbound avatar, where it stands; its eyes follow the
    avatar's gaze."""
    name = f"{avatar_object.name} Skeleton"
    rig = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    context.collection.objects.link(rig)
    rig.matrix_world = avatar_object.matrix_world
    rig.show_in_front = True
    context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bones = rig.data.edit_bones
    places = zip(avatar.joint_names, avatar.joint_heads.numpy(), avatar.joint_tails.numpy(), strict=True)
    for joint, head, tail in places:
        bone = bones.new(joint)
        far = np.linalg.norm(tail - head) > SHORTEST and joint not in EYES
        bone.head, bone.tail = head.tolist(), (tail if far else head + AHEAD).tolist()
        if joint in EYES:
            bone.align_roll((0, 0, 1))  # local X to the right, Z up: pitch and yaw of the gaze
    for joint, parent in zip(avatar.joint_names, avatar.joint_parents.tolist(), strict=True):
        bones[joint].parent = bones[avatar.joint_names[parent]] if parent >= 0 else None
    bpy.ops.object.mode_set(mode="OBJECT")
    for joint in EYES:
        bone = rig.pose.bones[joint]
        bone.rotation_mode = "XYZ"
        for axis, part in ((2, 0), (0, 1)):
            own = "gaze_left" if joint == EYES[0] else "gaze_right"
            paths = f"lca.gaze[{part}]", f"lca.{own}[{part}]"
            _drive(bone.driver_add("rotation_euler", axis), avatar_object, *paths)
    return Rigging(rig, np.tile(np.eye(4), (len(avatar.joint_names), 1, 1)), tuple(avatar.joint_names))


def add_textured_object(
    context: bpy.types.Context, avatar_object: bpy.types.Object, made, rigging: Rigging, image
) -> bpy.types.Object:
    """The object of a `TexturedMesh` on its rigging, where the avatar is; active and alone selected."""
    linear, points = _at_rest(made, rigging)
    name = f"{avatar_object.name} Mesh"
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.tolist(), [], made.faces.tolist())
    mesh.shade_smooth()
    mesh.uv_layers.new(name="UVMap").uv.foreach_set("vector", np.ascontiguousarray(made.uvs).ravel())
    mesh.materials.append(_material(name, image))
    obj = bpy.data.objects.new(name, mesh)
    context.collection.objects.link(obj)
    _weigh(obj, made.skin_weights, rigging.bones)
    _add_shape_keys(obj, avatar_object, points, linear, made.shapes)
    obj.modifiers.new("Armature", "ARMATURE").object = rigging.armature
    _parent(obj, rigging.armature, avatar_object)
    for other in context.selected_objects:
        other.select_set(False)
    context.view_layer.objects.active = obj
    obj.select_set(True)
    return obj


def packed_image(name: str, png: bytes) -> bpy.types.Image:
    """An image datablock that holds a PNG file's bytes."""
    image = bpy.data.images.new(name, 1, 1)
    image.pack(data=png, data_len=len(png))
    image.source = "FILE"
    return image


def _at_rest(made, rigging: Rigging) -> tuple[np.ndarray, np.ndarray]:
    """[Nv,3,3] the linear part of every vertex's skinning to the rest pose, and [Nv,3] where it lies."""
    rows = made.skin_weights.astype(np.float64) @ rigging.rest[:, :3].reshape(-1, 12)
    matrix = rows.reshape(-1, 3, 4)
    points = np.einsum("nab,nb->na", matrix[:, :, :3], made.vertices) + matrix[:, :, 3]
    return matrix[:, :, :3], points.astype(np.float32)


def _parent(obj: bpy.types.Object, armature: bpy.types.Object, avatar: bpy.types.Object) -> None:
    """Makes the object the armature's child; it stands where the avatar does."""
    obj.parent = armature
    if avatar.parent == armature:
        obj.matrix_parent_inverse = avatar.matrix_parent_inverse
        obj.matrix_basis = avatar.matrix_basis
    elif avatar.lca.armature == armature:
        obj.matrix_parent_inverse = armature.matrix_world.inverted_safe()
        obj.matrix_basis = avatar.matrix_world


def _weigh(obj: bpy.types.Object, weights: np.ndarray, bones: tuple[str | None, ...]) -> None:
    """Vertex groups named as the bones; several joints may share one."""
    names = sorted({bone for bone in bones if bone})
    column = {name: i for i, name in enumerate(names)}
    merged = np.zeros((len(weights), len(names)))
    for joint, bone in enumerate(bones):
        if bone:
            merged[:, column[bone]] += weights[:, joint]
    for name, weight in zip(names, merged.T, strict=True):
        group = obj.vertex_groups.new(name=name)
        for vertex in np.flatnonzero(weight > 0).tolist():
            group.add((vertex,), float(weight[vertex]), "REPLACE")


def _add_shape_keys(obj, avatar: bpy.types.Object, points, linear, shapes) -> None:
    """52 keys with ARKit's names, which follow the avatar's sliders."""
    obj.shape_key_add(name="Basis", from_mix=False)
    for name, shape in zip(ARKIT_NAMES, shapes, strict=True):
        key = obj.shape_key_add(name=name, from_mix=False)
        moved = points + np.einsum("nab,nb->na", linear, shape)
        key.data.foreach_set("co", np.ascontiguousarray(moved, np.float32).ravel())
        _drive(key.driver_add("value"), avatar, f"lca.expression.{name}")


def _drive(curve: bpy.types.FCurve, avatar: bpy.types.Object, *paths: str) -> None:
    """Lets a value be the sum of properties of the avatar, without a Python expression."""
    curve.driver.type = "SUM"
    for path in paths:
        variable = curve.driver.variables.new()
        variable.targets[0].id = avatar
        variable.targets[0].data_path = path


def _material(name: str, image: bpy.types.Image) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = ROUGHNESS
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    texture.location = (shader.location.x - 320, shader.location.y)
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material
