# SPDX-License-Identifier: GPL-3.0-or-later
"""Portraits show shoulders but no elbows: the landmark network guesses the rest of the arms."""

from dataclasses import replace

import numpy as np
import pytest
from lca_blender.backend.body.skeleton import INDEX as JOINT
from lca_blender.backend.imaging.fit.evidence import gather
from lca_blender.backend.imaging.fit.solve import first_guess
from lca_blender.backend.imaging.landmarks.hands import Hand
from lca_blender.backend.imaging.landmarks.pose import INDEX
from lca_blender.backend.imaging.landmarks.regions import Region
from sightings import known, observed


def without(seen, *landmarks):
    """A sighting whose landmarks of these names are unlikely."""
    visibility = seen.pose.visibility.copy()
    visibility[[INDEX[name] for name in landmarks]] = 0.05
    return replace(seen, pose=replace(seen.pose, visibility=visibility))


def test_a_wrist_is_believed_beside_its_elbow_or_where_a_hand_was_found():
    whole = observed(known(0))
    assert {"left_wrist", "right_wrist"} <= gather(whole).row.keys()
    alone = without(whole, "right_elbow")
    assert "right_wrist" not in gather(alone).row
    assert "left_wrist" in gather(alone).row
    points = np.tile(alone.pose.points[INDEX["right_wrist"]], (21, 1))
    hand = Hand(1.0, 1.0, points, np.zeros((21, 3)), Region(0, 0, 1, 1))
    found = replace(alone, hands={"left": None, "right": hand})
    assert "right_wrist" in gather(found).row


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("yaw", [0, 150])
def test_arms_that_are_not_seen_hang(number, yaw):
    """The fit begins with them beside the trunk, whatever the network guessed of them."""
    seen = without(
        observed(known(number, yaw)),
        *(f"{side}_{n}" for side in ("left", "right") for n in ("elbow", "wrist")),
    )
    fit = first_guess(gather(seen))
    joints, down = fit.joints(), fit.local[0] @ (0, 0, -1)
    for side in "LR":
        for start, end in (("upper_arm", "forearm"), ("forearm", "hand")):
            bone = joints[JOINT[f"{end}.{side}"]] - joints[JOINT[f"{start}.{side}"]]
            assert bone @ down > 0.95 * np.linalg.norm(bone)
