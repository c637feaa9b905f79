# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work while a person goes on: one at a time, seen from every scene, stopped by Esc."""

import time
from types import SimpleNamespace

import bpy
import pytest
from lca_blender.backend import jobs
from lca_blender.operators.running import LongWork
from refusals import state


@pytest.fixture
def endless():
    """A job that runs until it is cancelled."""

    def target(progress, cancelled):
        while not cancelled():
            time.sleep(0.01)

    job = jobs.start(target, "Create Avatar")
    yield job
    job.cancel()


def event(kind, value="NOTHING"):
    return SimpleNamespace(type=kind, value=value)


def driven(job):
    """An operator's modal part as a window would drive it, and what it says."""
    said = []
    operator = SimpleNamespace(
        bl_label="Create Avatar",
        report=lambda kind, text: said.append(text),
        changed=False,
        kept=LongWork.kept,
        _timer=None,
        _job=job,
    )
    for name in ("_show", "_clear", "_end", "tick"):
        setattr(operator, name, getattr(LongWork, name).__get__(operator))
    return operator, said


def test_escape_stops_the_work_and_changes_nothing(scene, endless):
    operator, said = driven(endless)
    before = state()
    for passed in (event("TIMER"), event("ESC", "RELEASE"), event("LEFTMOUSE", "PRESS")):
        assert LongWork.modal(operator, bpy.context, passed) == {"PASS_THROUGH"}
        assert not endless.ended
    assert LongWork.modal(operator, bpy.context, event("ESC", "PRESS")) == {"CANCELLED"}
    assert state() == before
    assert endless.state == jobs.CANCELLED
    assert "nothing was changed" in said[0]


def test_what_was_shown_before_the_end_is_kept_when_the_work_is_stopped(scene, endless):
    operator, said = driven(endless)

    def tick(context):
        if not operator.changed:
            bpy.data.objects.new("Shown", None)
            operator.changed = True

    operator.tick = tick
    assert LongWork.modal(operator, bpy.context, event("TIMER")) == {"PASS_THROUGH"}
    assert LongWork.modal(operator, bpy.context, event("ESC", "PRESS")) == {"FINISHED"}  # an undo step
    assert "Shown" in bpy.data.objects
    assert said == ["Create Avatar was stopped; what it had shown was kept."]


def test_running_work_is_known_in_every_scene_until_it_ends(scene, endless):
    assert jobs.current() is endless
    assert not bpy.ops.lca.create_avatar.poll()
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    assert not bpy.ops.lca.create_avatar.poll()
    endless.cancel()
    assert bpy.ops.lca.create_avatar.poll()
    bpy.context.window.scene = scene
    assert bpy.ops.lca.create_avatar.poll()
