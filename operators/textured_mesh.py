# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns an avatar into an ordinary rigged mesh with a texture, which Blender's exporters and every render
engine can use."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty

from ..backend.errors import UserError
from ..backend.files import replacing
from ..backend.jobs import Target
from ..scene.avatar_data import (
    active_avatar,
    avatar_path,
    is_packed,
    present_rig,
    relative_if_saved,
)
from ..scene.erased import shown_avatar
from ..scene.textured_object import add_skeleton, add_textured_object, packed_image, rigging_of
from .added import all_or_nothing
from .bind_to_armature import binding_to, kept_map
from .common import beside_blend, need_torch, needs_avatar, unused, writable
from .running import LongWork


class LCA_OT_textured_mesh(LongWork, bpy.types.Operator):
    """Make an ordinary mesh of the avatar, with a texture, 52 shape keys and the rig's vertex groups"""

    bl_idname = "lca.textured_mesh"
    bl_label = "Make Textured Mesh"
    bl_options = {"UNDO"}

    size: EnumProperty(
        name="Texture",
        description="Width and height of the texture in pixels",
        items=[
            ("1024", "1K", "1024 pixels"),
            ("2048", "2K", "2048 pixels"),
            ("4096", "4K", "4096 pixels: the photos' detail in the face"),
            ("8192", "8K", "8192 pixels: needs 6 GB of memory while it is made"),
        ],
        default="4096",
    )
    write: BoolProperty(
        name="Texture as File",
        description="Write the texture beside the avatar's file, instead of packing it into the .blend",
        default=False,
    )
    hide: BoolProperty(
        name="Hide Avatar",
        description="Hide the avatar, which lies where the mesh is; its sliders still move the mesh's face",
        default=True,
    )

    _avatar = 0  # session_uid: it may be renamed while the mesh is made
    _path: Path | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super().poll(context) and needs_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        for name in ("size", "write", "hide"):
            self.layout.prop(self, name)

    def prepare(self, context: bpy.types.Context) -> Target:
        need_torch()
        avatar = active_avatar(context)
        data, size = shown_avatar(avatar), int(self.size)
        rig = present_rig(avatar, context.scene)
        if rig is not None:
            binding_to(data, rig, kept_map(avatar))  # a rig that does not fit is refused before the work
        self._avatar = avatar.session_uid
        self._path = writable(_texture_path(avatar)) if self.write else None

        def work(progress, _cancelled):
            from ..backend.textured_mesh.make import textured_mesh

            made = textured_mesh(data, size, progress)
            progress(0.92, "Compressing the texture")
            return data, made, made.png()

        return work

    def finish(self, context: bpy.types.Context, result) -> None:
        data, made, png = result
        avatar = next((obj for obj in context.scene.objects if obj.session_uid == self._avatar), None)
        if avatar is None:
            raise UserError("The avatar was deleted meanwhile.", "Import it again.")
        context.view_layer.update()  # a script may just have moved the avatar
        rig = present_rig(avatar, context.scene)
        from ..scene.evaluate import binding_of, bound_bones

        bones = kept_map(avatar) if rig else {}
        binding = binding_of(data, avatar, bound_bones(avatar)) if rig else None
        with all_or_nothing(context):
            heads = data.joint_heads.numpy()
            if binding:
                rigging = rigging_of(avatar, binding, bones, heads)
            else:
                rigging = add_skeleton(context, avatar, data)
            made = _looking(made, rigging.bones, heads)
            obj = add_textured_object(context, avatar, made, rigging, self._image(avatar.name, png))
        if self.hide:
            avatar.hide_render = True
            avatar.hide_set(True)
        self.report({"INFO"}, f"{obj.name}: {len(made.vertices):,} vertices, texture {self.size} pixels wide")

    def _image(self, name: str, png: bytes) -> bpy.types.Image:
        if self._path is None:
            return packed_image(f"{name} Texture", png)
        with replacing(self._path) as temporary:
            temporary.write_bytes(png)
        image = bpy.data.images.load(str(self._path))
        image.filepath = relative_if_saved(self._path)
        return image


def _looking(made, bones: tuple[str | None, ...], joint_heads):
    """The mesh, whose eyes turn by the eyeLook shapes where the rig has no bones for them."""
    from ..backend.body.skeleton import INDEX
    from ..backend.textured_mesh.make import with_turning_eyes

    if bones[INDEX["eye.L"]] == bones[INDEX["head"]]:
        return with_turning_eyes(made, joint_heads)
    return made


def _texture_path(avatar: bpy.types.Object) -> Path:
    """The file to write, beside the avatar's own, or beside the .blend that the avatar is packed in."""
    if is_packed(avatar):
        return beside_blend(f"{bpy.path.clean_name(avatar.name)}_texture.png")
    path = avatar_path(avatar)
    return unused(path.with_name(f"{path.stem}_texture.png"))


CLASSES = (LCA_OT_textured_mesh,)
