# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the jaw's joint goes for the jaw's blend shapes at 1, of every version of the template."""

from typing import NamedTuple

import numpy as np


class JawMotion(NamedTuple):
    """open, yaw: radians of jawOpen and of jawLeft or jawRight; slide [3] metres that the condyle glides as
    the mouth opens; shift, forward: metres of jawLeft or jawRight and of jawForward."""

    open: float
    slide: tuple[float, float, float]
    yaw: float
    shift: float
    forward: float


JAW_MOTIONS = {
    1: JawMotion(np.deg2rad(20.0), (0.0, -0.003144, -0.002358), np.deg2rad(5.0), 0.003439, 0.005404),
    # the rigid motion of the lower teeth in MakeHuman's face units, within 0.5 mm
    2: JawMotion(0.4114, (0.0, -0.0079, 0.0029), np.deg2rad(3.0), 0.002, 0.0083),
}
