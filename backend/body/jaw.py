# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the jaw joint goes for the jaw shapes at 1. Radians and head-local centimetres (x left, y up, z
forward)."""

import numpy as np

JAW_PIVOT = np.array([0.0, -2.0, -0.2])
JAW_OPEN = np.deg2rad(20.0)
JAW_SLIDE = np.array([0.0, -0.24, 0.32])  # the condyle glides as the mouth opens
JAW_YAW = np.deg2rad(5.0)  # jawLeft, jawRight: mostly a turn about the far condyle, with a little shift
JAW_SHIFT = 0.35
JAW_FORWARD = 0.55
