# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender in the background that renders shots: what is said to it, and what it says.

Both are lines of JSON. Its own begin with MARK; what Blender prints goes to its errors, whose last lines are
kept. A worker ends when its input ends: none outlives the process that started it, however that ended.
"""

import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .plan import Picture, Shot

MARK = "LCA-RELIT "
LAST_WORDS = 12  # lines

# What a worker says: READY with the facts of the scene, REFUSED with a sentence before any picture; BEGUN,
# MADE, FAILED for each picture by its number in the shot; DONE after a shot; ENDED is said for it.
READY, REFUSED, BEGUN, MADE, FAILED, DONE = "ready", "refused", "begun", "made", "failed", "done"
ENDED = "ended"


def shot_message(shot: Shot) -> str:
    """A shot as a line for a worker."""
    pictures = [[one.light, one.camera, [str(file) for file in one.files]] for one in shot.pictures]
    return json.dumps([shot.avatars, shot.action, shot.frame, pictures])


def message(kind: str, **facts: Any) -> str:
    """What a worker prints to say something."""
    return MARK + json.dumps([kind, facts])


class WorkerProcess:
    """events receives (worker, kind, facts) from a thread. threads: of the worker's kernels."""

    def __init__(self, command: Sequence[str], events: queue.SimpleQueue, threads: int):
        self.shot: Shot | None = None
        self.left: dict[int, Picture] = {}  # of the shot, what has been neither made nor failed
        self.begun: int | None = None
        self.words: deque[str] = deque(maxlen=LAST_WORDS)
        environment = {**os.environ}
        environment.setdefault("OMP_NUM_THREADS", str(threads))
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=environment,
        )
        for target, arguments in ((self._listen, (events,)), (self._keep_words, ())):
            threading.Thread(target=target, args=arguments, name="lca-relit", daemon=True).start()

    def render(self, shot: Shot) -> None:
        """Gives it a shot, when it has none."""
        self.shot, self.left, self.begun = shot, dict(enumerate(shot.pictures)), None
        with suppress(OSError):  # it has ended: `_listen` says so
            self.process.stdin.write(shot_message(shot) + "\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        """Ends it at once. A picture that it was at is left out."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self.process.stdin.close()

    def _listen(self, events: queue.SimpleQueue) -> None:
        for line in self.process.stdout:
            if line.startswith(MARK):
                kind, facts = json.loads(line[len(MARK) :])
                events.put((self, kind, facts))
        self.process.stdout.close()
        self.process.wait()
        events.put((self, ENDED, {}))

    def _keep_words(self) -> None:
        self.words.extend(line.rstrip() for line in self.process.stderr if line.strip())
        self.process.stderr.close()
