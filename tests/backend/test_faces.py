# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces as numbers: mixing, sides, the user's own file, what an avatar can show."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.errors import UserError
from lca_blender.backend.face.channels import CHANNELS, MOUTH, PARTS, UNITS, mirrored, mixed, swapped
from lca_blender.backend.face.own import LARGEST, read_faces, write_faces
from lca_blender.backend.face.presets import EXPRESSIONS, VISEMES, expression, viseme

values = st.floats(-1.5, 1.5, allow_nan=False, width=32)
faces = st.fixed_dictionaries(
    {name: st.floats(0, 1, width=32) if name in UNITS else values for name in CHANNELS}
)


@given(faces)
def test_two_mirrors_show_the_face_itself(face):
    assert swapped(swapped(face)) == face
    assert set(swapped(face)) == set(CHANNELS)


@given(faces, st.sampled_from(["Left", "Right"]))
def test_a_mirrored_face_is_even_where_it_has_two_sides(face, side):
    other = {"Left": "Right", "Right": "Left"}[side]
    changes = mirrored(face, side)
    whole = face | changes
    for base in ("mouthSmile", "eyeBlink", "browDown", "eyeLookUp", "cheekSquint", "mouthPress"):
        assert whole[f"{base}{other}"] == whole[f"{base}{side}"] == face[f"{base}{side}"]
    for kept in ("jawLeft", "jawRight", "mouthLeft", "eyeLookInLeft", "eyeLookOutRight", "gazeYaw"):
        assert kept not in changes


def test_a_glance_to_the_left_becomes_one_to_the_right():
    face = {"eyeLookOutLeft": 0.8, "eyeLookInRight": 0.7, "gazeYaw": 0.3, "leftEyeYaw": 0.1, "jawLeft": 0.5}
    assert swapped(face) == {
        **{"eyeLookOutRight": 0.8, "eyeLookInLeft": 0.7, "gazeYaw": -0.3},
        **{"rightEyeYaw": -0.1, "jawRight": 0.5},
    }


@given(faces, faces, st.floats(0, 1))
def test_mixing_goes_from_one_face_to_the_other(one, two, amount):
    found = mixed(one, two, amount)
    for name in CHANNELS:
        low, high = sorted((one[name], two[name]))
        assert low - 1e-6 <= found[name] <= high + 1e-6
    assert mixed(one, two, 0) == one
    assert mixed(one, two, 1) == pytest.approx(two, abs=1e-6)


def test_adding_keeps_what_is_there_and_stays_in_range():
    face = {"jawOpen": 0.7, "browInnerUp": 0.2}
    found = mixed(face, {"jawOpen": 0.6, "browInnerUp": 0.0, "tongueOut": 0.4}, 0.5, add=True)
    assert found == pytest.approx({"jawOpen": 1.0, "browInnerUp": 0.2, "tongueOut": 0.2})


def test_presets_are_whole_faces_and_visemes_are_mouths():
    assert len(VISEMES) == 15
    assert all(set(expression(name)) == set(ARKIT_NAMES) for name in EXPRESSIONS)
    for name in VISEMES:
        assert tuple(viseme(name)) == MOUTH
        assert all(0 <= value <= 1 for value in viseme(name).values())
    assert viseme("aa")["jawOpen"] > viseme("E")["jawOpen"] > viseme("SS")["jawOpen"]  # jaw by vowel
    assert viseme("PP")["jawOpen"] == 0
    assert not set(PARTS["MOUTH"]) & set(PARTS["EYES"])


@given(st.dictionaries(st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=20), faces))
def test_own_faces_come_back_as_they_were_saved(tmp_path_factory, own):
    path = tmp_path_factory.mktemp("own") / "faces.json"
    write_faces(path, own)
    found = read_faces(path)
    assert list(found) == list(own)
    for name, face in own.items():
        assert found[name] == pytest.approx(face, abs=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"format": "lca-faces", "faces": []}',
        b'{"format": "other", "faces": {}}',
        b'{"format": "lca-faces", "faces": {"a": 3}}',
        b'{"format": "lca-faces", "faces": {"": {}}}',
        b'{"format": "lca-faces", "faces": {"a": {"__class__": 1}}}',
        b'{"format": "lca-faces", "faces": {"a": {"jawOpen": NaN}}}',
        b'{"format": "lca-faces", "faces": {"a": {"jawOpen": true}}}',
        json.dumps({"format": "lca-faces", "faces": {"a" * 99: {}}}).encode(),
        b" " * (LARGEST + 1),
    ],
)
def test_hostile_files_are_refused_in_one_sentence_and_kept(tmp_path, content):
    path = tmp_path / "lca_faces.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="own faces cannot be read") as refused:
        read_faces(path)
    assert refused.value.message.count("\n") == 0
    assert path.read_bytes() == content
    assert read_faces(tmp_path / "none.json") == {}


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("own") / "faces.json"
    path.write_bytes(content)
    with pytest.raises(UserError):
        read_faces(path)


def test_values_out_of_range_are_limited(tmp_path):
    path = tmp_path / "lca_faces.json"
    path.write_text('{"format": "lca-faces", "faces": {"a": {"jawOpen": 7, "gazeYaw": -1e300}}}')
    face = read_faces(path)["a"]
    assert face["jawOpen"] == 1
    assert -np.pi < face["gazeYaw"] < 0
