# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual's pictures, taken from a real window:

    LCA_EXTENSIONS=DIR LCA_PHOTOS=DIR LCA_OUT=DIR blender --python tests/gui/manual_pictures.py

Needs an X display of 1600 x 1000 with Blender's window alone on it, ImageMagick's `import` and xdotool.
LCA_EXTENSIONS holds `lca_blender` laid out as in the extension zip, with the manual; LCA_PHOTOS the photos:
for the manual NASA's portrait of Eileen Collins (`skimage.data.astronaut`, in the public domain). Writes
LCA_OUT/*.jpg, which belong into docs/manual/pictures, and manual_pictures.json, {"passed", "steps"}, and
closes Blender. The avatar is made once: LCA_OUT/person.blend is opened where it is there, without what was
read of the photos.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Euler, Vector

sys.path.insert(0, str(Path(__file__).parent))
from acting import act, enable_extension

OUT, PHOTOS = Path(os.environ["LCA_OUT"]), Path(os.environ["LCA_PHOTOS"])
BLEND, AVATAR = OUT / "person.blend", OUT / "person.lca"
QUALITY = "86"
steps: dict[str, object] = {}


# --- the window ------------------------------------------------------------------------------------


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def view_area() -> bpy.types.Area:
    return next(area for area in window().screen.areas if area.type == "VIEW_3D")


def region_of(area: bpy.types.Area, kind: str = "WINDOW") -> bpy.types.Region:
    return next(region for region in area.regions if region.type == kind)


def in_view():
    area = view_area()
    return bpy.context.temp_override(window=window(), area=area, region=region_of(area))


def drawn():
    """Yields until the windows show the scene as it is."""
    for area in window().screen.areas:
        area.tag_redraw()
    yield
    yield


def panels(*shown: str, opened: tuple[str, ...] = ()) -> None:
    """Leaves only these panels in the LCA tab, with their sub-panels; open are they and `opened`."""
    every = [one for one in bpy.types.Panel.__subclasses__() if getattr(one, "bl_category", "") == "LCA"]
    for panel in reversed(every):
        if panel.is_registered:
            bpy.utils.unregister_class(panel)
    for panel in every:
        if panel.__name__ in shown or getattr(panel, "bl_parent_id", "") in shown:
            wanted = panel.__name__ in shown + opened
            panel.bl_options = set() if wanted else {"DEFAULT_CLOSED"}
            bpy.utils.register_class(panel)
    region_of(view_area(), "UI").active_panel_category = "LCA"


def look(at: tuple[float, float, float], distance: float, azimuth: float = 0.0, height: float = 4.0) -> None:
    """Turns the view to a point in metres, from degrees to the person's left of the front and above it."""
    view = view_area().spaces.active.region_3d
    view.view_perspective = "PERSP"
    view.view_rotation = Euler((math.radians(90 - height), 0, math.radians(azimuth))).to_quaternion()
    view.view_location, view.view_distance = Vector(at), distance


def picture(name: str, left: int, top: int, width: int, height: int) -> None:
    """Writes a part of the screen, in pixels from its top left."""
    crop = f"{width}x{height}+{max(left, 0)}+{max(top, 0)}"
    made = ["-crop", crop, "+repage", "-resize", "1200x>", "-strip", "-quality", QUALITY]
    subprocess.run(["import", "-window", "root", *made, str(OUT / f"{name}.jpg")], check=True)


def picture_of_view(name: str, height: int | None = None, sidebar: bool = True) -> None:
    """The sidebar and as much of the view beside it as has its middle in the picture's."""
    area = view_area()
    side = region_of(area, "UI").width
    free = area.width - 2 * side
    picture(
        name,
        area.x + side,
        window().height - area.y - area.height,
        free + side * sidebar,
        min(height or area.height, area.height),
    )


def picture_of_sidebar(name: str, height: int) -> None:
    side = region_of(view_area(), "UI")
    picture(name, side.x, window().height - side.y - side.height, side.width, height)


# --- the person -------------------------------------------------------------------------------------


def made_person() -> None:
    """Creates the avatar as the panel does, and keeps it for the next time."""
    for name in ("Cube", "Light"):
        bpy.data.objects.remove(bpy.data.objects[name])
    bpy.ops.lca.create_avatar(filepath=str(AVATAR))
    bpy.ops.wm.save_as_mainfile(filepath=str(BLEND))


def avatar() -> bpy.types.Object:
    return next(obj for obj in bpy.data.objects if obj.type == "MESH" and obj.lca.filepath)


def activate(obj: bpy.types.Object) -> None:
    for other in bpy.context.view_layer.objects:
        other.select_set(other is obj)
    bpy.context.view_layer.objects.active = obj


def turn(rig: bpy.types.Object, bone: str, x: float, y: float, z: float) -> None:
    """Turns a bone by degrees about its own axes."""
    pose = rig.pose.bones[bone]
    pose.rotation_mode = "XYZ"
    pose.rotation_euler = [math.radians(angle) for angle in (x, y, z)]


def lamp(name: str, kind: str, place: tuple[float, float, float], energy: float, colour) -> bpy.types.Object:
    data = bpy.data.lights.new(name, kind)
    data.energy, data.color = energy, colour
    if kind == "AREA":
        data.size = 0.8
    obj = bpy.data.objects.new(name, data)
    obj.location = place
    obj.rotation_euler = (Vector((0, 0, 1.2)) - obj.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(obj)
    return obj


def painted_in(obj: bpy.types.Object, colour: tuple[float, float, float]) -> None:
    material = bpy.data.materials.new(obj.name)
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*colour, 1)
    obj.data.materials.append(material)


# --- the pictures -----------------------------------------------------------------------------------


def performance():
    """Yields between steps, while Blender's window lives on."""
    enable_extension()
    subprocess.run(["xdotool", "mousemove", "1590", "990"], check=True)
    view_area().spaces.active.show_region_ui = True
    yield
    yield from photos()
    yield from whole_person()
    yield from rig()
    yield from face()
    yield from by_hand()
    yield from light()
    yield from relit()
    yield from final_frame()


def photos():
    panels("LCA_PT_photos")
    yield from drawn()
    picture_of_sidebar("photos_empty", 470)
    if BLEND.is_file():
        bpy.ops.wm.open_mainfile(filepath=str(BLEND), load_ui=False)
    else:
        names = sorted(path.name for path in PHOTOS.iterdir())
        bpy.ops.lca.add_photos(files=[{"name": name} for name in names], directory=str(PHOTOS))
        made_person()
    yield
    listed = bpy.context.scene.lca
    listed.active_photo = next((i for i, photo in enumerate(listed.photos) if "front" in photo.path), 0)
    yield from drawn()
    picture_of_sidebar("photos_read", 660)


def whole_person():
    panels("LCA_PT_avatar")
    activate(avatar())
    look((0, 0, 0.88), 3.4, azimuth=20)
    yield from drawn()
    picture_of_view("avatar_solid")
    with in_view():
        bpy.ops.lca.show_avatar()
    bpy.context.scene.view_settings.view_transform = "Standard"
    yield from drawn()
    picture_of_view("avatar")
    bpy.ops.lca.show_seen()
    yield from drawn()
    picture_of_view("seen")
    bpy.ops.lca.show_seen()


def rig():
    panels("LCA_PT_bind")
    activate(avatar())
    yield from drawn()
    picture_of_sidebar("rig_none", 300)
    bpy.ops.preferences.addon_enable(module="rigify")
    bpy.ops.lca.add_rig()
    bones = avatar().lca.armature or next(obj for obj in bpy.data.objects if obj.type == "ARMATURE")
    if avatar().lca.armature is None:
        bpy.ops.lca.bind_to_armature(armature=bones.name)
    bones.show_in_front = True
    turn(bones, "upper_arm.L", -20, 0, -50)
    turn(bones, "forearm.L", 90, 0, 0)
    turn(bones, "thigh.R", -35, 0, 0)
    turn(bones, "shin.R", 50, 0, 0)
    turn(bones, "spine.005", 0, 20, 0)
    activate(avatar())
    yield from drawn()
    picture_of_view("bind")


def face():
    panels("LCA_PT_face", opened=("LCA_PT_face_visemes", "LCA_PT_face_gaze"))
    bones = avatar().lca.armature
    bones.show_in_front = False
    bones.hide_set(True)
    for bone in bones.pose.bones:
        bone.rotation_euler = (0, 0, 0)
    look((0, 0, 1.56), 0.62, azimuth=15, height=2)
    bpy.ops.lca.set_expression(preset="SMILE", strength=1.0)
    avatar().lca.gaze = (0.15, 0.0)
    bpy.ops.lca.key_face()
    yield from drawn()
    picture_of_view("face")
    bpy.ops.lca.reset_expression()


def by_hand():
    panels("LCA_PT_avatar")
    look((0, 0, 1.1), 2.2, azimuth=20)
    with in_view():
        bpy.ops.lca.paint_to_erase()
    paint_weights((0.3, 0.0, 1.4), 0.16)
    yield from drawn()
    picture_of_view("paint_to_erase")
    bpy.ops.object.mode_set(mode="OBJECT")
    avatar().vertex_groups.clear()
    yield from repaint()


def paint_weights(place: tuple[float, float, float], radius: float) -> None:
    """What a soft brush leaves around a place in the world, in metres."""
    obj = avatar()
    places = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices
    for vertex in places:
        weight = 1.5 - 1.5 * (obj.matrix_world @ vertex.co - Vector(place)).length / radius
        if weight > 0:
            obj.vertex_groups.active.add([vertex.index], min(weight, 1), "REPLACE")


def repaint():
    look((0, 0, 1.42), 0.9, height=0)
    yield from drawn()
    with in_view():
        bpy.ops.lca.render_for_repaint(filepath=str(OUT / "person_paint.png"))
    image, area = avatar().lca.painted, view_area()
    paint_badge(image)
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image, area.spaces.active.mode = image, "PAINT"
    yield from drawn()
    with bpy.context.temp_override(window=window(), area=area, region=region_of(area)):
        bpy.ops.image.view_all(fit_view=True)
    yield from drawn()
    picture("repaint_paint", area.x, window().height - area.y - area.height, area.width, area.height)
    area.type = "VIEW_3D"
    bpy.ops.lca.repaint()
    yield from drawn()
    picture_of_view("repaint")


def paint_badge(image: bpy.types.Image) -> None:
    """A round red badge with a white rim on the chest."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, 4)
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(columns - 0.54 * width, rows - 0.24 * height) / height
    pixels[distance < 0.055] = (1, 1, 1, 1)
    pixels[distance < 0.042] = (0.8, 0.05, 0.05, 1)
    image.pixels.foreach_set(pixels.ravel())
    image.update()


def light():
    panels("LCA_PT_light")
    activate(avatar())
    rig = bpy.data.collections.new("Key and Rim")
    bpy.context.scene.collection.children.link(rig)
    for obj in (
        lamp("Key", "AREA", (-1.6, -1.8, 2.2), 90, (1, 0.85, 0.7)),
        lamp("Rim", "AREA", (1.5, 1.2, 2.0), 120, (0.5, 0.7, 1)),
    ):
        bpy.context.scene.collection.objects.unlink(obj)
        rig.objects.link(obj)
    bpy.context.scene.world.color = (0.02, 0.02, 0.025)
    avatar().lca.lit_by = "SCENE"
    look((0, 0, 1.15), 2.2, azimuth=20)
    yield from drawn()
    picture_of_view("light", 560)


def relit():
    panels("LCA_PT_relit")
    bpy.ops.lca.add_relit_rigs()
    bpy.ops.lca.add_studio_maps()
    lights = bpy.context.scene.lca.relit
    lights.active_light = min(3, len(lights.lights) - 1)
    yield from drawn()
    picture_of_sidebar("relit", 600)


def final_frame():
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    bpy.ops.mesh.primitive_plane_add(size=20)
    painted_in(bpy.context.object, (0.35, 0.3, 0.25))
    bpy.ops.mesh.primitive_cube_add(size=1, location=(0.3, -0.55, 0.2))
    bpy.context.object.scale = (0.8, 0.4, 0.4)
    painted_in(bpy.context.object, (0.1, 0.25, 0.2))
    camera.location = (0.5, -3.9, 1.5)
    camera.rotation_euler = (Vector((0.1, 0, 0.85)) - camera.location).to_track_quat("-Z", "Y").to_euler()
    camera.data.lens = 42
    scene.render.resolution_percentage = 40
    scene.lca.meshes, scene.cycles.samples = "CYCLES", 64
    activate(avatar())
    with in_view():
        bpy.ops.render.render("INVOKE_DEFAULT")
    yield from drawn()
    while bpy.app.is_job_running("RENDER"):
        yield
    yield from drawn()
    result = bpy.context.window_manager.windows[-1]
    picture("final_frame", result.x, 1000 - result.y - result.height, result.width, result.height)


act(performance(), steps, OUT / "manual_pictures.json", pause=2.0)
