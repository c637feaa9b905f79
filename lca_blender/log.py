# SPDX-License-Identifier: GPL-3.0-or-later
"""One logger for the extension; Blender's console shows what it says."""

import logging

log = logging.getLogger("lca_blender")


def report_once(seen: set[str], message: str) -> bool:
    """Logs an error the first time it is seen; True when it was new."""
    if message in seen:
        return False
    seen.add(message)
    log.error(message)
    return True
