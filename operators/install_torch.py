# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs PyTorch into the extension's own user folder, when a person asks for it and is online."""

import importlib
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

from ..backend.errors import UserError
from ..backend.jobs import Cancelled, Target
from .running import LongWork

PACKAGE = __package__.rpartition(".")[0]
REQUIREMENT = "torch>=2.6"


def user_folder(create: bool = False) -> Path | None:
    """Where Blender lets the extension keep packages; None when it does not run as an extension."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="packages", create=create))
    except ValueError:
        return None


class LCA_OT_install_torch(LongWork, bpy.types.Operator):
    """Download PyTorch (several hundred megabytes) into this extension's own folder"""

    bl_idname = "lca.install_torch"
    bl_label = "Install PyTorch"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not bpy.app.online_access:
            cls.poll_message_set("Allow Online Access in Preferences > System first")
            return False
        return super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Install PyTorch?",
            message="This downloads several hundred megabytes from the Python package index.",
            confirm_text="Download",
        )

    def prepare(self, context: bpy.types.Context) -> Target:
        if not bpy.app.online_access:
            raise UserError("Blender may not go online.", "Allow Online Access in Preferences > System.")
        folder = user_folder(create=True)
        if folder is None:
            raise UserError("The extension runs from its source.", "Install torch into this Python with pip.")
        return lambda progress, cancelled: pip_install(REQUIREMENT, folder, progress, cancelled)

    def finish(self, context: bpy.types.Context, _result) -> None:
        register()
        importlib.invalidate_caches()
        self.report({"INFO"}, "PyTorch is installed")


def pip_install(requirement: str, folder: Path, progress, cancelled) -> None:
    """Runs pip in a process of its own; its last line is the error's sentence. numpy stays Blender's own."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--target",
        str(folder),
        "--upgrade",
        "--no-input",
        requirement,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    last = ""
    try:
        for count, line in enumerate(_said(process, cancelled)):
            last = line.strip() or last
            progress(1 - 0.97**count, last[:80])
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.wait() != 0:
        raise UserError(
            f"PyTorch could not be installed: {last[:200]}", "Check the connection and try again."
        )
    for stray in (*folder.glob("numpy"), *folder.glob("numpy-*"), *folder.glob("numpy.libs")):
        shutil.rmtree(stray)


def _said(process: subprocess.Popen, cancelled: Callable[[], bool]) -> Iterator[str]:
    """The lines a process writes, until it closes its output; Cancelled, also while it is silent."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        with process.stdout as output:
            for line in output:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=listen, name="lca-pip", daemon=True).start()
    while not cancelled():
        try:
            line = lines.get(timeout=0.1)
        except queue.Empty:
            continue
        if line is None:
            return
        yield line
    raise Cancelled


def register() -> None:
    """Packages of the user folder can be imported, after everything that Blender itself brings."""
    folder = user_folder()
    if folder is not None and folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))


def unregister() -> None:
    folder = user_folder()
    if folder is not None and str(folder) in sys.path:
        sys.path.remove(str(folder))


CLASSES = (LCA_OT_install_torch,)
