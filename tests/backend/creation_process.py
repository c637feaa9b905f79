# SPDX-License-Identifier: GPL-3.0-or-later
"""Creates an avatar in a process of its own, which its parent kills or starves:
`python creation_process.py PHOTO AVATAR MEGABYTES`. Says "first" when the first avatar is written, and lets
the process have so much memory more from then on (0: no bound). Ends with what a person would be told.
"""

import resource
import sys
from pathlib import Path

from lca_blender.backend import jobs
from lca_blender.backend.errors import UserError
from lca_blender.backend.from_photos import avatar_from_photos

photo, path, more = sys.argv[1], sys.argv[2], int(sys.argv[3])


def first(avatar):
    if more:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (more << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print("first", flush=True)


def work(progress, cancelled):
    return avatar_from_photos([photo], path, progress=progress, cancelled=cancelled, first=first)


try:
    jobs.run_sync(work, "Create Avatar")
    print("done")
except UserError as error:
    print(error)
