# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a job: one JSON object a line, appended whole, so that several processes may share it."""

import json
import os
import socket
import time
from pathlib import Path

from ..files import disk_error

NAME = "relit_log.jsonl"


class Log:
    """Events as lines {"time", "host", "process", "event", ...}; times in seconds since 1970."""

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._who = {"host": socket.gethostname(), "process": os.getpid()}

    def write(self, event: str, **facts) -> None:
        """Appends an event. UserError where the file cannot be written."""
        line = {"time": round(time.time(), 3), **self._who, "event": event, **facts}
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, (json.dumps(line, ensure_ascii=False) + "\n").encode())
            finally:
                os.close(file)
        except OSError as error:
            raise disk_error(error, self.path) from error
