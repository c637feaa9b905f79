# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression codes learned in the same run as the network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lca_blender.backend.body.expression import expression_code
from lca_blender.backend.model.checkpoint import load_model, save_model
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.training.dataset.face_frames import write_face_frames
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.dataset.prepared import prepared
from lca_blender.backend.training.dataset.sites import make_sites
from lca_blender.backend.training.network.anchor_pool import whole_anchors
from lca_blender.backend.training.network.batches import make_batch
from lca_blender.backend.training.network.config import BatchRecipe, TrainingConfig
from lca_blender.backend.training.network.train import losses
from lca_blender.backend.training.people.dataset import write_shards
from model_fixtures import SMALL

CODED = SMALL.with_(expression_codes=True)
RECIPE = BatchRecipe(people=2, photos=(1, 2), targets=3, target_size=(64, 48))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_shards(folder, range(2), 1, lambda text: None, height=160, width=120, body_views=3, face_views=6)
    prepare(folder, CODED)
    write_face_frames(folder, CODED)
    return prepared([folder], CODED)


@pytest.fixture(scope="module")
def batch(people):
    anchors = whole_anchors(CODED, make_sites(CODED), 64)
    return make_batch(people, anchors, CODED, RECIPE, np.random.default_rng(2), None)


def test_a_batch_shows_the_faces_of_its_targets(people, batch):
    with people.open(0) as person:
        frames = np.isfinite(person.face_frames).all((1, 2))
        assert frames[person.is_face].sum() >= 3
    assert batch.acted.shape == (2, 3, 4, 96, 96)
    assert batch.shown.any()
    assert (batch.shown | ~batch.read).all()
    assert (batch.acted[batch.shown][:, 3].mean((1, 2)) > 0.5).all()  # a face fills its crop
    assert (batch.acted[~batch.shown][:, 3] == 0).all()
    plain = make_batch(people, batch.anchors, SMALL, RECIPE, np.random.default_rng(2), None)
    assert plain.acted is None


def test_a_read_code_drives_in_place_of_the_sliders(batch):
    torch.manual_seed(0)
    model = LCA(CODED).eval()
    with torch.no_grad():  # a fresh pose decoder answers nothing
        for parameter in model.pose_head.parameters():
            parameter.normal_(0, 0.1)
        model.codes.read[-1].bias.normal_()
    go = lambda read: model(  # noqa: E731
        batch.body, batch.face, batch.anchors.anchors, None, batch.signals, batch.acted, read
    )
    none, every = torch.zeros_like(batch.read), torch.ones_like(batch.read)
    _, sliders, _ = go(none)
    _, own, reading = go(every)
    plain = model(batch.body, batch.face, batch.anchors.anchors, None, batch.signals)
    assert torch.equal(plain[1], sliders)
    assert plain[2] is None
    signal = batch.signals.clone()
    signal[..., CODED.code_place] = reading.code
    assert torch.equal(model(batch.body, batch.face, batch.anchors.anchors, None, signal)[1], own)
    torch.testing.assert_close(batch.signals[..., CODED.code_place], expression_code(batch.expression))


def test_codes_learn_from_labels_and_from_the_picture(people, batch, tmp_path):
    torch.manual_seed(0)
    model = LCA(CODED)
    config = TrainingConfig(bf16=False)
    background = torch.rand(2, 3, 1, 1, 3)
    every = replace(batch, read=batch.shown)
    parts = losses(model, every, config, 1, background)
    assert parts["codes"] > 0
    torch.testing.assert_close(
        parts["loss"] - losses(model, every, replace(config, codes_weight=0.0), 1, background)["loss"],
        0.1 * parts["codes"],
        atol=1e-4,
        rtol=1e-3,
    )
    optimizer = torch.optim.Adam(model.codes.parameters(), 1e-3)
    first = float(parts["codes"].detach())
    for _ in range(15):
        loss = losses(model, every, config, 1, background)["codes"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.8 * first
    with torch.no_grad():
        model.pose_head.last.weight.normal_(0, 0.1)
    optimizer.zero_grad()
    losses(model, every, replace(config, codes_weight=0.0), 1, background)["loss"].backward()
    assert model.codes.read[-1].weight.grad.abs().max() > 0  # through the pose decoder and the renderer
    save_model(tmp_path / "coded.safetensors", model)
    stored = load_model(tmp_path / "coded.safetensors")
    assert stored.codes is not None
    assert stored.config == CODED
