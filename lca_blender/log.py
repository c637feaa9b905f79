# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's logger, which writes to the system console."""

import logging

log = logging.getLogger("lca_blender")


def report_once(seen: set[str], message: str) -> bool:
    """Logs an error unless it is in `seen`, and adds it; returns whether it was new."""
    if message in seen:
        return False
    seen.add(message)
    log.error(message)
    return True
