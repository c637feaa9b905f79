# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work from an operator: in the window a job on the worker thread, elsewhere at once and to the end."""

import bpy

from ..backend import jobs
from ..backend.errors import UserError
from .common import forget_problem, refuse

TICK = 0.1  # seconds between two looks at the job


class LongWork:
    """Mixin for an operator whose work takes seconds to minutes.

    `prepare(context)` checks all it can and returns target(progress, cancelled), which touches nothing of
    Blender; `finish(context, result)` changes the scene, on the main thread, after the target has succeeded.
    """

    _job: jobs.Job | None = None
    _timer = None

    @classmethod
    def poll(cls, context):
        if jobs.current() is not None:
            cls.poll_message_set("Wait until the running work has ended, or press Esc to stop it")
            return False
        return True

    def execute(self, context):
        try:
            result = jobs.run_sync(self.prepare(context), self.bl_label, self._tell)
            self.finish(context, result)
        except UserError as error:
            return refuse(self, context, error)
        forget_problem(context)
        return {"FINISHED"}

    def begin(self, context: bpy.types.Context) -> set[str]:
        """Starts the job and goes modal; without a window it runs to its end here."""
        if bpy.app.background or context.window is None:
            return LongWork.execute(self, context)
        try:
            target = self.prepare(context)
        except UserError as error:
            return refuse(self, context, error)
        forget_problem(context)
        self._job = jobs.start(target, self.bl_label)
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.progress_begin(0, 1000)
        context.window_manager.modal_handler_add(self)
        self._show(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type == "ESC" and event.value == "PRESS":
            self._job.cancel()
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        if not self._job.ended:
            self._show(context)
            return {"PASS_THROUGH"}
        return self._end(context)

    def cancel(self, context):
        """Blender is closing the window or the file."""
        if self._job is not None:
            self._job.cancel()
            self._clear(context)

    def _end(self, context) -> set[str]:
        job = self._job
        self._clear(context)
        if job.state == jobs.CANCELLED:
            self.report({"INFO"}, f"{self.bl_label} was stopped; nothing has changed.")
            return {"CANCELLED"}
        if job.state == jobs.FAILED:
            return refuse(self, context, job.error)
        try:
            self.finish(context, job.result)
        except UserError as error:
            return refuse(self, context, error)
        return {"FINISHED"}

    def _show(self, context) -> None:
        context.window_manager.progress_update(int(1000 * self._job.fraction))
        context.workspace.status_text_set(f"{status_line(self._job)}    Esc: stop")
        _redraw_sidebars(context)

    def _clear(self, context) -> None:
        window_manager = context.window_manager
        if self._timer is not None:
            window_manager.event_timer_remove(self._timer)
            self._timer = None
        window_manager.progress_end()
        if context.workspace:
            context.workspace.status_text_set(None)
        self._job = None
        _redraw_sidebars(context)

    def _tell(self, fraction: float, message: str = "") -> None:
        """Progress where there is no window: the console."""
        if message:
            print(f"{self.bl_label}: {100 * fraction:3.0f} % {message}", flush=True)


def _redraw_sidebars(context: bpy.types.Context) -> None:
    for area in context.screen.areas if context.screen else ():
        if area.type == "VIEW_3D":
            area.tag_redraw()


def status_line(job: jobs.Job) -> str:
    """ "Making the face, 40 %, about 12 s left" """
    parts = [job.message or job.name, f"{100 * job.fraction:.0f} %"]
    left = job.remaining()
    if left is not None:
        parts.append(f"about {left:.0f} s left" if left < 90 else f"about {left / 60:.0f} min left")
    return ", ".join(parts)
