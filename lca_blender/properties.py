# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of objects, scenes and view layers: `Object.lca`, `Scene.lca` and `ViewLayer.lca`."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from bpy.types import PropertyGroup

from .backend.body.arkit import ARKIT_NAMES
from .scene.avatar_data import name_file
from .scene.proxy_look import INSTALLED

OVERRIDABLE = {"LIBRARY_OVERRIDABLE"}


def tag(properties: PropertyGroup, _context) -> None:
    """Tags the owner for evaluation, which Blender does not do for add-on properties by itself."""
    properties.id_data.update_tag()


def hide_proxy(properties: PropertyGroup, _context) -> None:
    properties.id_data.visible_camera = not properties.hide_proxy


def is_armature(_properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "ARMATURE"


def is_painted(_properties: PropertyGroup, candidate: bpy.types.Image) -> bool:
    return bool(candidate.lca_view)


def is_camera(_properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate.type == "CAMERA"


def is_other_object(properties: PropertyGroup, candidate: bpy.types.Object) -> bool:
    return candidate != properties.id_data


def look(properties: PropertyGroup, _context) -> None:
    """Ties the avatar to what it looks at: without a driver Blender does not move targets that are hidden."""
    obj = properties.id_data
    obj.driver_remove("lca.look_tie")
    if properties.look_at is not None:
        driver = obj.driver_add("lca.look_tie").driver
        driver.type = "SUM"
        variable = driver.variables.new()
        variable.type = "TRANSFORMS"
        variable.targets[0].id = properties.look_at
    obj.update_tag()


class LCA_BonePair(PropertyGroup):
    """One line of the bone map."""

    joint: StringProperty(name="Joint", description="Joint of the avatar's skeleton", override=OVERRIDABLE)
    bone: StringProperty(
        name="Bone",
        description="Bone of the armature that drives this joint",
        override=OVERRIDABLE,
        update=tag,
    )


def _angles(name: str, description: str) -> FloatVectorProperty:
    """Yaw and pitch of a gaze."""
    return FloatVectorProperty(
        name=name,
        description=description,
        size=2,
        soft_min=-0.7,
        soft_max=0.7,
        unit="ROTATION",
        override=OVERRIDABLE,
        update=tag,
    )


def _slider(name: str) -> FloatProperty:
    return FloatProperty(
        name=name, min=0.0, max=1.0, default=0.0, subtype="FACTOR", override=OVERRIDABLE, update=tag
    )


class LCA_Expression(PropertyGroup):
    """The 52 ARKit sliders, each under its exact ARKit name."""

    __annotations__ = {name: _slider(name) for name in ARKIT_NAMES}


class LCA_ObjectProperties(PropertyGroup):
    """An avatar object: `file`, by its path or packed, is the avatar; the others pose it."""

    file: PointerProperty(
        type=bpy.types.Image,
        name="File",
        description="Data-block that names the avatar's file, or holds it packed",
        override=OVERRIDABLE,
        update=tag,
    )
    filepath: StringProperty(
        name="Avatar",
        description="The avatar file",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        get=lambda self: self.file.filepath if self.file else "",
        set=lambda self, path: name_file(self.id_data, path),
    )
    hash: StringProperty(name="Hash", description="Content hash of the avatar file when it was added")
    armature: PointerProperty(
        type=bpy.types.Object,
        name="Armature",
        description="The armature that poses the avatar",
        poll=is_armature,
        override=OVERRIDABLE,
        update=tag,
    )
    bone_map: CollectionProperty(type=LCA_BonePair, override={"LIBRARY_OVERRIDABLE", "USE_INSERTION"})
    active_bone: IntProperty(name="Active Joint")
    expression: PointerProperty(type=LCA_Expression, override=OVERRIDABLE)
    gaze: _angles("Gaze", "Direction of gaze: yaw to the subject's left and pitch upwards")
    gaze_left: _angles("Left Eye", "Yaw and pitch of the subject's left eye, added to the gaze of both")
    gaze_right: _angles("Right Eye", "Yaw and pitch of the subject's right eye, added to the gaze of both")
    look_at: PointerProperty(
        type=bpy.types.Object,
        name="Look At",
        description="An object that both eyes look at, wherever head and object go",
        poll=is_other_object,
        override=OVERRIDABLE,
        update=look,
    )
    look_tie: FloatProperty(
        name="Look At", description="Driven by what the avatar looks at", options={"ANIMATABLE", "HIDDEN"}
    )
    look_amount: FloatProperty(
        name="Amount",
        description="How far the eyes look at the object; at 0 the gaze alone turns them",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
        override=OVERRIDABLE,
        update=tag,
    )
    look_limits: FloatVectorProperty(
        name="Range",
        description="How far the eyes turn towards the object, sideways and up or down",
        size=2,
        min=0.0,
        max=1.5,
        default=(0.7, 0.5),
        unit="ROTATION",
        override=OVERRIDABLE,
        update=tag,
    )
    use_code: BoolProperty(
        name="Use Code",
        description="Let the 128 numbers of the expression code drive the face in place of the sliders",
        override=OVERRIDABLE,
        update=tag,
    )
    code: FloatVectorProperty(
        name="Code",
        description="Expression code, as a network with an expression encoder reads it from a face",
        size=(4, 32),
        override=OVERRIDABLE,
        update=tag,
    )
    lit_by: EnumProperty(
        name="Lit by",
        description="Where the avatar's light comes from, in the engine LCA Gaussians",
        items=[
            ("PHOTOS", "Photos", "The photos' colours with the photos' light, as they are"),
            ("SCENE", "Scene", "The scene's lamps and world"),
        ],
        default="PHOTOS",
        override=OVERRIDABLE,
        update=tag,
    )
    exposure: FloatProperty(
        name="Exposure",
        description="Brightness of the avatar, in stops",
        soft_min=-4.0,
        soft_max=4.0,
        override=OVERRIDABLE,
        update=tag,
    )
    tint: FloatVectorProperty(
        name="Tint",
        description="Colour that the avatar's colours are multiplied by",
        subtype="COLOR",
        size=3,
        default=(1.0, 1.0, 1.0),
        min=0.0,
        soft_max=1.0,
        override=OVERRIDABLE,
        update=tag,
    )
    saturation: FloatProperty(
        name="Saturation",
        description="Strength of the avatar's colours; 0 is grey",
        default=1.0,
        min=0.0,
        soft_max=2.0,
        override=OVERRIDABLE,
        update=tag,
    )
    sharpness: FloatProperty(
        name="Sharpness",
        description="Smaller splats above zero, larger ones below",
        min=-2.0,
        max=2.0,
        override=OVERRIDABLE,
        update=tag,
    )
    hide_proxy: BoolProperty(
        name="Hide Proxy from Cameras",
        description="Cameras of other engines do not see the proxy, which still casts shadows and shows in "
        "mirrors; the splats are drawn, to be composited over the picture of another engine",
        override=OVERRIDABLE,
        update=hide_proxy,
    )
    erased: StringProperty(
        name="Erased",
        description="The splats that are left out: the avatar's hash, and a bit for each, compressed",
        options={"HIDDEN"},
        override=OVERRIDABLE,
        update=tag,
    )
    painted: PointerProperty(
        type=bpy.types.Image,
        name="Picture",
        description="Picture of the avatar to paint on, made by Render View for Repaint",
        poll=is_painted,
        override=OVERRIDABLE,
    )
    show_seen: BoolProperty(
        name="Show What Was Seen",
        description="In the 3D view the avatar is grey where a photo shows it, and orange where none does",
        override=OVERRIDABLE,
        update=tag,
    )
    made_groups: StringProperty(
        name="Made Groups", description="Vertex groups that binding created, one per line"
    )
    warnings: StringProperty(
        name="Warnings", description="What the photos do not show, one warning per line", override=OVERRIDABLE
    )


class LCA_Photo(PropertyGroup):
    """A photo in the list for *Create Avatar*."""

    path: StringProperty(name="Photo", subtype="FILE_PATH", options={"PATH_SUPPORTS_BLEND_RELATIVE"})
    person: IntProperty(
        name="Person",
        description="The person to use, counted from the left; 0: the most prominent one",
        min=0,
        soft_max=9,
    )
    state: EnumProperty(
        name="State",
        description="Whether the last avatar was created from the photo",
        items=[
            ("NEW", "New", "Not used yet"),
            ("USED", "Used", "Used for the last avatar"),
            ("REFUSED", "Left Out", "Could not be used"),
        ],
        default="NEW",
    )
    shows: StringProperty(name="Shows", description="What the photo shows, or why it was left out")
    overlay: StringProperty(
        name="Overlay", description="Picture of the photo with the fitted body", subtype="FILE_PATH"
    )
    upright: StringProperty(
        name="Upright", description="The photo, turned so that the person is upright", subtype="FILE_PATH"
    )
    pose: StringProperty(name="Pose", description="Pose and camera that were found in the photo, as JSON")
    given: StringProperty(name="Given Pose", description="Pose and camera that the artist set, as JSON")
    camera: PointerProperty(
        type=bpy.types.Object,
        name="Camera",
        description="The camera that shows the photo behind the avatar",
        poll=is_camera,
    )
    people: StringProperty(
        name="People",
        description="Positions of the people in the overlay: x and y from the top left in 0 to 1, as JSON",
    )


class LCA_RelitLight(PropertyGroup):
    """A light for *Render Relit Sequences*: an environment map, or the lamps of a collection."""

    path: StringProperty(
        name="Environment Map", subtype="FILE_PATH", options={"PATH_SUPPORTS_BLEND_RELATIVE"}
    )
    rig: PointerProperty(
        type=bpy.types.Collection, name="Light Rig", description="The collection whose lamps are the light"
    )
    rotation: FloatProperty(
        name="Rotation", description="Turns the map, as the Z of a Mapping node", subtype="ANGLE"
    )
    strength: FloatProperty(name="Strength", description="Multiplies the map", default=1.0, min=0.0)


class LCA_Relit(PropertyGroup):
    """Settings of *Render Relit Sequences*."""

    lights: CollectionProperty(type=LCA_RelitLight)
    active_light: IntProperty(name="Active Light")
    output: StringProperty(
        name="Output",
        description="Where pictures go, without their ending: {avatar}, {light}, {camera} and {frame:04} "
        "stand for what they show",
        default="//relit/{avatar}/{light}/{camera}/{frame:04}",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    kind: EnumProperty(
        name="Pictures",
        items=[
            ("EXR", "OpenEXR", "Scene-linear, with all passes as layers"),
            ("PNG", "PNG", "As they are seen, through the scene's view transform"),
            ("BOTH", "Both", "OpenEXR and PNG"),
        ],
        default="EXR",
    )
    depth: EnumProperty(
        name="Colour Depth",
        description="Bits of a channel of OpenEXR",
        items=[("16", "Half", "16 bits"), ("32", "Full", "32 bits")],
        default="16",
    )
    all_cameras: BoolProperty(name="All Cameras", description="Render by every camera of the scene")
    movie: BoolProperty(name="Films", description="Make an MP4 of every sequence", default=True)
    sheet: BoolProperty(name="Sheet of Lights", description="Make one picture of all lights", default=True)
    workers: IntProperty(
        name="Processes",
        description="How many Blenders render at a time, in the background; each needs some 2 GB",
        default=1,
        min=1,
        max=256,
    )


class LCA_SceneProperties(PropertyGroup):
    """The photos for *Create Avatar*, the last error, and settings of the render engine."""

    photos: CollectionProperty(type=LCA_Photo)
    active_photo: IntProperty(name="Active Photo")
    budget: IntProperty(
        name="Budget",
        description="The most Gaussians that Create Avatar lays for the photos' pixels, beside the 170,000 "
        "of the body; 0: as many as the photos need",
        default=0,
        min=0,
        soft_max=500_000,
        step=10_000,
    )
    message: StringProperty(name="Message", description="The last error")
    remedy: StringProperty(name="Remedy", description="How to fix the last error")
    remedy_operator: StringProperty(name="Fix", description="Operator that fixes the last error")
    viewport_quality: EnumProperty(
        name="Viewport",
        description="Resolution of the viewport while something moves",
        items=[
            ("AUTO", "Automatic", "Full resolution on fast machines, reduced on slow ones"),
            ("FULL", "Full", "Always full resolution"),
            ("HALF", "Half", "Half resolution while something moves"),
        ],
        default="AUTO",
    )
    face_amount: FloatProperty(
        name="Amount",
        description="How far the face goes towards an expression that is clicked",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
    )
    face_add: BoolProperty(
        name="Add",
        description="Expressions that are clicked are added to the present face instead of replacing it",
    )
    meshes: EnumProperty(
        name="Meshes",
        description="How the scene's meshes come into the picture, before and behind avatars",
        items=[
            (
                "CYCLES",
                "Cycles",
                "By Cycles, with its lights, materials, film and denoiser; avatars cast shadows "
                "by their proxies and show in mirrors and through glass as these",
            ),
            ("CLAY", "Clay", "Plain grey, at once"),
            ("HIDDEN", "Hidden", "Not shown: for compositing over another engine's render of the same scene"),
        ],
        default="CLAY",
    )
    meshes_hide_avatars: BoolProperty(
        name="Meshes Hide Avatars",
        description="Meshes that are not shown hide avatars behind them and are holdouts, so that "
        "the picture can be composited over another engine's render of the same scene",
        default=True,
    )
    relit: PointerProperty(type=LCA_Relit)
    motion_blur_steps: IntProperty(
        name="Steps",
        description="Number of pictures averaged for a motion-blurred frame",
        default=16,
        min=2,
        soft_max=64,
        max=1024,
    )
    lens_samples: IntProperty(
        name="Lens Samples",
        description="Number of pictures, each from another point of the lens, averaged for depth of field",
        default=32,
        min=4,
        soft_max=64,
        max=1024,
    )


class LCA_WorldProperties(PropertyGroup):
    baked: PointerProperty(
        name="Baked World",
        description="Picture of the world, which lights avatars where its nodes cannot be read",
        type=bpy.types.Image,
    )


class LCA_ViewLayerProperties(PropertyGroup):
    """Passes that Blender has no property for."""

    use_pass_alpha: BoolProperty(
        name="Alpha", description="Coverage of the avatars, also with an opaque film"
    )
    use_pass_albedo: BoolProperty(
        name="Albedo", description="Colour of the avatars without light; of those lit by photos, all of it"
    )
    use_pass_diffuse_light: BoolProperty(
        name="Diffuse Light", description="Light on the avatars' matte surface, which multiplies the albedo"
    )
    use_pass_specular: BoolProperty(
        name="Specular", description="Highlights and reflections, which are added to albedo times light"
    )


CLASSES = (
    LCA_BonePair,
    LCA_Expression,
    LCA_ObjectProperties,
    LCA_Photo,
    LCA_RelitLight,
    LCA_Relit,
    LCA_SceneProperties,
    LCA_ViewLayerProperties,
    LCA_WorldProperties,
)


def register() -> None:
    bpy.types.Object.lca = PointerProperty(type=LCA_ObjectProperties, override=OVERRIDABLE)
    bpy.types.Scene.lca = PointerProperty(type=LCA_SceneProperties)
    bpy.types.ViewLayer.lca = PointerProperty(type=LCA_ViewLayerProperties)
    bpy.types.World.lca = PointerProperty(type=LCA_WorldProperties)
    bpy.types.Image.lca_view = StringProperty(
        name="View",
        description="Of a picture to paint on: its camera, the avatar's pose, and what it showed, as JSON",
        options={"HIDDEN"},
    )
    # The materials of proxies are driven by it, so that they differ where the extension is missing.
    installed = BoolProperty(name="LCA Installed", default=True, options={"HIDDEN"})
    setattr(bpy.types.Material, INSTALLED, installed)


def unregister() -> None:
    del bpy.types.Image.lca_view
    for owner in (bpy.types.Object, bpy.types.Scene, bpy.types.ViewLayer, bpy.types.World):
        del owner.lca
    delattr(bpy.types.Material, INSTALLED)
