# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m lca_blender.relit JOB`: a worker process, where bpy is a module of Python."""

import sys

from .. import register
from .worker import serve

register()
serve(sys.argv[1])
