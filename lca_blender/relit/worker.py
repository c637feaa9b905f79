# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker process: shots come in by lines, pictures are rendered, lines go out."""

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path

from ..backend.errors import UserError
from ..backend.relit.job import read_job
from ..backend.relit.pictures import is_whole
from ..backend.relit.worker_process import BEGUN, DONE, FAILED, MADE, READY, REFUSED, message
from ..log import log


def serve(job_file: str) -> None:
    """Renders what is asked for until the input ends, and with it this process, in whatever it is."""
    say = _own_output()
    shots = _lines()
    try:
        from .stage import Stage

        stage = Stage(read_job(job_file))
        say(message(READY, **vars(stage.facts())))
    except UserError as error:
        say(message(REFUSED, reason=str(error)))
        _end(1)
    except Exception as error:
        log.exception("The scene could not be opened")
        say(message(REFUSED, reason=f"The scene could not be opened: {error!r}."))
        _end(1)
    while True:
        _shot(stage, json.loads(shots.get()), say)
        say(message(DONE))


def _shot(stage, shot: list, say) -> None:
    """Renders the pictures of a shot; those that another process has made meanwhile are left alone."""
    avatars, action, frame, pictures = shot
    posed = False
    for number, (light, camera, files) in enumerate(pictures):
        say(message(BEGUN, number=number))
        began = time.perf_counter()
        try:
            if all(is_whole(Path(file), stage.size) for file in files):
                say(message(MADE, number=number, seconds=None))
                continue
            if not posed:
                stage.pose(avatars, action, frame)
                posed = True
            stage.light(light)
            stage.look(camera)
            stage.render(files)
        except Exception as error:
            from .stage import DiskError

            if not isinstance(error, UserError):
                log.exception("A picture failed")
            reason = str(error) if isinstance(error, UserError) else repr(error)
            say(message(FAILED, number=number, reason=reason, final=isinstance(error, DiskError)))
            continue
        say(message(MADE, number=number, seconds=round(time.perf_counter() - began, 3)))


def _own_output():
    """A function that writes a line where this process's output went, which from now on goes to the errors:
    Blender prints there, whenever it likes."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    return lambda line: os.write(own, (line + "\n").encode())


def _lines() -> queue.SimpleQueue:
    """Lines of the input, read by a thread that ends the process with them."""
    lines: queue.SimpleQueue = queue.SimpleQueue()

    def read() -> None:
        with open(0, encoding="utf-8", closefd=False) as source:
            for line in source:
                lines.put(line)
        _end(0)

    threading.Thread(target=read, name="lca-relit-input", daemon=True).start()
    return lines


def _end(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Blender 4.5 never returns from its own end once classes were registered
