# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is taught with: which people, which of their views, and which pixels of these."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.cli import main as lca
from lca_blender.backend.errors import UserError
from lca_blender.backend.training.dataset.check import check_folder
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.dataset.prepared import PreparedPeople, prepared
from lca_blender.backend.training.dataset.sites import make_sites
from lca_blender.backend.training.network.anchor_pool import whole_anchors
from lca_blender.backend.training.network.batches import choose_views, cut_target, make_batch, window
from lca_blender.backend.training.network.config import PRESETS, BatchRecipe, TrainingConfig
from lca_blender.backend.training.network.train import split
from lca_blender.backend.training.people import dataset, synth
from model_fixtures import SMALL
from PIL import Image

SIZE = (64, 48)
LEFT, RIGHT = 70, 50  # columns that a landscape frame has beside the upright one


def _people(*pairs):
    """Prepared people by (seed, regime); `split` opens no file."""
    return PreparedPeople([Path(f"{seed}.safetensors") for seed, _ in pairs], [r for _, r in pairs])


def _wider(data: bytes) -> bytes:
    picture = Image.open(io.BytesIO(data))
    wide = Image.new(picture.mode, (picture.width + LEFT + RIGHT, picture.height))
    wide.paste(picture, (LEFT, 0))
    file = io.BytesIO()
    wide.save(file, "PNG")
    return file.getvalue()


def _capture(folder: Path, views: tuple[int, int] = (2, 1)) -> Path:
    """Four people as a capture has them: no seeds, no maps, landscape frames."""
    with tarfile.open(folder / "a.tar", "w") as tar:
        for seed in range(4):
            made = synth.make_sample(seed, "studio", 96, 72, *views)
            files = {name: _wider(data) for name, data in made.items() if name.endswith(".png")}
            (facts,) = (json.loads(data) for name, data in made.items() if name.endswith(".json"))
            del facts["seed"], facts["domain"]
            for view in facts["views"]:
                view["K"][0][2] += LEFT
            files[f"{seed:08d}.json"] = json.dumps(facts).encode()
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return folder


def test_people_of_a_capture_train_on_what_their_frames_show(tmp_path):
    assert list(check_folder(_capture(tmp_path))) == []
    prepare(tmp_path, SMALL)
    people = prepared([tmp_path], SMALL)
    assert not any(map(dataset.is_held_out, people.seeds))
    train, held = split(people, TrainingConfig(regimes=("studio",)))
    assert (len(train), len(held)) == (2, 2)
    recipe = BatchRecipe(people=2, photos=(1, 2), targets=4, target_size=SIZE)
    anchors = whole_anchors(SMALL, make_sites(SMALL), 64)
    for seed in range(3):
        batch = make_batch(train, anchors, SMALL, recipe, np.random.default_rng(seed), None)
        assert ((batch.targets[..., 3] > 0.5).float().mean((2, 3)) > 0.05).all()
        assert (batch.targets <= batch.visible + 1e-6).all()


def test_people_with_too_few_views_are_refused(tmp_path):
    _capture(tmp_path, (1, 1))
    assert sum("fewer than 3 views" in line for line in check_folder(tmp_path)) == 4
    with pytest.raises(UserError, match="fewer than 3 views"):
        prepare(tmp_path, SMALL)


def test_numbers_made_of_names_are_not_held_out():
    held = [dataset.is_held_out(n) for n in (0, 999_999, 1_000_000, (1 << 40) - 1, 1 << 40, 1 << 41)]
    assert held == [False, False, True, True, False, False]


def test_a_check_finds_people_where_the_first_regime_has_none():
    """Both stages of the starter, on people of one regime each."""
    mixed = [(seed, "mixed") for seed in range(10)]
    train, held = split(_people(*mixed), PRESETS["starter", "pretrain"])
    assert (train.seeds, held.seeds) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    wild = [(seed, "wild") for seed in (20, 21, 22, 23)]
    train, held = split(_people(*mixed, *wild), PRESETS["starter", "pretrain"])
    assert (len(train), held.seeds) == (12, [22, 23])
    train, held = split(_people(*mixed, (20, "wild")), PRESETS["starter", "pretrain"])
    assert (len(train), held.regimes) == (6, ["mixed"] * 5)
    unseen = [(1_000_000 + n, "mixed") for n in range(3)]
    train, held = split(_people(*mixed, *unseen), PRESETS["starter", "pretrain"])
    assert (len(train), held.seeds) == (10, [1_000_000, 1_000_001, 1_000_002])
    with pytest.raises(UserError, match="lca demo-data --regime studio"):
        split(_people(*mixed), PRESETS["starter", "posttrain"])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_check_always_has_two_people(data):
    seeds = data.draw(st.sets(st.sampled_from([*range(6), 1_000_000, 1_000_001, 1 << 40]), min_size=1))
    regimes = [data.draw(st.sampled_from(["wild", "mixed", "studio"])) for _ in seeds]
    config = data.draw(st.sampled_from([PRESETS["starter", "pretrain"], TrainingConfig(check_people=2)]))
    try:
        train, held = split(_people(*zip(sorted(seeds), regimes, strict=True)), config)
    except UserError:
        return
    assert len(train) >= 1
    assert 2 <= len(held) <= config.check_people
    assert not set(train.seeds) & set(held.seeds)
    assert not any(map(dataset.is_held_out, train.seeds))


def test_demo_data_serves_both_stages_and_one_regime_if_asked(tmp_path):
    for seeds, more in (("0:2", []), ("2:3", ["--regime", "mixed"])):
        assert lca(["demo-data", "--out", str(tmp_path), "--seeds", seeds, *more]) == 0
    people = dataset.PeopleDataset(tmp_path)
    regimes = [people.load(n, views=[0], maps=False)["regime"] for n in range(3)]
    assert regimes == ["studio", "wild", "mixed"]


def _view(height, width, box):
    top, left, bottom, right = box
    view = np.zeros((height, width, 5), np.uint8)
    view[top:bottom, left:right, :4] = 255
    view[..., 4] = 255
    return view


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(20, 400), width=st.integers(20, 400), seed=st.integers(0, 1000), box=st.tuples(
        *[st.floats(0, 1)] * 4
    )
)  # fmt: skip
def test_a_target_of_any_view_shows_the_whole_person_or_a_piece_of_them(height, width, seed, box):
    top, bottom = sorted(int(b * (height - 17)) for b in box[:2])
    left, right = sorted(int(b * (width - 17)) for b in box[2:])
    view = _view(height, width, (top, left, bottom + 17, right + 17))
    place = window(np.random.default_rng(seed), view, SIZE)
    target = cut_target(view, place, SIZE)
    assert target.shape == (*SIZE, 5)
    assert (target[..., :4] <= target[..., 4:]).all()
    if place[2] > 1:
        beyond = (view[..., 3].sum() / 255) - target[..., 3].sum() * place[2] ** 2
        assert abs(beyond) <= 16 * (height + width)  # where they are is looked for in every eighth pixel
    else:
        assert target[..., 3].any()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_views_that_are_a_multiple_of_the_target_are_shown_whole(times):
    view = _view(SIZE[0] * times, SIZE[1] * times, (8, 0, 40, 16))
    places = [window(np.random.default_rng(seed), view, SIZE) for seed in range(20)]
    assert (0, 0, times) in places
    assert {place[2] for place in places} == {1, times}


def test_the_colour_of_what_stands_before_the_person_stays_out():
    """Every second column is hidden: half of the person remains, and nothing of the other colour."""
    view = _view(128, 96, (0, 0, 128, 96))
    view[..., :3] = (200, 40, 0)
    view[:, 1::2, :3], view[:, 1::2, 4] = (0, 255, 255), 0
    target = cut_target(view, (0, 0, 2), SIZE)
    assert np.allclose(target[10, 10], [100 / 255, 20 / 255, 0, 0.5, 0.5])


@pytest.mark.parametrize("is_face", [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1]])
def test_few_views_are_enough_for_many_targets(is_face):
    is_face = np.array(is_face, bool)
    for seed in range(20):
        choice = choose_views(np.random.default_rng(seed), is_face, is_face, 3, 2, 4)
        assert (len(choice.photos), len(choice.faces), len(choice.targets)) == (3, 2, 4)
        assert not set(choice.targets) & (set(choice.photos) | set(choice.faces))
        assert not is_face[choice.targets[0]]
        assert is_face[choice.photos[0]] == (sum(~is_face) == 1)
