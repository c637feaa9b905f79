# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning expression codes in the same run as the network.

The picture's loss reaches a code through the pose decoder (VASA-1, arXiv 2404.10667); the terms here fix its
readout by ARKit's values and keep it from telling people apart.
"""

from torch import Tensor

from ...body.expression import arkit_from_code
from ...model.expression_codes import FaceReading, beyond_arkit
from .parallel import gathered

LABELS, SMALL, INDEPENDENCE = 2.0, 1e-3, 0.1  # weights; small: what ARKit has no name for


def code_terms(reading: FaceReading, arkit: Tensor, gaze: Tensor, seen: Tensor) -> Tensor:
    """What a training step of the whole network adds: readings [B,R] of targets, of which `seen` [B,R] bool
    show a face. Labels always; independence over people of whom all targets show their face. Worked out over
    the people of all processes."""
    code, looks, arkit, gaze, seen = map(gathered, (reading.code, reading.gaze, arkit, gaze, seen))
    if not seen.any():
        return code.sum() * 0
    part = FaceReading(code[seen], looks[seen])
    loss = LABELS * label_error(part, arkit[seen], gaze[seen])
    loss = loss + SMALL * beyond_arkit(part.code).square().sum(-1).mean()
    whole = code[seen.all(1)]
    if len(whole) > 1 and whole.shape[1] > 1:
        loss = loss + INDEPENDENCE * independence(whole)
    return loss


def label_error(reading: FaceReading, arkit: Tensor, gaze: Tensor) -> Tensor:
    """Squared errors of the 52 values and of the gaze, whose four angles vary a tenth as much in all."""
    values = (arkit_from_code(reading.code) - arkit).square().sum(-1).mean()
    return values + 3 * (reading.gaze - gaze).square().sum((-1, -2)).mean()


def independence(code: Tensor) -> Tensor:
    """How far codes [P,K,D] of P people differ between people, beyond what K frames differ by chance.

    The variance component of the person in a one-way analysis of variance, summed over D, as a share of the
    variance within people: 0 where nothing tells people apart.
    """
    within = code.var(1).mean(0)
    between = code.mean(1).var(0) - within / code.shape[1]
    return between.sum().clamp(min=0) / (within.sum() + 1e-6)
