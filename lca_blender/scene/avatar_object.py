# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar object in a scene: a light proxy mesh of the person that names its file and follows the rig.

Blender shows, selects and casts shadows from the proxy; our engine draws the splats instead.
"""

from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from .armature import bone_names, rig_of
from .avatar_data import load_avatar, relative_if_saved
from .erased import carry_over
from .proxy_look import dress, person_of
from .rest_pose import applied, forget_rig, keep_places, keep_rig

PROXY_VERTICES = 8000
MODIFIER = "LCA Armature"


def create_avatar_object(
    context: bpy.types.Context, avatar, filepath: Path | str, name: str = "Avatar", location=(0.0, 0.0, 0.0)
) -> bpy.types.Object:
    """Adds an object for a loaded `Avatar` to the active collection; makes it active and alone selected."""
    mesh = bpy.data.meshes.new(name)
    still = avatar.header.get("still") is True
    if still:
        mesh.from_pydata(*_box(avatar.means.numpy()), [])
        keep_places(mesh)
    else:
        vertices, faces, _, _ = proxy_body()
        mesh.from_pydata(vertices.tolist(), [], faces.tolist())
        mesh.shade_smooth()
    obj = bpy.data.objects.new(name, mesh)
    obj.location = location
    _name_avatar(obj, avatar, filepath)
    if not still:
        dress_proxy(obj, avatar)
        move_proxy(obj, None)
    # Blender does not store a group without any value set, and Blender 5 then loses overrides inside it.
    obj.lca.expression.jawOpen = 0.0
    context.collection.objects.link(obj)
    for other in context.selected_objects:
        other.select_set(False)
    context.view_layer.objects.active = obj
    obj.select_set(True)
    return obj


def _box(points: np.ndarray) -> tuple[list, list]:
    """Corners and edges around points [n,3]: what stands for splats that are no body."""
    middle, half = (points.min(0) + points.max(0)) / 2, np.ptp(points, axis=0) / 2
    half = np.maximum(half, 0.01 * max(half.max(), 0.01))
    ends = np.stack([middle - half, middle + half])
    bits = np.arange(8)[:, None] >> np.arange(3) & 1
    corners = np.take_along_axis(ends, bits, 0)
    edges = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]
    return corners.tolist(), edges


def change_avatar(obj: bpy.types.Object, avatar, filepath: Path | str) -> None:
    """Lets an object name another avatar; one that is bound is to be bound again."""
    change_look(obj, avatar, filepath)
    dress_proxy(obj, avatar)
    if obj.lca.armature is None:
        moved = applied(obj.data)
        move_proxy(obj, None)
        if moved is not None:
            obj.data.transform(Matrix(moved.tolist()))


def change_look(obj: bpy.types.Object, avatar, filepath: Path | str) -> None:
    """Lets an object name an avatar of the same skeleton; its proxy and rig stay as they are."""
    carry_over(obj, avatar)
    _name_avatar(obj, avatar, filepath)
    obj.update_tag()


def _name_avatar(obj: bpy.types.Object, avatar, filepath: Path | str) -> None:
    obj.lca.filepath = relative_if_saved(Path(filepath))
    obj.lca.hash = avatar.hash
    obj.lca.warnings = "\n".join(avatar.header.get("warnings", ()))


def bind_proxy(obj: bpy.types.Object, armature: bpy.types.Object, binding, bone_map: dict[str, str]) -> None:
    """Re-poses the proxy to the armature's rest pose, weights it to the bones and parents it to the armature.

    `binding` is the backend's `Binding` (its `transforms` of resting bones carry canonical points to the rest
    pose); `bone_map` joint -> bone. The property group is set too, so the splats follow from here on.
    """
    from ..backend.body.template import load_template

    resting = np.tile(np.eye(4, dtype=np.float32), (len(armature.data.bones), 1, 1))
    if person_of(obj.data) is None:
        dress_proxy(obj, load_avatar(obj))
    move_proxy(obj, np.asarray(binding.transforms(resting), np.float64))
    keep_rig(obj.data, rig_of(armature))
    names = bone_names(armature)
    weigh_proxy(obj, [names[bone] if bone >= 0 else None for bone in binding.bones])
    modifier = obj.modifiers.get(MODIFIER) or obj.modifiers.new(MODIFIER, "ARMATURE")
    modifier.object = armature
    obj.parent = armature
    obj.matrix_parent_inverse.identity()
    obj.matrix_basis.identity()
    properties = obj.lca
    properties.armature = armature
    properties.bone_map.clear()
    for joint in load_template().joint_names:
        pair = properties.bone_map.add()
        pair.joint, pair.bone = joint, bone_map.get(joint, "")
    obj.update_tag()


def unbind_proxy(obj: bpy.types.Object) -> None:
    """Removes the armature; the avatar keeps its place and returns to the canonical pose."""
    world = obj.matrix_world.copy()
    if MODIFIER in obj.modifiers:
        obj.modifiers.remove(obj.modifiers[MODIFIER])
    drop_made_groups(obj)
    obj.parent = None
    obj.matrix_world = world
    obj.lca.armature = None
    obj.lca.bone_map.clear()
    forget_rig(obj.data)
    move_proxy(obj, None)
    obj.update_tag()


def dress_proxy(obj: bpy.types.Object, avatar) -> None:
    """Gives the proxy the surface and the colours of the avatar's person; `move_proxy` then places it."""
    from ..backend.proxy import person_surface

    vertices, faces, _, _ = proxy_body()
    if len(obj.data.vertices) == len(vertices):  # else it was edited by hand: keep it
        dress(obj, *person_surface(avatar, vertices, faces))


def move_proxy(obj: bpy.types.Object, transforms: np.ndarray | None) -> None:
    """Poses the proxy by transforms [J,4,4], canonical to rest pose; None: the canonical pose."""
    vertices, _, indices, weights = proxy_body()
    if len(obj.data.vertices) != len(vertices):
        return  # the proxy was edited by hand: keep it
    kept = person_of(obj.data)
    vertices = vertices if kept is None else kept
    if transforms is not None:
        blended = np.einsum("nk,nkab->nab", weights, transforms[indices])
        vertices = np.einsum("nab,nb->na", blended[:, :3, :3], vertices) + blended[:, :3, 3]
    obj.data.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    keep_places(obj.data)
    obj.data.update()


def weigh_proxy(obj: bpy.types.Object, bones: list[str | None]) -> None:
    """Vertex groups from the template's weights; `bones` [J] names, None: stays at rest.

    They replace those created before and any of the same names; other groups are kept.
    """
    vertices, _, indices, weights = proxy_body()
    if len(obj.data.vertices) != len(vertices):
        return
    names = sorted({bone for bone in bones if bone})
    drop_made_groups(obj, *names)
    obj.lca.made_groups = "\n".join(names)
    column = {name: i for i, name in enumerate(names)}
    of_joint = np.array([column[bone] if bone else -1 for bone in bones])[indices]
    dense = np.zeros((len(vertices), len(names)))
    rows = np.repeat(np.arange(len(vertices)), indices.shape[1])
    known = of_joint.ravel() >= 0
    np.add.at(dense, (rows[known], of_joint.ravel()[known]), weights.ravel()[known])
    for name, weight in zip(names, dense.T, strict=True):
        group = obj.vertex_groups.new(name=name)
        for vertex in np.flatnonzero(weight > 1e-3).tolist():
            group.add((vertex,), float(weight[vertex]), "REPLACE")


def drop_made_groups(obj: bpy.types.Object, *others: str) -> None:
    """Removes the vertex groups that binding created, and those named `others`."""
    for name in {*obj.lca.made_groups.splitlines(), *others} & set(obj.vertex_groups.keys()):
        obj.vertex_groups.remove(obj.vertex_groups[name])
    obj.lca.made_groups = ""


@lru_cache(maxsize=1)
def proxy_body() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The template's skin and eyeballs, decimated: vertices [n,3], faces [f,3], joint indices and weights
    [n,8]."""
    from ..backend.body.anchors import surface_samples
    from ..backend.body.template import EYEBALL, load_template

    template = load_template()
    skin = (template.part[template.faces] <= EYEBALL).all(1)
    used, faces = np.unique(template.faces[skin], return_inverse=True)
    vertices, faces = _decimate(template.vertices[used], faces.reshape(-1, 3), PROXY_VERTICES)
    samples = surface_samples(vertices)
    return vertices, faces, np.asarray(samples.skin_indices), np.asarray(samples.skin_weights, np.float64)


def _decimate(vertices: np.ndarray, faces: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Edge collapse by Blender's Decimate modifier, on an object in a temporary scene."""
    scene = bpy.data.scenes.new("LCA decimate")
    mesh = bpy.data.meshes.new("LCA decimate")
    obj = bpy.data.objects.new("LCA decimate", mesh)
    try:
        mesh.from_pydata(vertices.tolist(), [], faces.tolist())
        scene.collection.objects.link(obj)
        modifier = obj.modifiers.new("Decimate", "DECIMATE")
        modifier.ratio = min(1.0, wanted / len(vertices))
        modifier.use_symmetry = True
        layer = scene.view_layers[0]
        layer.update()
        depsgraph = layer.depsgraph
        depsgraph.update()
        result = obj.evaluated_get(depsgraph).data
        points = np.empty(len(result.vertices) * 3, np.float32)
        result.vertices.foreach_get("co", points)
        result.calc_loop_triangles()
        triangles = np.empty(len(result.loop_triangles) * 3, np.int32)
        result.loop_triangles.foreach_get("vertices", triangles)
        return points.reshape(-1, 3), triangles.reshape(-1, 3)
    finally:
        bpy.data.objects.remove(obj)
        bpy.data.meshes.remove(mesh)
        bpy.data.scenes.remove(scene)
