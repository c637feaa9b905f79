# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of `lca bench`: what it times, how, and what it says."""

import time

import numpy as np
import pytest
import torch
from lca_blender.backend import cli
from lca_blender.backend.raster import rasterize
from lca_blender.backend.training.bench import report, timing, workload


def test_the_body_is_one():
    scene, camera = workload.body(20_000), workload.camera(256, 256)
    assert len(scene) == 20_000
    low, high = scene.means.amin(0), scene.means.amax(0)
    torch.testing.assert_close(high - low, torch.tensor([1.07, 0.3, 1.8]), atol=0.04, rtol=0)
    _, scales = scene.to_quats_scales()
    spacing = np.sqrt(2.02 / 20_000)  # square metres of skin
    assert scales[:, 0].median() == pytest.approx(0.15 * spacing, rel=0.03)
    assert scales[:, 2].max() < 1.25 * spacing
    alpha = rasterize(scene, camera, ("alpha",))["alpha"]
    assert 0.12 < (alpha > 0.5).float().mean() < 0.16
    rows = torch.nonzero((alpha > 0.5).any(1))[:, 0]
    assert (rows[-1] - rows[0] + 1) / 256 == pytest.approx(0.82, abs=0.04)  # the feet are nearer
    again = workload.body(20_000)
    assert torch.equal(scene.covariances, again.covariances)


def test_the_avatar_is_right_and_moves():
    avatar = workload.avatar(tokens=128, per_token=4)
    avatar.verify()
    first, second = (avatar.drive(workload.signal(phase)).means for phase in (0.0, 1.0))
    assert 0.05 < (first - second).norm(dim=1).max() < 1.0


def test_medians_take_turns():
    calls = []

    def work(name, seconds):
        calls.append(name)
        time.sleep(seconds)

    ours, peer = timing.medians(lambda: work("ours", 0.001), lambda: work("peer", 0.02), 9, 3)
    assert 1 <= ours < peer
    assert peer >= 20
    timed = calls[2:]  # each once before
    assert timed.count("peer") == 3
    assert timed.count("ours") == 9 + 3  # once more after each run of the peer
    assert timed[0] == timed[5] == timed[10] == "peer"


def test_a_line_says_how_many_times_faster():
    line = timing.case("a thing", 100, (64, 32), 2.0, "another", 7.0, extra=5)
    assert line["ratio"] == 3.5
    assert line["size"] == "64x32"
    result = {"machine": "M", "threads": 2, "calibration_gflops": 3.0, "cases": [line]}
    table = report.table(result)
    assert table.splitlines()[0] == "M; 2 threads; 3.0 GFLOP/s"
    assert table.splitlines()[2].split()[-5:] == ["7.00", "3.50", "another", "extra", "5"]


def test_memory_of_a_fresh_process():
    small, large = (timing.in_fresh_process("timing:peak_mb") for _ in range(2))
    assert small == pytest.approx(large, rel=0.1)
    room = np.ones(2**26, np.uint8)  # 64 MiB, touched
    assert timing.peak_mb() > 64
    assert room.all()


def test_a_group_that_does_not_exist_is_one_sentence(capsys):
    assert cli.main(["bench", "everything"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("There is no group everything to time.")
