# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way from a scene to splats: viewport, playback, final frames and export all call `evaluate`."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import bpy
import numpy as np
import torch

from ..backend.avatar import Avatar, Signal
from ..backend.body.arkit import ARKIT_NAMES
from ..backend.errors import UserError
from ..backend.gaussians import Gaussians
from . import armature as armatures
from .avatar_data import is_avatar
from .colour import confidence_colors
from .erased import shown_avatar
from .gaze import gaze_of
from .grade import Grade, graded
from .proxy_shape import Bend, bend_of, bent, carriers_of, is_bent
from .rest_pose import applied, kept_rig, present_places, rig_from

CACHED_RESULTS = 24  # a crowd on one frame or some frames of one avatar; 65,536 splats are 4 MB
NOTHING = 1e-6  # a scale, and metres of a splat's size: less is not there
_results: OrderedDict[tuple, Gaussians] = OrderedDict()
_graded: OrderedDict[tuple, Gaussians] = OrderedDict()


def evaluate(
    obj: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    matrix: np.ndarray | None = None,
    holdout: bool = False,
    show_seen: bool = False,
) -> Gaussians:
    """The splats of an avatar object as the depsgraph has it now, in world space, colours sRGB.

    `matrix` [4,4] places an instance of the object instead of its own world matrix. A `holdout` is black.
    `show_seen`: objects that ask for it have the colours of `confidence_colors`. Equal input gives equal
    output bit for bit; results are kept by content, so nothing can go stale. Raises `UserError`.
    """
    made = evaluated(obj, depsgraph, matrix, holdout, show_seen)
    grade = Grade.of(obj.original.evaluated_get(depsgraph))
    if grade == Grade():
        return made.splats
    key = (made.key, grade)
    if key not in _graded:
        with one_thread():
            _graded[key] = graded(made.splats, grade)
        if len(_graded) > CACHED_RESULTS:
            _graded.popitem(last=False)
    _graded.move_to_end(key)
    return _graded[key]


class Bending(NamedTuple):
    """How a proxy is bent, its object's own world matrix [4,4], and where its mesh rests: `resting`."""

    bend: Bend
    own: np.ndarray
    rest: np.ndarray


class Evaluated(NamedTuple):
    """Splats, the avatar and the signal that they are of, where it stands [4,4] float32, what identifies all
    of that, and what bends the proxy, if anything does."""

    splats: Gaussians
    avatar: Avatar
    signal: Signal
    world: np.ndarray
    key: tuple
    bending: Bending | None


def evaluated(
    obj: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    matrix: np.ndarray | None = None,
    holdout: bool = False,
    show_seen: bool = False,
) -> Evaluated:
    """As `evaluate` before the object's grade, with what the splats are made of."""
    original = obj.original
    of_graph = original.evaluated_get(depsgraph)
    avatar = shown_avatar(original)
    moved = applied(original.data)
    try:
        pose = pose_of(original, avatar, depsgraph)
        transforms = joint_matrices(avatar, pose, moved)
    except np.linalg.LinAlgError as error:
        raise UserError(
            f"The avatar “{original.name}” cannot follow its armature: a bone is scaled to nothing.",
            "Give the rig's bones a scale above zero.",
        ) from error
    own = np.array(of_graph.matrix_world if matrix is None else matrix, dtype=np.float32)
    world = own if pose or moved is None else (own @ moved).astype(np.float32)
    gaze = gaze_of(of_graph, depsgraph, transforms, avatar.joint_heads.numpy(), world)
    signal = signal_of(of_graph, transforms, gaze)
    bend = bend_of(original, depsgraph, bone_moves(avatar, pose)) if is_bent(original) else None
    bending = bend and Bending(bend, own, resting(avatar, pose, moved))
    parts = (None if part is None else part.numpy().tobytes() for part in vars(signal).values())
    coded = show_seen and of_graph.lca.show_seen and avatar.confidence is not None
    key = (
        avatar.hash,
        holdout,
        coded,
        world.tobytes(),
        *parts,
        bend and (bend.plain.tobytes(), bend.actual.tobytes()),
    )
    if key not in _results:
        with one_thread():
            made = posed(original, avatar, signal, world, bending)
            if coded:
                made = replace(made, colors=confidence_colors(made.colors, avatar.confidence))
            if holdout:
                made = replace(made, colors=made.colors * 0, seen=torch.zeros(len(made), 1))
            _results[key] = made
        if len(_results) > CACHED_RESULTS:
            _results.popitem(last=False)
    _results.move_to_end(key)
    return Evaluated(_results[key], avatar, signal, world, key, bending)


def posed(
    obj: bpy.types.Object, avatar: Avatar, signal: Signal, world: np.ndarray, bending: Bending | None
) -> Gaussians:
    """An avatar's splats as its object has them, by what `evaluated` says of a moment."""
    made = visible(avatar.drive(signal, torch.from_numpy(world)), world, signal.transforms.numpy())
    if bending is None:
        return made
    return bent(made, bending.bend, bending.own, carriers_of(avatar, obj, bending.rest))


def weights_of(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph, group: str) -> np.ndarray:
    """[n] weight of a vertex group of the proxy at every splat that its object shows."""
    avatar, number = shown_avatar(obj), obj.vertex_groups[group].index
    rest = resting(avatar, pose_of(obj, avatar, depsgraph), applied(obj.data))
    found = ([g.weight for g in vertex.groups if g.group == number] for vertex in obj.data.vertices)
    weights = np.array([own[0] if own else 0.0 for own in found], np.float32)
    vertices, shares = carriers_of(avatar, obj, rest)
    return (weights[vertices] * shares).sum(1)


def visible(splats: Gaussians, world: np.ndarray, transforms: np.ndarray) -> Gaussians:
    """The splats, transparent where an object or a bone is scaled to nothing: a point would show as a dot."""
    scales = np.linalg.norm(world[:3, :3], axis=0).max() * np.abs(transforms[:, :3, :3]).max((1, 2))
    if scales.min() > NOTHING:
        return splats
    seen = splats.covariances.diagonal(dim1=1, dim2=2).sum(1) > NOTHING**2
    return replace(splats, opacities=splats.opacities * seen)


@contextmanager
def one_thread():
    """Keeps torch on the calling thread: one order of sums on every machine, and no waiting for a busy one.

    The kernels of the rasteriser and of skinning have threads of their own and one order by design.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def forget_results() -> None:
    """Drops the kept results; only memory is gained."""
    _results.clear()
    _graded.clear()


class Pose(NamedTuple):
    """A binding, and by what each of the rig's bones moves the object's space from rest [B,4,4]."""

    binding: object
    channels: np.ndarray


def pose_of(obj: bpy.types.Object, avatar: Avatar, depsgraph: bpy.types.Depsgraph) -> Pose | None:
    """How the object's armature stands, as the Armature modifier of the proxy sees it; None when unbound."""
    pairs = bound_bones(obj)
    if not pairs:
        return None
    rig, binding = obj.lca.armature, binding_of(avatar, obj, pairs)
    if rig is None:
        return Pose(binding, np.eye(4)[None])
    channels = armatures.channel_matrices(rig, depsgraph)
    to_rig = _relative(obj.evaluated_get(depsgraph), rig.evaluated_get(depsgraph))
    if to_rig is not None:
        channels = np.linalg.inv(to_rig) @ channels @ to_rig
    return Pose(binding, channels)


def joint_matrices(avatar: Avatar, pose: Pose | None, moved: np.ndarray | None) -> np.ndarray:
    """Skinning matrices [J,4,4] from the avatar's canonical pose to its armature's, in the object's space;
    identities when unbound. `moved`: as `applied` has it."""
    if pose is None:
        return np.tile(np.eye(4, dtype=np.float32), (len(avatar.joint_names), 1, 1))
    return np.ascontiguousarray(pose.binding.transforms(pose.channels, moved), dtype=np.float32)


def resting(avatar: Avatar, pose: Pose | None, moved: np.ndarray | None) -> np.ndarray:
    """[J,4,4] float32 from the canonical pose to where the proxy's mesh rests."""
    if pose is not None:
        return joint_matrices(
            avatar, Pose(pose.binding, np.tile(np.eye(4), (len(pose.channels), 1, 1))), moved
        )
    moved = np.eye(4) if moved is None else moved
    return np.tile(moved.astype(np.float32), (len(avatar.joint_names), 1, 1))


def bone_moves(avatar: Avatar, pose: Pose | None) -> list[np.ndarray | None]:
    """For every joint by what its bone moves the proxy; None without a bone."""
    bones = [-1] * len(avatar.joint_names) if pose is None else pose.binding.bones
    return [None if bone < 0 else pose.channels[bone] for bone in bones]


def bound_bones(obj: bpy.types.Object) -> tuple[tuple[str, str], ...]:
    """(joint, bone) of an object that is bound, or was to a rig that has been deleted; else empty."""
    if obj.lca.armature is None and not kept_rig(obj.data):
        return ()
    return tuple((pair.joint, pair.bone) for pair in obj.lca.bone_map if pair.bone)


def signal_of(evaluated: bpy.types.Object, transforms: np.ndarray, gaze: np.ndarray) -> Signal:
    """What drives the avatar of an evaluated object: its face by the expression code or by the sliders.

    gaze [2,2]: yaw and pitch of each eye.
    """
    properties = evaluated.lca
    joints, gaze = torch.from_numpy(transforms), torch.from_numpy(gaze)
    if properties.use_code:
        code = torch.from_numpy(np.array(properties.code, np.float32).ravel())  # (4, 32) -> (128,)
        return Signal.from_code(joints, code, gaze)
    sliders = torch.tensor([getattr(properties.expression, name) for name in ARKIT_NAMES])
    return Signal(joints, sliders, gaze)


def binding_of(avatar: Avatar, obj: bpy.types.Object, pairs: tuple[tuple[str, str], ...]):
    """The backend `Binding` of a bound object by (joint, bone) pairs, to its armature's bones as they are.

    Made again when the armature's bones or the stored rest pose change.
    """
    return _binding(_Key(avatar, obj.lca.armature, kept_rig(obj.data), pairs))


class Shown(NamedTuple):
    """An avatar as a view layer shows it: original object, world matrix [4,4], whether it is a holdout."""

    obj: bpy.types.Object
    matrix: np.ndarray
    holdout: bool


def visible_avatars(depsgraph: bpy.types.Depsgraph) -> Iterator[Shown]:
    """Every avatar that the camera sees, instanced ones too, by the visibility of objects and collections."""
    layer = depsgraph.view_layer
    for instance in depsgraph.object_instances:
        obj = instance.object.original
        if not instance.show_self or not is_avatar(obj):
            continue
        holder = (instance.parent or instance.object).original
        seen = obj.lca.hide_proxy or (obj.visible_camera and holder.visible_camera)
        if seen and not holder.indirect_only_get(view_layer=layer):
            holdout = obj.is_holdout or holder.is_holdout or holder.holdout_get(view_layer=layer)
            yield Shown(obj, np.array(instance.matrix_world, dtype=np.float32), holdout)


class _Key:
    """What a binding depends on, hashable; carries avatar and armature along for making it."""

    def __init__(self, avatar: Avatar, rig: bpy.types.Object | None, kept: str, pairs):
        self.avatar, self.rig, self.kept, self.pairs = avatar, rig, kept, pairs
        self.content = (avatar.hash, pairs, kept)
        if rig is not None:
            self.content += (armatures.bone_names(rig), armatures.rest_matrices(rig).tobytes())

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other) -> bool:
        return self.content == other.content


@lru_cache(maxsize=16)
def _binding(key: _Key):
    from ..backend.body.binding import bind
    from ..backend.body.bone_map import BoneMap

    bone_map = BoneMap(dict(key.pairs))
    if not key.kept:  # bound before rest poses were stored
        return bind(key.avatar, armatures.rig_of(key.rig), bone_map)
    kept = rig_from(key.kept)
    if key.rig is None:
        return bind(key.avatar, kept, bone_map).on(np.full(len(kept.names), -1))
    return bind(key.avatar, kept, bone_map).on(present_places(kept, armatures.rig_of(key.rig)))


def _relative(obj: bpy.types.Object, rig: bpy.types.Object) -> np.ndarray | None:
    """Object space to armature space [4,4] float64; None where both have the same matrix, or where the object
    is scaled to nothing."""
    own, other = (np.array(o.matrix_world, dtype=np.float64) for o in (obj, rig))
    if np.array_equal(own, other) or not np.linalg.det(own):
        return None
    return np.linalg.inv(other) @ own
