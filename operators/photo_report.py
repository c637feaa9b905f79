# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for the photos and films in the list, and the choice of a person by a click."""

import json
import tempfile
from pathlib import Path

import bpy
from bpy.props import IntProperty

from ..backend.errors import UserError
from .common import Attempt

HINT = "Click on the person; Esc: cancel"


def chosen_people(scene: bpy.types.Scene) -> dict[str, int]:
    """File name -> number of the chosen person, for the photos in the list where one was chosen."""
    return {Path(photo.path).name: photo.person for photo in scene.lca.photos if photo.person}


def report_folder() -> Path:
    """A new folder, removed when Blender closes."""
    return Path(tempfile.mkdtemp(prefix="photos_", dir=bpy.app.tempdir))


def show_report(scene: bpy.types.Scene, folder: Path) -> None:
    """Copies the report in `folder` (`backend.imaging.report`) to the photos of the list."""
    listed = json.loads((folder / "report.json").read_text(encoding="utf-8"))["photos"]
    by_name = {entry["name"]: entry for entry in listed}
    for photo in scene.lca.photos:
        entry = by_name.get(Path(photo.path).name)
        if entry is None:
            continue
        photo.state = "USED" if entry["used"] else "REFUSED"
        photo.shows = entry["text"]
        photo.overlay = str(folder / entry["picture"]) if entry["picture"] else ""
        photo.people = json.dumps(entry["people"])
        photo.upright = str(folder / entry["photo"]) if entry["photo"] else ""
        photo.pose = entry["pose"]


def active_photo(scene: bpy.types.Scene):
    """The photo of the list that is selected; None where the list is empty."""
    photos, number = scene.lca.photos, scene.lca.active_photo
    return photos[number] if 0 <= number < len(photos) else None


class LCA_OT_choose_person(Attempt, bpy.types.Operator):
    """Choose the person with a click in the selected photo, where it shows several people"""

    bl_idname = "lca.choose_person"
    bl_label = "Choose Person"
    bl_options = {"REGISTER", "UNDO"}

    person: IntProperty(name="Person", description="Counted from the left", min=0, default=0)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        photo = active_photo(context.scene)
        if photo is None or not photo.people or len(json.loads(photo.people)) < 2:
            cls.poll_message_set("Create an avatar first; the selected photo must show several people")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Shows the photo in a window of its own and waits for the click."""
        photo = active_photo(context.scene)
        if not Path(photo.overlay).is_file():
            self.report(
                {"ERROR"}, "The photo's preview no longer exists: create the avatar again, or set Person"
            )
            return {"CANCELLED"}
        before = set(context.window_manager.windows)
        bpy.ops.wm.window_new()
        (self._window,) = set(context.window_manager.windows) - before
        area = self._window.screen.areas[0]
        area.type = "IMAGE_EDITOR"
        self._picture = area.spaces.active.image = bpy.data.images.load(photo.overlay)
        with context.temp_override(window=self._window, area=area):
            context.workspace.status_text_set(HINT)
            context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC":
            self.cancel(context)
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        region = next(region for region in context.window.screen.areas[0].regions if region.type == "WINDOW")
        x, y = region.view2d.region_to_view(event.mouse_x - region.x, event.mouse_y - region.y)
        self.person = nearest_person(json.loads(active_photo(context.scene).people), x, 1 - y)
        self.cancel(context)
        return self.execute(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Also called by Blender when the window is closed."""
        context.workspace.status_text_set(None)
        window, picture = self._window.as_pointer(), self._picture.name
        # Closing a window inside its own event handler crashes Blender.
        bpy.app.timers.register(lambda: _close_window(window, picture), first_interval=0.05)

    def perform(self, context: bpy.types.Context) -> None:
        photo = active_photo(context.scene)
        count = len(json.loads(photo.people))
        if self.person > count:
            raise UserError(f"The photo shows {count} people.", "Choose a number counted from the left.")
        photo.person = self.person


def _close_window(window: int, picture: str) -> None:
    """Closes the window at an address, if it is still open, and removes the picture that it showed."""
    for open_window in bpy.context.window_manager.windows:
        if open_window.as_pointer() == window:
            with bpy.context.temp_override(window=open_window):
                bpy.ops.wm.window_close()
            break
    if image := bpy.data.images.get(picture):
        bpy.data.images.remove(image)


def nearest_person(places: list[list[float]], x: float, y: float) -> int:
    """The person, from 1, nearest to a point; x and y in 0..1 from the top left corner."""
    distances = [(x - px) ** 2 + (y - py) ** 2 for px, py in places]
    return 1 + distances.index(min(distances))


CLASSES = (LCA_OT_choose_person,)
