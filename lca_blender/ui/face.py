# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel *Face* of the sidebar: expressions, visemes, own faces, keys, gaze, sliders, takes."""

import bpy

from ..backend.body.arkit import ARKIT_NAMES
from ..backend.errors import UserError
from ..backend.face.presets import EXPRESSIONS, VISEMES
from ..backend.face.shown import unmoved
from ..scene.avatar_data import active_avatar, avatar_if_read
from ..scene.face import PLACES, animation_of
from ..scene.own_faces import own_faces
from .sidebar import AvatarPanel, paragraph

FACE_GROUPS = (
    ("Eyes", ("eyeBlink", "eyeWide", "eyeSquint", "eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut")),
    ("Brows", ("browInnerUp", "browOuterUp", "browDown")),
    ("Jaw", ("jawOpen", "jawForward", "jawLeft", "jawRight", "mouthClose", "tongueOut")),
    (
        "Mouth",
        (
            *(
                "mouthSmile",
                "mouthFrown",
                "mouthPucker",
                "mouthFunnel",
                "mouthLeft",
                "mouthRight",
                "mouthDimple",
            ),
            *(
                "mouthStretch",
                "mouthPress",
                "mouthUpperUp",
                "mouthLowerDown",
                "mouthRollUpper",
                "mouthRollLower",
            ),
            *("mouthShrugUpper", "mouthShrugLower"),
        ),
    ),
    ("Cheeks and Nose", ("cheekPuff", "cheekSquint", "noseSneer")),
)
SIGNS = {"KEYED": "KEYTYPE_KEYFRAME_VEC", "ANIMATED": "HANDLETYPE_FREE_VEC", "DRIVEN": "DRIVER"}
GAZE_PATHS = ("lca.gaze", "lca.gaze_left", "lca.gaze_right", "lca.look_amount")


def sign_of(avatar: bpy.types.Object, paths: set[str], frame: float) -> str:
    """The icon for what animates any of the paths: a key on this frame before other keys before drivers."""
    found = animation_of(avatar, paths, frame)
    return next((SIGNS[state] for state in SIGNS if state in found), "NONE")


class FacePanel(AvatarPanel):
    """A part of *Face*, whose header shows what of `paths` is keyed."""

    bl_parent_id = "LCA_PT_face"
    bl_options = {"DEFAULT_CLOSED"}
    paths: frozenset[str] = frozenset()

    def draw_header_preset(self, context):
        sign = sign_of(active_avatar(context), self.paths, context.scene.frame_current)
        if sign != "NONE":
            self.layout.label(text="", icon=sign)


class LCA_PT_face(AvatarPanel, bpy.types.Panel):
    bl_label = "Face"
    bl_order = 3
    bl_options = {"DEFAULT_CLOSED"}
    paths = frozenset(place.path for place in PLACES.values())
    draw_header_preset = FacePanel.draw_header_preset

    def draw(self, context):
        layout, avatar = self.layout, active_avatar(context)
        for line in face_remarks(avatar):
            paragraph(layout, line, "INFO")
        row = layout.row(align=True)
        row.operator("lca.key_face", icon="KEY_HLT")
        row.operator("lca.key_changed")
        row = layout.row(align=True)
        row.operator("lca.reset_expression", text="Reset", icon="LOOP_BACK")
        row.operator("lca.swap_face")
        row.operator_menu_enum("lca.mirror_face", "side", text="Mirror")
        row = layout.row(align=True)
        row.prop(context.scene.lca, "face_amount", slider=True)
        row.prop(context.scene.lca, "face_add", toggle=True)
        grid = layout.grid_flow(columns=2, even_columns=True, align=True)
        for key, (title, _) in EXPRESSIONS.items():
            mix(grid.operator("lca.set_expression", text=title), context).preset = key


class LCA_PT_face_visemes(FacePanel, bpy.types.Panel):
    bl_label = "Visemes"
    bl_order = 0

    def draw(self, context):
        grid = self.layout.grid_flow(columns=5, even_columns=True, align=True)
        for name in VISEMES:
            mix(grid.operator("lca.set_viseme", text=name), context).viseme = name
        self.layout.operator("lca.key_visemes", icon="SOUND")


class LCA_PT_face_own(FacePanel, bpy.types.Panel):
    bl_label = "My Faces"
    bl_order = 1

    def draw(self, context):
        layout = self.layout
        try:
            faces = own_faces()
        except UserError as error:
            box = layout.box()
            box.alert = True
            paragraph(box, str(error), "ERROR")
            return
        column = layout.column(align=True)
        for name in faces:
            row = column.row(align=True)
            mix(row.operator("lca.set_own_face", text=name), context).face = name
            row.operator("lca.rename_own_face", text="", icon="GREASEPENCIL").face = name
            row.operator("lca.delete_own_face", text="", icon="X").face = name
        layout.operator("lca.save_own_face", icon="ADD")
        layout.operator("lca.save_face_asset", icon="ASSET_MANAGER")


class LCA_PT_face_gaze(FacePanel, bpy.types.Panel):
    bl_label = "Gaze"
    bl_order = 2
    paths = frozenset(GAZE_PATHS)

    def draw(self, context):
        layout, properties = self.layout, active_avatar(context).lca
        column = layout.column(align=True)
        for name, title in (("gaze", "Both"), ("gaze_left", "Left Eye"), ("gaze_right", "Right Eye")):
            column.label(text=title)
            row = column.row(align=True)
            row.prop(properties, name, index=0, text="Side")
            row.prop(properties, name, index=1, text="Up")
        layout.prop(properties, "look_at")
        if properties.look_at is not None:
            column = layout.column(align=True)
            column.prop(properties, "look_amount", slider=True)
            column.label(text="Range")
            row = column.row(align=True)
            row.prop(properties, "look_limits", index=0, text="Side")
            row.prop(properties, "look_limits", index=1, text="Up")


class LCA_PT_face_takes(FacePanel, bpy.types.Panel):
    bl_label = "Capture"
    bl_order = 3

    def draw(self, _context):
        layout = self.layout
        layout.operator("lca.face_from_video", icon="OUTLINER_OB_CAMERA")
        layout.operator("lca.import_face", icon="IMPORT")
        layout.operator("lca.export_face", icon="EXPORT")


class FaceGroup(FacePanel):
    """Sliders of one part of the face; left and right side by side."""

    sliders: tuple[str, ...] = ()

    def draw(self, context):
        expression = active_avatar(context).lca.expression
        column = self.layout.column(align=True)
        for base in self.sliders:
            if hasattr(expression, base):
                column.prop(expression, base, slider=True, text=slider_label(base))
                continue
            row = column.split(factor=0.62, align=True)  # room for the name beside the left one's value
            row.prop(expression, f"{base}Left", slider=True, text=f"{slider_label(base)} L")
            row.prop(expression, f"{base}Right", slider=True, text="R")


def face_remarks(avatar: bpy.types.Object) -> list[str]:
    """What this avatar's face cannot show, as far as the avatar has been read already."""
    content = avatar_if_read(avatar)
    if content is None:
        return []
    if avatar.lca.use_code:
        return ["The expression code drives this face: the sliders do nothing."]
    units, gaze = unmoved(content)
    if len(units) == len(ARKIT_NAMES):
        return ["This avatar has no face that moves."]
    named = list(dict.fromkeys(slider_label(base_of(unit)) for unit in units))
    found = [f"This avatar does not show: {', '.join(named)}."] if named else []
    return found if gaze else [*found, "This avatar has no eyes that turn."]


def base_of(unit: str) -> str:
    """The name of a unit in the groups: without its side, where both sides are one slider."""
    base = unit.removesuffix("Left").removesuffix("Right")
    return base if base not in ("jaw", "mouth") else unit


def mix(button, context):
    """Lets a button of an expression use the panel's amount."""
    button.strength, button.add = context.scene.lca.face_amount, context.scene.lca.face_add
    return button


def slider_label(name: str) -> str:
    """ "mouthSmile" -> "Smile": the group names the rest; "cheekPuff" -> "Cheek Puff" """
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in name).split()
    if words[0] in ("eye", "brow", "mouth"):
        words = words[1:]
    return " ".join(word.title() for word in words)


def _paths(sliders: tuple[str, ...]) -> frozenset[str]:
    return frozenset(f"lca.expression.{base}{side}" for base in sliders for side in ("", "Left", "Right"))


FACE_PANELS = tuple(
    type(
        f"LCA_PT_face_{index}",
        (FaceGroup, bpy.types.Panel),
        {
            "bl_idname": f"LCA_PT_face_{index}",
            "bl_label": label,
            "sliders": sliders,
            "paths": _paths(sliders),
            "bl_order": 4 + index,
        },
    )
    for index, (label, sliders) in enumerate(FACE_GROUPS)
)

CLASSES = (
    *(LCA_PT_face, LCA_PT_face_visemes, LCA_PT_face_own, LCA_PT_face_gaze, LCA_PT_face_takes),
    *FACE_PANELS,
)
