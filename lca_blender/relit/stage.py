# SPDX-License-Identifier: GPL-3.0-or-later
"""A .blend as a job wants it: whom, when, in which light and by which camera it shows, and its pictures."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..backend.errors import UserError
from ..backend.files import replacing, require_room
from ..backend.lighting.environment import Environment
from ..backend.lighting.environment_file import load_environment
from ..backend.relit.job import Job, JobError, Light
from ..backend.relit.pictures import is_whole
from ..backend.relit.plan import Facts
from ..engine.engine import ENGINE
from ..scene.avatar_data import avatar_problem, is_avatar, load_avatar
from ..scene.lights import Instead, light_instead
from ..scene.rendered import rendered_objects
from ..scene.world_light import WorldLight

ROOM = 1 << 22  # bytes that must be free where a picture could not be written for another reason


class Stage:
    """Opens the .blend of a job. UserError where it cannot be rendered. Changes nothing on the disk."""

    def __init__(self, job: Job):
        try:
            bpy.ops.wm.open_mainfile(filepath=str(job.blend), load_ui=False)
        except RuntimeError as error:
            raise JobError(f"{job.blend.name} cannot be opened: {_sentence(error)}") from error
        if job.scene and job.scene not in bpy.data.scenes:
            raise JobError(f"The .blend has no scene \u201c{job.scene}\u201d.")
        self.job = job
        self.scene = bpy.data.scenes[job.scene] if job.scene else bpy.context.scene
        self.lights = {light.name: light for light in job.lights}
        self.camera = self.scene.camera
        self.markers = [(marker, marker.camera) for marker in self.scene.timeline_markers if marker.camera]
        self.rigs = {light.rig for light in job.lights if light.rig}
        self._maps: dict[Path, Environment] = {}
        self.size = (0, 0)
        self._prepare()

    def facts(self) -> Facts:
        """What there is. UserError where the file of an avatar is missing or damaged."""
        scene, render = self.scene, self.scene.render
        avatars = sorted(obj.name for obj in rendered_objects(scene) if is_avatar(obj))
        wanted = {name for group in self.job.avatars for name in group} or avatars
        problems = [str(p) for name in avatars if name in wanted and (p := _problem(name))]
        if problems:
            raise JobError("\n".join(problems))
        return Facts(
            avatars=avatars,
            cameras=[obj.name for obj in scene.objects if obj.type == "CAMERA"],
            camera=scene.camera.name if scene.camera else "",
            frames=list(range(scene.frame_start, scene.frame_end + 1, scene.frame_step)),
            actions={one.name: [int(end) for end in one.frame_range] for one in bpy.data.actions},
            collections=[one.name for one in scene.collection.children_recursive],
            size=list(self.size),
            fps=render.fps / render.fps_base,
        )

    def pose(self, avatars: list[str], action: str, frame: int) -> None:
        """Shows these avatars alone, at a frame of an action of their rigs."""
        for obj in bpy.data.objects:
            if is_avatar(obj):
                obj.hide_render = obj.name not in avatars
        for name in avatars:
            avatar = bpy.data.objects[name]
            avatar.lca.lit_by = "SCENE"
            if action and avatar.lca.armature is not None:
                _play(avatar.lca.armature, bpy.data.actions[action])
        self.scene.frame_set(frame)

    def light(self, name: str) -> None:
        """Lights the scene by a light of the job and nothing else."""
        light = self.lights[name]
        for rig in self.rigs:
            bpy.data.collections[rig].hide_render = rig != light.rig
        if light.rig:
            lamps = bpy.data.collections[light.rig].all_objects
            light_instead(Instead(None, frozenset(lamps)))
        else:
            light_instead(Instead(self._world(light), frozenset()))

    def look(self, camera: str) -> None:
        """Renders by a camera; empty: the scene's own, as its timeline changes it."""
        self.scene.camera = bpy.data.objects[camera] if camera else self.camera
        for marker, own in self.markers:
            marker.camera = None if camera else own

    def render(self, files: list[str]) -> None:
        """Renders a picture into its files. UserError where that fails; DiskError where no more can be
        written at all."""
        try:
            done = bpy.ops.render.render(scene=self.scene.name)
        except RuntimeError as error:
            raise UserError(_sentence(error)) from error
        if done != {"FINISHED"}:
            raise UserError("Blender did not finish the picture.")
        for file in map(Path, files):
            self._save(file)

    def _save(self, file: Path) -> None:
        kind = file.suffix.lower()
        _set_format(self.scene.render.image_settings, kind, self.job.depth)
        try:
            with replacing(file) as temporary:
                bpy.data.images["Render Result"].save_render(str(temporary), scene=self.scene)
                if not is_whole(temporary, self.size, kind):
                    raise UserError(f"{file.name} was not written whole.")
        except (RuntimeError, UserError) as error:
            try:
                require_room(file, ROOM)
            except UserError as disk:
                raise DiskError(disk.message, disk.remedy) from error
            raise UserError(_sentence(error)) from error

    def _prepare(self) -> None:
        """Settings that all pictures share. The compositor and the sequencer are left out: they might write
        files of their own, one over the other."""
        scene, render, job = self.scene, self.scene.render, self.job
        render.engine = ENGINE
        render.use_compositing = render.use_sequencer = render.use_border = render.use_multiview = False
        render.film_transparent = job.transparent
        share = render.resolution_percentage / 100
        own = int(render.resolution_x * share), int(render.resolution_y * share)
        self.size = render.resolution_x, render.resolution_y = job.size or own
        render.resolution_percentage = 100
        for layer in scene.view_layers:
            layer.use_pass_z, layer.use_pass_normal = "Depth" in job.passes, "Normal" in job.passes
            for name in ("Alpha", "Albedo", "Diffuse Light", "Specular"):
                setattr(layer.lca, f"use_pass_{name.lower().replace(' ', '_')}", name in job.passes)
            for rig in self.rigs:
                _include(layer.layer_collection, rig)

    def _world(self, light: Light) -> WorldLight:
        if light.map not in self._maps:
            self._maps[light.map] = load_environment(light.map)[0]
        turn = np.array(Matrix.Rotation(np.radians(light.rotation), 3, "Z"))
        return WorldLight((light.strength,) * 3, self._maps[light.map].turned(turn), [])


class DiskError(UserError):
    """Nothing more can be written where the pictures go."""


def _problem(name: str) -> UserError | None:
    """Why an avatar cannot be rendered; None where it can."""
    obj = bpy.data.objects[name]
    problem = avatar_problem(obj)
    if problem is None:
        try:
            load_avatar(obj)
        except UserError as error:
            problem = error
    return problem


def _play(rig: bpy.types.Object, action: bpy.types.Action) -> None:
    animation = rig.animation_data or rig.animation_data_create()
    if animation.action == action:
        return
    animation.action = action
    slots = getattr(animation, "action_suitable_slots", ())
    if slots and animation.action_slot is None:
        animation.action_slot = slots[0]


def _include(layer: bpy.types.LayerCollection, name: str) -> bool:
    """Takes a collection, and those above it, into a view layer; whether it is there."""
    below = [child for child in layer.children if _include(child, name)]
    found = bool(below) or layer.collection.name == name
    if found and layer.collection != layer.id_data.collection:
        layer.exclude = layer.collection.hide_render = False
    return found


def _set_format(settings: bpy.types.ImageFormatSettings, kind: str, depth: int) -> None:
    layers = kind == ".exr"
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if layers else "IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER" if layers else "PNG"
    settings.color_mode = "RGBA"
    settings.color_depth = str(depth) if layers else "8"
    if layers:
        settings.exr_codec = "ZIP"


def _sentence(error: Exception) -> str:
    """What Blender reported, without its own "Error: "."""
    return " ".join(str(error).replace("Error: ", "").split())
