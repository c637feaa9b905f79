# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units of a face an avatar can show at all."""

from weakref import WeakKeyDictionary

from ..body.arkit import ARKIT_NAMES

LEAST = 3e-4  # metres; the template's smallest units, glances to the side, move lids by 1.0 mm
JAW = ("jawOpen", "jawLeft", "jawRight", "jawForward")  # the jaw's joint moves these
_known: WeakKeyDictionary = WeakKeyDictionary()


def unmoved(avatar) -> tuple[tuple[str, ...], bool]:
    """The units that move no Gaussian of an `Avatar` by `LEAST` or more, and whether its eyes turn.

    What the pose decoder adds to a unit is not counted.
    """
    if avatar not in _known:
        _known[avatar] = _unmoved(avatar)
    return _known[avatar]


def _unmoved(avatar) -> tuple[tuple[str, ...], bool]:
    reach = avatar.expression_basis.float().square().sum(-1).sqrt().amax(1).tolist()
    held = {
        joint
        for joint in ("jaw", "eye.L", "eye.R")
        if joint in avatar.joint_names and _holds(avatar, avatar.joint_names.index(joint))
    }
    missing = [
        name
        for name, far in zip(ARKIT_NAMES, reach, strict=True)
        if far < LEAST and not (name in JAW and "jaw" in held)
    ]
    return tuple(missing), {"eye.L", "eye.R"} <= held


def _holds(avatar, joint: int) -> bool:
    """Whether any Gaussian moves with a joint above all."""
    return bool((avatar.skin_weights * (avatar.skin_indices == joint)).sum(1).max() > 0.5)
