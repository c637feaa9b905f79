# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs as other processes: killed in the middle, and two that share every batch."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lca_blender.backend.model.config import preset
from lca_blender.backend.tensor_file import TensorFile
from lca_blender.backend.training.dataset.face_frames import write_face_frames
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.dataset.prepared import prepared, surface_path
from lca_blender.backend.training.dataset.surfaces import write_surfaces
from lca_blender.backend.training.network.config import BatchRecipe, TrainingConfig
from lca_blender.backend.training.people.dataset import write_shards
from model_fixtures import SMALL

STEPS = 5
PROGRAM = Path(__file__).with_name("training_process.py")
FIXTURES = Path(__file__).parents[1] / "backend"
RECIPE = BatchRecipe(people=2, photos=(1, 3), most_faces=2, target_size=(64, 48))
CONFIG = TrainingConfig(
    steps=STEPS, recipe=RECIPE, warmup_steps=2, pool_size=2, log_every=1, bf16=False, lr=2e-3,
    check_people=2, save_seconds=0.0,
)  # fmt: skip
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_shards(folder, range(4), 1, lambda text: None, height=128, width=96)
    prepare(folder, SMALL)
    assert preset("starter")  # the package is there for the processes below, too
    (folder / "config.json").write_text(json.dumps(CONFIG.to_json()))
    return folder


def command(data, out, *before):
    return [*before, str(PROGRAM), str(data), str(out)]


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(FIXTURES), **more}


def rows(out, key: str = "loss") -> dict[int, float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return {row["step"]: row[key] for row in lines if "loss" in row}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    subprocess.run(command(data, out, sys.executable), check=True, env=environment())
    assert sorted(rows(out)) == [1, 2, 3, 4, 5]
    return out


def test_a_run_killed_in_the_middle_goes_on_with_the_same_losses(data, whole, tmp_path):
    out = tmp_path / "killed"
    process = subprocess.Popen(
        command(data, out, sys.executable), env=environment(LCA_TEST_SLOW="1"), stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and not ((out / "log.jsonl").is_file() and len(rows(out)) >= 2):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 2 <= len(rows(out)) < STEPS
    subprocess.run(command(data, out, sys.executable), check=True, env=environment())
    assert rows(out) == pytest.approx(rows(whole), rel=1e-5)


def test_two_processes_agree_with_one(data, whole, tmp_path):
    out = tmp_path / "two"
    subprocess.run(command(data, out, *TORCHRUN), check=True, env=environment())
    assert rows(out) == pytest.approx(rows(whole), rel=2e-3)
    assert rows(out, "gradient") == pytest.approx(rows(whole, "gradient"), rel=2e-3)


def test_two_processes_that_share_the_weights_agree_with_one_and_can_be_continued(data, whole, tmp_path):
    out = tmp_path / "sharded"
    for stop in ("2", "100"):
        more = {"LCA_TEST_SHARDED": "1", "LCA_TEST_STOP": stop}
        subprocess.run(command(data, out, *TORCHRUN), check=True, env=environment(**more))
        assert len(rows(out)) == min(int(stop), STEPS)
    assert rows(out) == pytest.approx(rows(whole), rel=2e-3)
    assert rows(out, "gradient") == pytest.approx(rows(whole, "gradient"), rel=2e-3)
    ours, theirs = (TensorFile(folder / "model.safetensors").tensors() for folder in (out, whole))
    assert all(torch.allclose(ours[k].float(), t.float(), atol=2e-3) for k, t in theirs.items())


def test_two_processes_agree_with_one_where_a_loss_is_no_mean_over_people(tmp_path):
    """Codes read from what one person shows and another does not; a surface that is known of one person."""
    data, coded = tmp_path / "people", SMALL.with_(expression_codes=True)
    write_shards(data, range(4), 1, lambda text: None, height=256, width=192, body_views=3, face_views=4)
    prepare(data, coded)
    write_face_frames(data, coded)
    write_surfaces(data, coded)
    surface_path(prepared([data], coded).files[0]).unlink()
    config = replace(CONFIG, steps=3, codes_weight=1.0, surface_weight=20.0)
    (data / "config.json").write_text(json.dumps(config.to_json()))
    for name, launcher in (("one", [sys.executable]), ("two", TORCHRUN)):
        out = tmp_path / name
        subprocess.run(command(data, out, *launcher), check=True, env=environment(LCA_TEST_CODES="1"))
    for key in ("codes", "surface", "loss", "gradient"):
        assert rows(tmp_path / "two", key) == pytest.approx(rows(tmp_path / "one", key), rel=2e-3)
