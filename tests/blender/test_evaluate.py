# SPDX-License-Identifier: GPL-3.0-or-later
"""One way from a scene to splats, whoever asks."""

from itertools import pairwise

import bpy
import numpy as np
import pytest
import torch
from lca_blender.backend.avatar import Avatar, Signal
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.expression import expression_code
from lca_blender.backend.body.template import load_template
from lca_blender.backend.errors import UserError
from mathutils import Euler, Matrix

from lca_blender.scene import avatar_data
from lca_blender.scene.evaluate import evaluate, forget_results, visible_avatars


def depsgraph():
    return bpy.context.evaluated_depsgraph_get()


def same(a, b):
    fields = ("means", "covariances", "opacities", "colors")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in fields)


def fresh(obj, graph=None):
    """Evaluates without help of anything kept."""
    forget_results()
    return evaluate(obj, graph or depsgraph())


def test_an_unbound_avatar_stands_in_its_canonical_pose(avatar, avatar_file):
    loaded = Avatar.load(avatar_file)
    joints = len(loaded.joint_names)
    at_rest = Signal(torch.eye(4).repeat(joints, 1, 1), torch.zeros(52), torch.zeros(2, 2))
    assert same(fresh(avatar), loaded.drive(at_rest))


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 2, 2), (2, 0.5, 1.3), (-1, 1, 1)])
def test_it_follows_its_objects_transform(avatar, scale):
    before = fresh(avatar)
    matrix = Matrix.LocRotScale((1, 2, 3), Euler((0.3, -0.2, 0.9)), scale)
    avatar.matrix_world = matrix
    bpy.context.view_layer.update()
    after = fresh(avatar)
    linear = np.array(matrix.to_3x3())
    assert after.means.numpy() == pytest.approx(before.means.numpy() @ linear.T + (1, 2, 3), abs=1e-5)
    expected = linear @ before.covariances.numpy() @ linear.T
    assert after.covariances.numpy() == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_sliders_gaze_and_pose_all_matter(bound):
    avatar, rig = bound
    seen = [fresh(avatar)]
    avatar.lca.expression.jawOpen = 1.0
    bpy.context.view_layer.update()
    seen.append(fresh(avatar))
    avatar.lca.gaze = (0.4, 0.1)
    bpy.context.view_layer.update()
    seen.append(fresh(avatar))
    rig.pose.bones["forearm.L"].rotation_quaternion = (0.9, 0.3, 0, 0)
    bpy.context.view_layer.update()
    seen.append(fresh(avatar))
    assert not any(same(a, b) for a, b in pairwise(seen))


def test_an_expression_code_does_what_its_sliders_do(avatar):
    sliders = torch.zeros(52)
    sliders[list(ARKIT_NAMES).index("mouthSmileLeft")] = 0.75
    avatar.lca.code = expression_code(sliders).reshape(4, 32).tolist()
    bpy.context.view_layer.update()
    neutral = fresh(avatar)
    avatar.lca.use_code = True
    bpy.context.view_layer.update()
    by_code = fresh(avatar)
    avatar.lca.use_code = False
    avatar.lca.expression.mouthSmileLeft = 0.75
    bpy.context.view_layer.update()
    by_slider = fresh(avatar)
    assert by_code.means.numpy() == pytest.approx(by_slider.means.numpy(), abs=1e-5)
    assert not same(by_code, neutral)


def test_an_expression_code_is_not_squeezed_through_the_sliders(avatar, avatar_file):
    code = torch.randn(128, generator=torch.Generator().manual_seed(4))
    avatar.lca.code, avatar.lca.use_code = code.reshape(4, 32).tolist(), True
    bpy.context.view_layer.update()
    loaded = Avatar.load(avatar_file)
    at_rest = torch.eye(4).repeat(len(loaded.joint_names), 1, 1)
    assert same(fresh(avatar), loaded.drive(Signal.from_code(at_rest, code, torch.zeros(2, 2))))


def test_splats_move_as_blenders_own_bones_say(bound, rigid_avatar_file):
    """No pose detail in the file, a rig that rests in the canonical pose: plain skinning is the truth."""
    avatar, rig = bound
    avatar.lca.filepath = str(rigid_avatar_file)
    rig.matrix_world = Matrix.LocRotScale((0.5, 0.1, 0.2), Euler((0, 0, 1.0)), (1, 1, 1))
    for name in ("upper_arm.L", "hand.L", "index2.R", "head", "shin.R"):
        rig.pose.bones[name].rotation_quaternion = (0.8, 0.1, 0.5, -0.2)
    bpy.context.view_layer.update()
    splats = fresh(avatar)
    loaded = Avatar.load(rigid_avatar_file)
    bones = [rig.pose.bones[name] for name in loaded.joint_names]
    moves = np.stack([rig.matrix_world @ bone.matrix @ bone.bone.matrix_local.inverted() for bone in bones])
    weights = loaded.skin_weights.double().numpy()
    weights /= weights.sum(1, keepdims=True)
    blended = np.einsum("nk,nkab->nab", weights, moves[loaded.skin_indices.numpy()])
    points = np.c_[loaded.means.numpy(), np.ones(len(loaded))]
    assert splats.means.numpy() == pytest.approx(np.einsum("nab,nb->na", blended, points)[:, :3], abs=2e-4)
    moved = np.linalg.norm(splats.means.numpy() - loaded.means.numpy(), axis=1)
    assert moved.max() > 0.5


def test_the_proxy_goes_where_the_splats_go(bound):
    avatar, rig = bound
    rig.matrix_world = Matrix.Translation((0.3, 0.2, 0.1)) @ Matrix.Rotation(0.7, 4, "Z")
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.0, 0.0, 0.6)
    rig.pose.bones["thigh.R"].rotation_quaternion = (0.8, 0.6, 0.0, 0.0)
    bpy.context.view_layer.update()
    for shift in (Matrix(), Matrix.Translation((0.1, 0, 0)) @ Matrix.Rotation(0.2, 4, "Z")):
        avatar.matrix_basis = shift
        bpy.context.view_layer.update()
        evaluated = avatar.evaluated_get(depsgraph())
        points = np.empty(len(evaluated.data.vertices) * 3, np.float32)
        evaluated.data.vertices.foreach_get("co", points)
        world = np.array(evaluated.matrix_world)
        points = points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
        splats = fresh(avatar).means.numpy()
        distance = np.linalg.norm(splats[:, None] - points[None], axis=-1).min(1)
        assert np.percentile(distance, 95) < 0.05


def animate(avatar, rig):
    for frame, value in ((1, 0.0), (9, 1.0)):
        avatar.lca.expression.jawOpen = value
        avatar.lca.expression.keyframe_insert("jawOpen", frame=frame)
        avatar.lca.gaze = (value / 2, 0)
        avatar.lca.keyframe_insert("gaze", frame=frame)
        rig.pose.bones["upper_arm.L"].rotation_quaternion = (1, value, 0, value / 3)
        rig.pose.bones["upper_arm.L"].keyframe_insert("rotation_quaternion", frame=frame)
        rig.location = (value, 0, 0)
        rig.keyframe_insert("location", frame=frame)


def test_scrubbing_any_way_gives_the_same_splats_as_rendering(scene, bound, tmp_path):
    avatar, rig = bound
    animate(avatar, rig)
    scene.render.resolution_x = scene.render.resolution_y = 16
    seen: dict[str, dict[int, object]] = {"RENDER": {}, "VIEWPORT": {}}

    def look(scene, graph):
        seen[graph.mode].setdefault(scene.frame_current, []).append(fresh(avatar, graph))

    for frame in (1, 2, 3, 4, 5, 4, 2, 5, 1, 3):
        scene.frame_set(frame)
        seen["VIEWPORT"].setdefault(frame, []).append(fresh(avatar))
    bpy.app.handlers.frame_change_post.append(look)
    try:
        scene.frame_start, scene.frame_end = 1, 5
        scene.render.filepath = str(tmp_path / "frame_")
        bpy.ops.render.render(animation=True)
    finally:
        bpy.app.handlers.frame_change_post.remove(look)
    assert set(seen["RENDER"]) == {1, 2, 3, 4, 5}
    for frame in range(1, 6):
        first, *others = seen["VIEWPORT"][frame] + seen["RENDER"][frame]
        assert len(others) >= 2
        assert all(same(first, other) for other in others)
    assert not same(seen["VIEWPORT"][1][0], seen["VIEWPORT"][5][0])


def test_a_changed_rest_pose_counts_from_the_next_binding_on(bound):
    avatar, rig = bound
    before = fresh(avatar)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in rig.data.edit_bones:
        bone.head, bone.tail = bone.head * 2, bone.tail * 2
    bpy.ops.object.mode_set(mode="OBJECT")
    assert fresh(avatar).means.numpy() == pytest.approx(before.means.numpy(), abs=1e-5)
    bpy.context.view_layer.objects.active = avatar
    bpy.ops.lca.bind_to_armature(armature=rig.name)
    assert fresh(avatar).means.numpy() == pytest.approx(2 * before.means.numpy(), abs=0.02)


def test_rest_position_is_the_rest_pose(bound):
    avatar, rig = bound
    rest = fresh(avatar)
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.0, 0.0, 0.6)
    bpy.context.view_layer.update()
    assert not same(fresh(avatar), rest)
    rig.data.pose_position = "REST"
    bpy.context.view_layer.update()
    assert fresh(avatar).means.numpy() == pytest.approx(rest.means.numpy(), abs=1e-5)


def test_a_hidden_rig_still_moves_the_avatar(bound):
    avatar, rig = bound
    rig.hide_viewport = rig.hide_render = True
    before = fresh(avatar)
    rig.pose.bones["upper_arm.L"].rotation_quaternion = (0.8, 0.0, 0.0, 0.6)
    bpy.context.view_layer.update()
    assert not same(fresh(avatar), before)


def test_a_copy_shares_the_data_and_acts_alone(scene, avatar):
    copy = avatar.copy()
    copy.data = avatar.data.copy()
    scene.collection.objects.link(copy)
    copy.lca.expression.mouthPucker = 1.0
    bpy.context.view_layer.update()
    assert avatar_data.load_avatar(copy) is avatar_data.load_avatar(avatar)
    assert not same(fresh(copy), fresh(avatar))
    assert len(list(visible_avatars(depsgraph()))) == 2


def test_instances_of_a_collection(scene, avatar):
    collection = bpy.data.collections.new("Crowd")
    scene.collection.objects.unlink(avatar)
    collection.objects.link(avatar)
    for x in (1.0, 2.0):
        empty = bpy.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", collection
        empty.location.x = x
        scene.collection.objects.link(empty)
    bpy.context.view_layer.update()
    graph = depsgraph()
    places = sorted(float(matrix[0, 3]) for _, matrix, _ in visible_avatars(graph))
    assert places == [1.0, 2.0]
    sets = [evaluate(obj, graph, matrix) for obj, matrix, _ in visible_avatars(graph)]
    middles = sorted(s.means[:, 0].mean().item() for s in sets)
    assert middles[1] - middles[0] == pytest.approx(1.0, abs=1e-5)


def test_hidden_avatars_are_not_there(scene, avatar):
    avatar.hide_viewport = True
    bpy.context.view_layer.update()
    assert not list(visible_avatars(depsgraph()))


def test_saving_and_opening_keeps_everything(scene, bound, avatar_file, tmp_path):
    avatar, rig = bound
    animate(avatar, rig)
    scene.frame_set(4)
    before = fresh(avatar)
    path = tmp_path / "a" / "scene.blend"
    path.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    avatar.lca.filepath = avatar_data.relative_if_saved(avatar_file)
    assert avatar.lca.filepath.startswith("//")
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert same(fresh(bpy.data.objects["Avatar"]), before)


def test_linked_and_overridden(scene, bound, avatar_file, tmp_path):
    avatar, rig = bound
    collection = bpy.data.collections.new("Person")
    scene.collection.children.link(collection)
    for obj in (avatar, rig):
        scene.collection.objects.unlink(obj)
        collection.objects.link(obj)
    library = tmp_path / "library" / "person.blend"
    library.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(library))
    avatar.lca.filepath = avatar_data.relative_if_saved(avatar_file)
    bpy.ops.wm.save_mainfile()
    expected = fresh(avatar)

    bpy.ops.wm.read_factory_settings(use_empty=True)
    shot = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(shot))
    with bpy.data.libraries.load(str(library), link=True, relative=True) as (_, into):
        into.collections = ["Person"]
    scene = bpy.context.scene
    scene.collection.children.link(into.collections[0])
    bpy.context.view_layer.update()
    linked = next(o for o in bpy.data.objects if o.library and o.type == "MESH")
    assert same(fresh(linked), expected)

    override = into.collections[0].override_hierarchy_create(scene, bpy.context.view_layer)
    own = next(o for o in override.all_objects if o.type == "MESH")
    own.lca.expression.jawOpen = 0.7
    bpy.context.view_layer.update()
    changed = fresh(own)
    assert not same(changed, expected)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(shot))
    own = next(o for o in bpy.data.objects if o.override_library and o.type == "MESH")
    assert own.lca.expression.jawOpen == pytest.approx(0.7)
    assert same(fresh(own), changed)


def test_packed_bytes_replace_the_file(scene, avatar, avatar_file, tmp_path):
    mine = tmp_path / "mine.lca"
    mine.write_bytes(avatar_file.read_bytes())
    avatar.lca.filepath = str(mine)
    before = fresh(avatar)
    avatar_data.pack(avatar)
    path = tmp_path / "packed.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    mine.unlink()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    obj = bpy.data.objects["Avatar"]
    assert same(fresh(obj), before)
    avatar_data.unpack(obj, mine)
    assert mine.read_bytes() == avatar_file.read_bytes()
    assert not avatar_data.is_packed(obj)
    assert same(fresh(obj), before)


def test_packed_avatars_are_known_by_their_own_bytes(avatar, avatar_file, rigid_avatar_file, tmp_path):
    """Two files of one name, packed: neither is taken for the other."""
    other = avatar.copy()
    bpy.context.scene.collection.objects.link(other)
    for number, (obj, file) in enumerate(((avatar, avatar_file), (other, rigid_avatar_file))):
        path = tmp_path / str(number) / "ann.lca"
        path.parent.mkdir()
        path.write_bytes(file.read_bytes())
        obj.lca.filepath = str(path)
        avatar_data.pack(obj)
    loaded = [avatar_data.load_avatar(obj).hash for obj in (avatar, other)]
    assert loaded == [Avatar.load(file).hash for file in (avatar_file, rigid_avatar_file)]
    content = avatar_file.read_bytes()
    other.lca.file.pack(data=content, data_len=len(content))
    avatar_data.forget_avatars()
    assert avatar_data.load_avatar(avatar) is avatar_data.load_avatar(other)


def test_packed_bytes_that_are_no_avatar_are_refused(avatar):
    avatar.lca.file.pack(data=b"bytes of nothing", data_len=16)
    avatar_data.forget_avatars()
    with pytest.raises(UserError):
        avatar_data.load_avatar(avatar)


def test_a_file_that_changes_is_read_again(avatar, avatar_file, rigid_avatar_file, tmp_path):
    path = tmp_path / "changing.lca"
    path.write_bytes(avatar_file.read_bytes())
    avatar.lca.filepath = str(path)
    first = avatar_data.load_avatar(avatar)
    path.write_bytes(rigid_avatar_file.read_bytes())
    assert avatar_data.load_avatar(avatar).hash != first.hash


def test_a_missing_file_is_named(avatar, tmp_path):
    avatar.lca.filepath = str(tmp_path / "gone.lca")
    with pytest.raises(UserError, match=r"gone\.lca"):
        fresh(avatar)


def test_a_damaged_file_is_refused(avatar, avatar_file, tmp_path):
    path = tmp_path / "half.lca"
    path.write_bytes(avatar_file.read_bytes()[:1000])
    avatar.lca.filepath = str(path)
    with pytest.raises(UserError):
        fresh(avatar)


def test_the_proxy_is_light_and_weighted(bound):
    avatar, _ = bound
    assert 5000 <= len(avatar.data.vertices) <= 10_000  # enough for the person's shape and colours
    assert {"head", "hand.L", "foot.R"} <= {group.name for group in avatar.vertex_groups}
    for vertex in avatar.data.vertices:
        assert sum(element.weight for element in vertex.groups) == pytest.approx(1, abs=0.02)
    assert set(load_template().joint_names) == {pair.joint for pair in avatar.lca.bone_map}
