# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of an avatar object as channels of `backend.faces`: reading, setting, keying, what animates it."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import bpy
import numpy as np

from ..backend.body.arkit import ARKIT_NAMES
from ..backend.errors import UserError
from ..backend.face.channels import CHANNELS, EYES, GAZE, Face, limited

LOOK = "lookAmount"  # keyed with the face where it looks at something, but part of no expression
GROUP = "Face"


class Place(NamedTuple):
    """Where a channel is stored on an avatar object: RNA path, and index or -1."""

    path: str
    index: int


PLACES = {name: Place(f"lca.expression.{name}", -1) for name in ARKIT_NAMES}
PLACES |= {name: Place("lca.gaze", i) for i, name in enumerate(GAZE)}
PLACES |= {name: Place(("lca.gaze_left", "lca.gaze_right")[i // 2], i % 2) for i, name in enumerate(EYES)}
PLACES[LOOK] = Place("lca.look_amount", -1)


def face_of(obj: bpy.types.Object, names: Iterable[str] = CHANNELS) -> Face:
    """The channels as they stand on an object, original or evaluated."""
    return {name: _read(obj, PLACES[name]) for name in names}


def put_face(obj: bpy.types.Object, face: Face) -> None:
    """Sets the channels of `face`, within their ranges."""
    properties = obj.lca
    for name, value in face.items():
        place, value = PLACES[name], limited(name, value)
        if place.index < 0:
            setattr(properties.expression, name, value)
        else:
            getattr(properties, place.path.removeprefix("lca."))[place.index] = value


def keyable(obj: bpy.types.Object) -> list[str]:
    """The channels that a key of the whole face holds: those that no driver moves."""
    names = [*CHANNELS, *([LOOK] if obj.lca.look_at else [])]
    driven = driven_places(obj)
    return [name for name in names if PLACES[name] not in driven]


def key_face(obj: bpy.types.Object, names: Iterable[str], frame: float, options=frozenset()) -> int:
    """Keys channels as they stand; returns how many keys were set. `options`: as `keyframe_insert` has them.

    The kind of key is the one that Blender's own keys have in this scene.
    """
    kind = bpy.context.scene.tool_settings.keyframe_type
    return sum(
        obj.keyframe_insert(
            place.path, index=place.index, frame=frame, group=GROUP, options=set(options), keytype=kind
        )
        for place in (PLACES[name] for name in names)
    )


def require_own_action(obj: bpy.types.Object) -> None:
    """Raises the UserError for an object whose action is another file's."""
    if _is_linked(obj):
        raise UserError(
            f"The action of \u201c{obj.name}\u201d is linked from another file.",
            "Make the action local, or unlink it.",
        )


def require_frames(obj: bpy.types.Object) -> None:
    """Raises the UserError for an object that `key_frames` cannot key."""
    require_own_action(obj)
    if obj.animation_data is not None and obj.animation_data.use_tweak_mode:
        raise UserError(
            f"A strip of the NLA is being tweaked on \u201c{obj.name}\u201d.", "Leave tweak mode (Tab)."
        )


def _is_linked(obj: bpy.types.Object) -> bool:
    action = obj.animation_data.action if obj.animation_data else None
    return action is not None and action.library is not None


def key_by_hand(context: bpy.types.Context, obj: bpy.types.Object, names: Iterable[str]) -> int:
    """Keys channels on the current frame as a press of I would, by the preferences of keying."""
    require_own_action(obj)
    options = {"INSERTKEY_CYCLE_AWARE"} if context.scene.tool_settings.use_keyframe_cycle_aware else set()
    if context.preferences.edit.use_keyframe_insert_needed:
        options.add("INSERTKEY_NEEDED")
    return key_face(obj, names, context.scene.frame_current, options)


def key_if_auto(context: bpy.types.Context, obj: bpy.types.Object, names: Iterable[str]) -> None:
    """After a change by an operator: keys what Auto Keying would, had the artist moved the sliders."""
    settings = context.scene.tool_settings
    if not settings.use_keyframe_insert_auto or _is_linked(obj):
        return
    options = {"INSERTKEY_CYCLE_AWARE"} if settings.use_keyframe_cycle_aware else set()
    if settings.auto_keying_mode == "REPLACE_KEYS":
        options.add("INSERTKEY_REPLACE")
    if context.preferences.edit.use_auto_keyframe_insert_needed:
        options.add("INSERTKEY_NEEDED")
    if settings.use_keyframe_insert_keyingset and context.scene.keying_sets_all.active:
        names = [name for name in names if _in_keying_set(context.scene.keying_sets_all.active, obj, name)]
    own = set(keyable(obj))
    key_face(obj, [name for name in names if name in own], context.scene.frame_current, options)


def changed(obj: bpy.types.Object, view_layer: bpy.types.ViewLayer) -> list[str]:
    """The channels that stand elsewhere than their animation, or their default, puts them on this frame."""
    names, before = keyable(obj), _values(obj)
    obj.update_tag(refresh={"TIME"})  # Blender alone knows what action, NLA and tweaks come to
    view_layer.update()
    animated = {_place(curve) for _, curve in _curves_of(obj)}
    moved = [
        name
        for name in names
        if abs(before[PLACES[name]] - (_read(obj, PLACES[name]) if PLACES[name] in animated else _rest(name)))
        > 1e-6
    ]
    for place, value in before.items():  # what was moved and not keyed, of the whole object
        if place in animated or (place.index < 0 and place._replace(index=0) in animated):
            _write(obj, place, value)
    view_layer.update()
    return moved


def key_frames(obj: bpy.types.Object, owner, places: Sequence[Place], frames, values) -> None:
    """Keys many frames at once: frames [n] ascending, values [n, len(places)]; replaces the keys between.

    `owner` is `obj`, or one of its structs that has `keyframe_insert`, such as a pose bone. Callers ask
    `require_frames` first.
    """
    frames, values = np.asarray(frames, float), np.asarray(values, float)
    span = frames[0] - 1e-4, frames[-1] + 1e-4
    for place, column in zip(places, values.T, strict=True):
        owner.keyframe_insert(place.path, index=place.index, frame=frames[0], group=GROUP)
        curve = _curve(obj, owner.path_from_id(place.path) if owner != obj else place.path, place.index)
        if curve is None:
            continue
        for point in [one for one in curve.keyframe_points if span[0] <= one.co.x <= span[1]][::-1]:
            curve.keyframe_points.remove(point, fast=True)
        for frame, value in zip(frames.tolist(), column.tolist(), strict=True):
            curve.keyframe_points.insert(frame, value, options={"FAST"})
        curve.update()


def animation_of(obj: bpy.types.Object, paths: Collection[str], frame: float) -> set[str]:
    """What animates any of some RNA paths: "KEYED" on this frame, "ANIMATED" by other keys, "DRIVEN"."""
    found = set()
    for path, curve in _curves_of(obj):
        if path in paths:
            points = curve.keyframe_points  # in the order of their frames
            near = bisect_left(points, frame - 0.5, key=lambda point: point.co.x)
            found.add("KEYED" if near < len(points) and points[near].co.x < frame + 0.5 else "ANIMATED")
    if any(place.path in paths for place in driven_places(obj)):
        found.add("DRIVEN")
    return found


def driven_places(obj: bpy.types.Object) -> set[Place]:
    animation = obj.animation_data
    return {_place(curve) for curve in animation.drivers} if animation else set()


def _curves_of(obj: bpy.types.Object) -> Iterator[tuple[str, bpy.types.FCurve]]:
    """(path, curve) of all that moves the object: of its action, and of the strips of its NLA."""
    animation = obj.animation_data
    if animation is None:
        return
    used = [(animation.action, animation.action_slot)]
    for track in () if not animation.use_nla else animation.nla_tracks:
        used += [(strip.action, strip.action_slot) for strip in track.strips if not track.mute]
    for action, slot in used:
        for curve in curves_of_slot(action, slot):
            yield curve.data_path, curve


def curves_of_slot(action: bpy.types.Action | None, slot: bpy.types.ActionSlot | None):
    """The curves of an action that a slot has."""
    if action is None or slot is None:
        return ()
    bags = (strip.channelbag(slot) for layer in action.layers for strip in layer.strips)
    return [curve for bag in bags if bag for curve in bag.fcurves]


def _curve(obj: bpy.types.Object, path: str, index: int) -> bpy.types.FCurve | None:
    animation = obj.animation_data
    if animation is None:
        return None
    own = curves_of_slot(animation.action, animation.action_slot)
    return next((c for c in own if c.data_path == path and c.array_index == max(index, 0)), None)


def _place(curve: bpy.types.FCurve) -> Place:
    """The curve's place, as `PLACES` and `_values` write it: -1 for what is no array."""
    single = curve.data_path.startswith("lca.expression.") or curve.data_path == PLACES[LOOK].path
    return Place(curve.data_path, -1 if single else curve.array_index)


def _read(obj: bpy.types.Object, place: Place) -> float:
    value = obj.path_resolve(place.path)
    return value[place.index] if place.index >= 0 else value


def _write(obj: bpy.types.Object, place: Place, value) -> None:
    custom = place.path.endswith('"]')  # a custom property, or an input of geometry nodes
    owner, _, name = place.path.removesuffix('"]').rpartition('["' if custom else ".")
    owner = obj.path_resolve(owner) if owner else obj
    if place.index >= 0:
        (owner[name] if custom else getattr(owner, name))[place.index] = value
    elif custom:
        owner[name] = value
    else:
        setattr(owner, name, value)


def _values(obj: bpy.types.Object) -> dict[Place, float]:
    """What stands now of the face and of all that is animated on the object."""
    found = {place: _read(obj, place) for place in PLACES.values()}
    for place in {_place(curve) for _, curve in _curves_of(obj)}:
        try:
            value = obj.path_resolve(place.path)
        except ValueError:  # a curve of something that is gone
            continue
        if isinstance(value, (int, float)):
            found.setdefault(Place(place.path, -1), value)
        elif not isinstance(value, str) and place.index < len(value):
            found.setdefault(place, value[place.index])
    return found


def _rest(name: str) -> float:
    return 1.0 if name == LOOK else 0.0


def _in_keying_set(keying: bpy.types.KeyingSet, obj: bpy.types.Object, name: str) -> bool:
    """Whether a keying set holds a channel: *Face* holds all, one of the scene's the paths that it lists."""
    if keying.bl_idname == "LCA_Face":
        return True
    place = PLACES[name]
    return any(
        path.id == obj
        and path.data_path == place.path
        and (path.use_entire_array or place.index < 0 or path.array_index == place.index)
        for path in keying.paths
    )
