# SPDX-License-Identifier: GPL-3.0-or-later
"""The part that does not depend on Blender."""

import os

# Read when torch is first imported: its threads sleep while they wait. By default they spin, which
# takes CPU time from the host program and made creation on a busy machine several times as slow.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KMP_BLOCKTIME", "0")
