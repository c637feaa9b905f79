# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run starts from and goes on with; a command that would train something else is refused."""

from dataclasses import replace

import pytest
import torch
from lca_blender.backend.cli import main
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.checkpoint import save_model
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.tensor_file import TensorFile, write_tensors
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.network.config import BatchRecipe, TrainingConfig
from lca_blender.backend.training.network.state import state_path
from lca_blender.backend.training.network.train import Prefetch, save_run, start
from lca_blender.backend.training.people.dataset import write_shards
from model_fixtures import SMALL

CONFIG = TrainingConfig(
    recipe=BatchRecipe(people=2, photos=(1, 2), target_size=(64, 48)), pool_size=1, check_people=2
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_shards(folder, range(4), 1, lambda text: None, height=128, width=96, body_views=4, face_views=1)
    prepare(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    run = start([data], out, CONFIG, LCA(SMALL))
    run.progress.step, run.progress.seconds = 3, 7.0
    save_run(run, out)
    return run, out


def test_another_stage_s_folder_is_refused(data, run):
    out = run[1]
    with pytest.raises(UserError, match="holds a pretrain run"):
        start([data], out, replace(CONFIG, stage="posttrain"), LCA(SMALL))
    assert start([data], out, CONFIG, LCA(SMALL)).progress.step == 3


def test_states_of_older_versions_are_read(data, run, tmp_path):
    state = TensorFile(state_path(run[1]))
    header = state.header()
    del header["stage"]
    header["progress"]["checks"] = []
    write_tensors(state_path(tmp_path), state.tensors(), header=header)
    assert start([data], tmp_path, CONFIG, LCA(SMALL)).progress.seconds == 7.0


@pytest.mark.parametrize("changes", [{"progress": []}, {"average_count": "x"}, {"config": {}}, {"stage": 3}])
def test_a_state_with_an_odd_header_is_one_sentence(data, run, tmp_path, changes):
    state = TensorFile(state_path(run[1]))
    write_tensors(state_path(tmp_path), state.tensors(), header=state.header() | changes)
    with pytest.raises(UserError):
        start([data], tmp_path, CONFIG, LCA(SMALL))


def test_a_steps_anchors_follow_from_the_progress_two_steps_before(run):
    """Not from the clock at which a batch happens to be drawn: that differs between processes."""
    run = run[0]
    run.progress.step, run.progress.seconds = 0, 0.0
    ahead, sizes = Prefetch(run), []
    try:
        run.progress.seconds = 60 * CONFIG.minutes  # while both are drawn
        for _ in range(4):
            sizes.append(ahead.next()[0].anchors is run.final)
    finally:
        ahead.stop()
    assert sizes == [False, False, True, True]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["posttrain"], "starts from a trained network"),
        (["pretrain", "--from", "starter", "--config", "small"], "of the kind starter"),
        (["posttrain", "--from", "starter", "--config", "small"], "of the kind starter"),
    ],
)
def test_what_does_not_fit_the_command_is_not_trained(arguments, told, tmp_path, capsys):
    places = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["train", *arguments, *places]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["create", "photo.jpg", "--out", "{}/a.lca", "--model"],
        ["eval", "--true-maps", "--model"],
        ["explain", "attention", "--model"],
        ["explain", "domains", "--model"],
        ["train", "posttrain", "--data", "{}", "--out", "{}/run", "--from"],
    ],
)
def test_every_command_that_uses_a_network_takes_its_encoder(command, tmp_path, capsys):
    network, gone = tmp_path / "network.safetensors", str(tmp_path / "gone.safetensors")
    save_model(network, LCA(SMALL.with_(encoder="sapiens", encoder_layers=1)))
    command = [*(part.format(tmp_path) for part in command), str(network)]
    assert main([*command, "--encoder", gone]) == 1
    assert gone in capsys.readouterr().err
    assert main(command) == 1
    assert "needs the Sapiens image encoder" in capsys.readouterr().err
