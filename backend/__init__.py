# SPDX-License-Identifier: GPL-3.0-or-later
"""The part that knows nothing of Blender."""

import os

# Read when torch is first imported: its threads sleep while they wait. Spinning, as they do otherwise, takes
# the processor from the host program and made a creation on a busy machine several times as slow.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KMP_BLOCKTIME", "0")
