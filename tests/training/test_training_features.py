# SPDX-License-Identifier: GPL-3.0-or-later
"""Training with a frozen encoder whose features are kept on disk."""

import pytest
import torch
from lca_blender.backend.model.checkpoint import load_encoder
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.network.config import BatchRecipe, TrainingConfig
from lca_blender.backend.training.network.train import draw_batch, start
from lca_blender.backend.training.people.dataset import write_shards
from model_fixtures import SMALL
from safetensors.torch import save_file

FROZEN = SMALL.with_(encoder="sapiens", encoder_layers=1)
CONFIG = TrainingConfig(
    steps=99, recipe=BatchRecipe(people=2, photos=(3, 4), target_size=(64, 48)), pool_size=1, check_people=2
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_shards(folder, range(4), 1, lambda text: None, height=128, width=96, body_views=4, face_views=2)
    prepare(folder, FROZEN)
    return folder


def begin(data, folder, features):
    torch.manual_seed(0)
    model = LCA(FROZEN)
    save_file(model.encoder.state_dict(), folder / "sapiens.safetensors")
    load_encoder(model, folder / "sapiens.safetensors", features)
    return start([data], folder, CONFIG, model)


@pytest.mark.parametrize("masked", [True, False])
def test_every_crop_is_encoded_once(data, tmp_path, masked):
    run = begin(data, tmp_path, tmp_path / "features")
    run.model.config = FROZEN.with_(masked_photos=masked)

    def encode(steps):
        for step in steps:
            batch, _ = draw_batch(run, step, True)
            for photos in (batch.body, batch.face):
                if photos.shape[1]:
                    run.model.encoder(photos)
        return len(list((tmp_path / "features").rglob("*.safetensors")))

    assert encode(range(25)) == 2 * 6 * 2  # two people in six views, whole and the head alone
    assert encode(range(25, 30)) == 2 * 6 * 2


def test_without_a_features_folder_photos_are_disturbed(data, tmp_path):
    run = begin(data, tmp_path, None)
    assert run.config == CONFIG
    batches = [draw_batch(run, step, True)[0].body.flatten(0, 1) for step in range(3)]
    photos = torch.cat(batches)
    assert len(photos.flatten(1).unique(dim=0)) == len(photos)
