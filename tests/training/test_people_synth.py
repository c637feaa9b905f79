# SPDX-License-Identifier: GPL-3.0-or-later
"""Regimes, photographs and tar shards of synthetic people."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from lca_blender.backend.cli import main as lca
from lca_blender.backend.errors import UserError
from lca_blender.backend.training.people import dataset, regimes, shading, synth
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.photograph import photograph
from lca_blender.backend.training.people.render import render_posed
from PIL import Image

SIZE = {"height": 128, "width": 96, "body_views": 4, "face_views": 2}


@pytest.fixture(scope="module")
def person():
    return sample_person(11)


def _shots(person, regime, seed=0):
    return list(regimes.shots(person, np.random.default_rng(seed), regime, **SIZE))


def test_studio_views_of_an_instant_share_the_pose_and_cameras_stand_still(person):
    shots = _shots(person, "studio")
    assert [s.is_face for s in shots] == [False] * 4 + [True] * 2
    for a in shots:
        for b in shots:
            assert np.array_equal(a.posed.points, b.posed.points) == (a.instant == b.instant)
        eye = -np.asarray(a.camera.viewmat)[:3, :3].T @ np.asarray(a.camera.viewmat)[:3, 3]
        first = np.linalg.inv(np.asarray(shots[0].camera.viewmat))[:3, 3]
        assert np.isclose(np.linalg.norm(eye - regimes.STAGE), np.linalg.norm(first - regimes.STAGE))
    assert len({s.instant for s in shots}) == 2
    assert all(s.light is shots[0].light for s in shots)


def test_wild_views_are_different_instants(person):
    shots = _shots(person, "wild")
    assert len({s.instant for s in shots}) == 6
    assert len({s.posed.points.tobytes() for s in shots}) == 6


def test_another_regime_is_refused(person):
    with pytest.raises(ValueError, match="no regime 'tame'"):
        _shots(person, "tame")


def test_photographs(person):
    shot = _shots(person, "wild")[0]
    rgba = render_posed(person, shot.posed, shot.camera, shot.light).rgba
    rng = np.random.default_rng(0)
    plain = photograph(rng, rgba, "studio", 1, (0.2, 0.4, 0.6))
    assert np.array_equal(plain.rgb[rgba[..., 3] == 255], rgba[rgba[..., 3] == 255][:, :3])
    assert (plain.rgb[rgba[..., 3] == 0] == [51, 102, 153]).all()
    assert not plain.covered.any()
    wild = [photograph(rng, rgba, "wild", 1) for _ in range(24)]
    hidden = [p.covered.sum() for p in wild]
    assert 1 <= np.count_nonzero(hidden) <= 16
    for picture in wild:
        assert np.array_equal(picture.matte, rgba[..., 3])
        assert not picture.covered[rgba[..., 3] == 0].any()
    assert len({p.rgb.tobytes() for p in wild}) == 24


def test_records_say_their_regime_and_leave_out_what_is_hidden(tmp_path):
    dataset.write_shards(tmp_path, range(4, 8), 1, lambda line: None, regime="both", **SIZE)
    people = dataset.PeopleDataset(tmp_path)
    made = [people.load(i) for i in range(4)]
    assert [r["regime"] for r in made] == ["studio", "wild"] * 2
    for record in made:
        seen = np.abs(record["template_map"]).max(-1) > 0
        assert not seen[record["rgba"][..., 3] == 0].any()
        if record["regime"] == "studio":
            assert seen[record["rgba"][..., 3] > 0].all()
        assert record["instant"].shape == (6,)
        assert record["betas"].shape == people.load(0)["betas"].shape


def test_passes_make_up_the_picture(person):
    """Albedo, shadow and the rest describe the same pixels as the picture."""
    shot = _shots(person, "studio")[0]
    view = render_posed(person, shot.posed, shot.camera, shot.light, extras=True)
    inside = view.rgba[..., 3] == 255
    assert (view.specular[~(view.rgba[..., 3] > 0)] == 0).all()
    shine = shading.srgb_to_linear(view.specular / np.float32(255))[inside].mean()
    whole = shading.srgb_to_linear(view.rgba[..., :3] / np.float32(255))[inside].mean()
    assert 0.001 < shine < 0.3 * whole
    assert view.shadow[inside].min() < 100
    assert view.shadow[inside].max() == 255
    assert view.occlusion[inside].std() > 5


@pytest.mark.parametrize("regime", ["studio", "wild"])
def test_shards_hold_what_they_promise(tmp_path, regime):
    options = ["--people", "2", "--seed", "40", "--regime", regime, "--views", "3", "--size", "96"]
    options += ["--passes", ",".join(synth.PASSES)] if regime == "studio" else []
    assert lca(["synth", "--out", str(tmp_path / "a"), *options]) == 0
    assert lca(["synth", "--out", str(tmp_path / "b"), *options]) == 0
    (shard,) = (tmp_path / "a").iterdir()
    twin = tmp_path / "b" / shard.name
    digest = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (shard, twin)]
    assert digest[0] == digest[1]
    with tarfile.open(shard) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
    facts = json.loads(files["00000041.json"])
    assert facts["regime"] == regime
    assert [v["view"] for v in facts["views"]] == ["000", "001", "002"]
    assert [v["is_face"] for v in facts["views"]] == [False, False, True]
    for view in facts["views"]:
        key = f"00000041.{view['view']}"
        frame = Image.open(io.BytesIO(files[f"{key}.{'png' if regime == 'studio' else 'jpg'}"]))
        mask = np.asarray(Image.open(io.BytesIO(files[f"{key}.mask.png"])))
        points = np.load(io.BytesIO(files[f"{key}.map.npz"]))["points"].astype(np.float64)
        assert (frame.size, frame.mode) == ((72, 96), "RGB")
        assert mask.shape == (96, 72)
        assert np.array_equal((points != 0).any(-1), mask > 0)
        _check_cameras(view, points, mask)
        if regime == "studio":
            normal = np.asarray(Image.open(io.BytesIO(files[f"{key}.normal.png"])), np.float32) / 127.5 - 1
            assert np.allclose(np.linalg.norm(normal[mask == 255], axis=-1), 1, atol=0.02)
            depth = np.asarray(Image.open(io.BytesIO(files[f"{key}.depth.png"])), np.float64) / 1000
            assert 0.4 < np.median(depth[mask == 255]) < 8


def _check_cameras(view, points, mask):
    """The face's template points, carried by the head joint, land near their own pixels."""
    rows, columns = np.nonzero(mask == 255)
    at = points[rows, columns]
    head = (at[:, 2] > 1.48) & (np.abs(at[:, 0]) < 0.06)
    if head.sum() < 10:
        return
    names = synth.load_template().joint_names
    move = np.array(view["transforms"])[names.index("head")]
    world = at[head] @ move[:, :3].T + move[:, 3]
    viewmat, K = np.array(view["viewmat"]), np.array(view["K"])
    seen = (world @ viewmat[:3, :3].T + viewmat[:3, 3]) @ K.T
    pixels = seen[:, :2] / seen[:, 2:]
    off = np.linalg.norm(pixels - np.stack([columns, rows], 1)[head] - 0.5, axis=1)
    assert np.median(off) < 0.06 * mask.shape[0]


def test_what_makes_no_sense_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="no pass 'smell'"):
        synth.write_synth(tmp_path / "out", 1, passes=("smell",))
    with pytest.raises(UserError, match="at least one person"):
        synth.write_synth(tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()
