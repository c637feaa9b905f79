# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces as action assets: a key for every channel on frame 1, a picture of the face, the tag *Face*."""

from pathlib import Path

import bpy
import numpy as np

from ..backend.errors import UserError
from ..backend.face.channels import Face, limited
from .face import PLACES, curves_of_slot

TAG = "Face"
SIZE = 256  # pixels of the picture's sides
GREY = 0.18  # behind the face, sRGB


def make_face_action(name: str, face: Face, picture: np.ndarray) -> bpy.types.Action:
    """A new action asset of this .blend; picture [H,W,4] sRGB, row 0 at the top."""
    action = bpy.data.actions.new(name)
    slot = action.slots.new("OBJECT", "Avatar")
    strip = action.layers.new("Face").strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    for channel, value in face.items():
        place = PLACES[channel]
        bag.fcurves.new(place.path, index=max(place.index, 0)).keyframe_points.insert(1, value)
    action.use_fake_user = True
    action.asset_mark()
    action.asset_data.tags.new(TAG)
    action.asset_data.description = "Face of an LCA avatar"
    preview = action.preview_ensure()
    preview.image_size = picture.shape[1::-1]
    preview.image_pixels_float.foreach_set(np.ascontiguousarray(picture[::-1], np.float32).ravel())
    return action


def face_of_action(action: bpy.types.Action) -> Face:
    """The face that an action holds on its first frame; UserError for one without."""
    names = {(place.path, max(place.index, 0)): name for name, place in PLACES.items()}
    frame, face = action.frame_range[0], {}
    for slot in action.slots:
        for curve in curves_of_slot(action, slot):
            name = names.get((curve.data_path, curve.array_index))
            if name is not None:
                face[name] = limited(name, curve.evaluate(frame))
    if not face:
        raise UserError(
            f"\u201c{action.name}\u201d holds no face.", "Choose an asset that Save Face as Asset has made."
        )
    return face


def face_in_library(path: Path, name: str) -> Face:
    """The face of an action in another .blend, which leaves nothing behind in this one."""
    if not path.is_file():
        raise UserError(f"The asset's file is missing: {path}", "Refresh the asset browser.")
    try:
        with bpy.data.libraries.load(str(path), link=False) as (there, here):
            here.actions = [name] if name in there.actions else []
    except OSError as error:
        raise UserError(f"{path.name} is no .blend file.", "Refresh the asset browser.") from error
    if not here.actions or here.actions[0] is None:
        raise UserError(
            f"{path.name} holds no action called \u201c{name}\u201d.", "Refresh the asset browser."
        )
    action = here.actions[0]
    try:
        return face_of_action(action)
    finally:
        bpy.data.actions.remove(action)


def write_to_library(action: bpy.types.Action, folder: Path) -> Path:
    """Moves a new asset of this .blend into a file of its own in an asset library, as Blender's pose library
    does; the path. UserError where the folder cannot be written to."""
    from ..backend.files import replacing, require_writable

    place = folder / "Saved" / "Actions"
    try:
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{bpy.path.clean_name(action.name)}.asset.blend"
        number = 1
        while path.exists():
            number += 1
            path = place / f"{bpy.path.clean_name(action.name)}_{number}.asset.blend"
        require_writable(path)
    except OSError as error:
        raise UserError(f"{place} cannot be written to.", "Choose another asset library.") from error
    with replacing(path) as temporary:
        bpy.data.libraries.write(str(temporary), {action}, fake_user=True, compress=True)
    bpy.data.actions.remove(action)
    return path


def face_picture(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """The avatar's face from the front as it is now [SIZE,SIZE,4], sRGB, opaque; row 0 at the top."""
    from ..backend.body.skeleton import INDEX
    from ..backend.raster import Camera, look_at, rasterize
    from .evaluate import evaluated

    now = evaluated(obj, depsgraph)
    joints = now.world.astype(float) @ now.signal.transforms.numpy().astype(float)
    matrix, heads = joints[INDEX["head"]], now.avatar.joint_heads.numpy().astype(float)
    middle = (heads[INDEX["eye.L"]] + heads[INDEX["eye.R"]]) / 2 - (0, 0, 0.04)
    place, ahead, up = (matrix @ np.append(v, w) for v, w in ((middle, 1), ((0, -1, 0), 0), ((0, 0, 1), 0)))
    size = max(np.linalg.norm(ahead), 1e-6)
    eye = place[:3] + ahead[:3] * 1.4
    view = look_at(eye, place[:3], up[:3] / size)
    camera = Camera.from_fov(view, np.radians(10.5), SIZE, SIZE, near=0.01 * size)
    import torch

    drawn = rasterize(now.splats, camera, background=torch.full((3,), GREY))["combined"].numpy().copy()
    drawn[..., 3] = 1
    return drawn.clip(0, 1)
