# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars say which template they were made with, and move as they did then."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from avatar_fixtures import make_avatar
from lca_blender.backend.avatar import Avatar, AvatarFileError, Signal
from lca_blender.backend.body.template import VERSION, load_template

DATA = Path(__file__).parent / "data"  # 90 Gaussians of NASA's portrait of E. Collins, on the first template


def test_an_avatar_of_the_first_template_moves_as_it_did():
    avatar, known = Avatar.load(DATA / "first_template.lca"), np.load(DATA / "first_template.npz")
    assert avatar.template_version == 1
    assert avatar.hash == str(known["hash"])
    assert not np.allclose(avatar.joint_heads, load_template().joint_heads, atol=0.005)
    rest = torch.eye(4).repeat(58, 1, 1)
    signal = Signal(rest, torch.from_numpy(known["expression"]), torch.from_numpy(known["gaze"]))
    assert np.allclose(avatar.drive(signal).means, known["means"], atol=1e-6)


def test_the_version_is_part_of_an_avatars_identity(tmp_path):
    old = make_avatar()
    new = replace(old, header={**old.header, "template": VERSION})
    assert old.hash != new.hash
    new.save(tmp_path / "new.lca")
    assert Avatar.load(tmp_path / "new.lca").template_version == VERSION


@pytest.mark.parametrize("version", [0, 99, "2", None, True])
def test_an_unknown_template_is_refused(tmp_path, version):
    avatar = make_avatar()
    replace(avatar, header={**avatar.header, "template": version}).save(tmp_path / "odd.lca")
    with pytest.raises(AvatarFileError, match="made for a body that this version does not know"):
        Avatar.load(tmp_path / "odd.lca")
