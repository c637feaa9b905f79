# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimator's training: what its pictures hold, what its loss asks for, that it goes on after a stop."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.template import load_template
from lca_blender.backend.imaging.estimator_file import load_network, save_network, start_from
from lca_blender.backend.imaging.network import CorrespondenceNetwork, NetworkConfig, choose_point
from lca_blender.backend.imaging.sides import forwardness
from lca_blender.backend.imaging.training.augment import make_sample
from lca_blender.backend.imaging.training.losses import loss_terms
from lca_blender.backend.imaging.training.pictures import Folders, view_weights
from lca_blender.backend.imaging.training.train import train
from lca_blender.backend.people.dataset import write_shards
from lca_blender.backend.people.surroundings import Backgrounds
from lca_blender.backend.people.things import turned

SMALL = {"height": 96, "width": 72, "body_views": 6, "face_views": 4}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of people, two and one."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    write_shards(first, [1, 2], progress=lambda text: None, **SMALL)
    write_shards(second, [3], progress=lambda text: None, **SMALL)
    return [first, second]


def test_folders_are_one_after_the_other(folders):
    people = Folders(folders)
    assert people.refresh() == 3
    assert [people.load(n, [0])["seed"] for n in range(3)] == people.seeds == [1, 2, 3]
    with pytest.raises(IndexError):
        people.load(3)


def test_views_from_behind_are_drawn_more_often(folders):
    people = Folders(folders)
    behind, before = [], []
    for n in range(3):
        record = people.load(n)
        weights = view_weights(record)
        assert weights.sum() == pytest.approx(1)
        for view in np.flatnonzero(~record["is_face"]):
            pixels = record["template_map"][view][record["rgba"][view, ..., 3] > 127]
            trunk = pixels[(np.abs(pixels[:, 0]) < 0.12) & (pixels[:, 2] > 1.0) & (pixels[:, 2] < 1.35)]
            share = (forwardness(torch.from_numpy(trunk)) > 0).float().mean().item()
            (behind if share < 0.2 else before).append(weights[view] * len(weights))
    assert np.mean(behind) > 1.5 * np.mean(before)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(6, 60), st.integers(6, 60))
def test_turned_things(seed, height, width):
    rng = np.random.default_rng(seed)
    colour, inside = turned(rng, rng.uniform(0, 255, (height, width, 3)))
    assert colour.shape == (height, width, 3)
    assert colour.min() >= 0
    assert colour.max() <= 255
    assert set(np.unique(inside)) <= {0.0, 1.0}


def test_things_before_a_person_are_no_person(folders):
    record = Folders(folders).load(0, [0])
    background = Backgrounds(None)
    white = lambda rng, height, width: np.full((height, width, 3), 255, np.uint8)  # noqa: E731

    def cover(rng, picture):
        picture[:] = 7
        return np.ones(picture.shape[:2], np.float32)

    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sample = make_sample(rng, record["rgba"][0], record["template_map"][0], white, 96, 72, cover)
        assert (sample.points[sample.alpha <= 127] == 0).all()
        covered += not sample.alpha.any()
    assert 0 < covered < 20
    assert background.put_thing(np.random.default_rng(0), np.zeros((96, 72, 3), np.float32)).shape == (96, 72)


def answers(points: torch.Tensor, left_wrong: bool) -> dict[str, torch.Tensor]:
    """A network's answer [1,.,4,4] that is right, but for the half if `left_wrong`."""
    x, y, z = points.permute(2, 0, 1)[None].unbind(1)
    left = torch.where(x > 0, 6.0, -6.0)[:, None] * (-1 if left_wrong else 1)
    front = torch.where(forwardness(points)[None] > 0, 6.0, -6.0)[:, None]
    across, depth, height = x.abs()[:, None], torch.stack([y, y], 1), z[:, None]
    return {
        "matte": torch.full_like(left, 9.0),
        "left": left,
        "front": front,
        "across": across,
        "depth": depth,
        "height": height,
        "points": choose_point(left > 0, front > 0, across, depth, height),
        "log_error": torch.full_like(left, -3.0),
    }


def test_the_loss_tells_the_half_from_the_point():
    template = load_template()
    outer = template.vertices[(template.part == 0) & (np.abs(template.vertices[:, 0]) > 0.1)]
    points = torch.from_numpy(np.array(outer[:: len(outer) // 16][:16])).reshape(4, 4, 3)
    alpha = torch.full((1, 8, 8), 255, dtype=torch.uint8)
    target = points.repeat_interleave(2, 0).repeat_interleave(2, 1)[None]
    right = loss_terms(answers(points, False), alpha, target)
    wrong = loss_terms(answers(points, True), alpha, target)
    assert right["points"] < 0.02
    assert wrong["points"] == right["points"]  # the point was right for the true half
    assert right["halves"] < 0.01
    assert wrong["halves"] > 1
    assert wrong["error"] > right["error"] + 0.1


def test_a_new_network_starts_from_an_old_one(tmp_path):
    old = CorrespondenceNetwork(NetworkConfig(token_layers=1))
    save_network(tmp_path / "old.safetensors", old, 1.5)
    new = CorrespondenceNetwork(NetworkConfig(input_size=(256, 192), token_layers=2, widths=(16, 32, 64, 96)))
    before = new.down3[0][0].weight.clone()
    start_from(tmp_path / "old.safetensors", new)
    assert torch.allclose(new.stem[0].weight, old.stem[0].weight, atol=1e-3)
    assert torch.equal(new.down3[0][0].weight, before)  # of another shape
    assert torch.allclose(new.tokens.position.mean(), old.tokens.position.mean(), atol=0.01)


def test_training_goes_on_where_it_was(folders, tmp_path):
    out, state, log = (tmp_path / name for name in ("out.safetensors", "state.pt", "log.jsonl"))
    options = {"state_file": state, "batch": 2, "workers": 0, "log_file": log}
    train(folders, 0.02, out, **options)
    load_network(out)
    train(folders, 0.05, out, **options)
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert len(steps) == 2
    assert torch.load(state, weights_only=True)["step"] == steps[-1]
