# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work of an operator: from the window a job on the worker thread, from a script synchronous."""

import bpy

from ..backend import jobs
from ..backend.errors import UserError
from ..redraw import redraw_sidebars, redraw_views
from .common import forget_problem, refuse

TICK = 0.1  # seconds between two updates of the progress


class LongWork:
    """Mixin for an operator whose work takes seconds to minutes.

    `prepare(context)` checks the input and returns target(progress, cancelled), which runs on the worker
    thread and must not touch bpy; `finish(context, result)` changes the scene, on the main thread, after the
    target has succeeded. An operator that asks something first overrides `invoke` with its dialog, which
    then calls `execute`. One that shows something before the end does so in `tick(context)`, called on the
    main thread while the job runs in the background (`in_background`), and sets `changed`.
    """

    in_background = False
    changed = False
    kept = ""  # what is said to be left where it is stopped
    _job: jobs.Job | None = None
    _timer: bpy.types.Timer | None = None

    def tick(self, context: bpy.types.Context) -> None:
        pass

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current() is not None:
            cls.poll_message_set("Another task is running: wait until it ends, or press Esc to stop it")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """From the window, directly or after a dialog, a job in the background; from a script, to the end."""
        background = self.options.is_invoke and not bpy.app.background and context.window is not None
        self.in_background = background
        try:
            target = self.prepare(context)
            if not background:
                self.finish(context, jobs.run_sync(target, self.bl_label, self._print))
        except UserError as error:
            return refuse(self, context, error)
        forget_problem(context)
        return self._start(context, target) if background else {"FINISHED"}

    def _start(self, context: bpy.types.Context, target: jobs.Target) -> set[str]:
        self._job = jobs.start(target, self.bl_label)
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.progress_begin(0, 1000)
        context.window_manager.modal_handler_add(self)
        self._show(context)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            self._job.cancel()
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        self.tick(context)
        if not self._job.ended:
            self._show(context)
            return {"PASS_THROUGH"}
        ended = self._end(context)
        return {"FINISHED"} if self.changed else ended  # else Blender keeps no undo step

    def cancel(self, context: bpy.types.Context) -> None:
        """Called by Blender when it closes the window or the file."""
        if self._job is not None:
            self._job.cancel()
            self._clear(context)

    def _end(self, context: bpy.types.Context) -> set[str]:
        job = self._job
        self._clear(context)
        if job.state == jobs.CANCELLED:
            kept = self.kept or ("what it had shown was kept" if self.changed else "nothing was changed")
            self.report({"INFO"}, f"{self.bl_label} was stopped; {kept}.")
            return {"CANCELLED"}
        if job.state == jobs.FAILED:
            return refuse(self, context, job.error)
        try:
            self.finish(context, job.result)
        except UserError as error:
            return refuse(self, context, error)
        return {"FINISHED"}

    def _show(self, context: bpy.types.Context) -> None:
        context.window_manager.progress_update(int(1000 * self._job.fraction))
        context.workspace.status_text_set(f"{status_line(self._job)}    Esc: stop")
        redraw_sidebars()

    def _clear(self, context: bpy.types.Context) -> None:
        window_manager = context.window_manager
        if self._timer is not None:
            window_manager.event_timer_remove(self._timer)
            self._timer = None
        window_manager.progress_end()
        if context.workspace:
            context.workspace.status_text_set(None)
        self._job = None
        redraw_views()

    def _print(self, fraction: float, message: str = "") -> None:
        """Progress in the console, for scripts."""
        if message:
            print(f"{self.bl_label}: {100 * fraction:3.0f} % {message}", flush=True)


def status_line(job: jobs.Job) -> str:
    """ "Making the face, 40 %, about 12 s left" """
    parts = [job.message or job.name, f"{100 * job.fraction:.0f} %"]
    left = job.remaining()
    if left is not None:
        parts.append(f"about {left:.0f} s left" if left < 90 else f"about {left / 60:.0f} min left")
    return ", ".join(parts)
