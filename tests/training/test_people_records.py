# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of synthetic people: packed and read without loss, repeatable, safe to kill while they are made."""

import signal
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from lca_blender.backend.body.template import load_template
from lca_blender.backend.errors import UserError
from lca_blender.backend.training.people import dataset, records
from lca_blender.backend.training.people.backgrounds import compose_background

SMALL = {"height": 64, "width": 48, "body_views": 1, "face_views": 1}


def test_map_packing_is_exact_and_fine():
    t = load_template()
    rng = np.random.default_rng(0)
    alpha = np.where(rng.random((24, 18)) < 0.5, 255, 0).astype(np.uint8)
    points = t.vertices[rng.integers(0, len(t.vertices), (24, 18))]
    steps = records.quantise_map(points, alpha)
    assert np.array_equal(records.unpack_map(records.pack_map(steps), 24, 18), steps)
    back = records.restore_map(steps)
    assert np.abs(back - points)[alpha > 0].max() <= records.STEP / 2 + 1e-6
    assert (back[alpha == 0] == 0).all()


def test_a_packed_map_is_no_larger_than_its_picture():
    """Bytes that unpack to gigabytes."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()
    tracemalloc.start()
    for data in (bomb, bomb[:50], b"nothing"):
        with pytest.raises(UserError, match="damaged"):
            records.unpack_map(data, 24, 18)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_maps_are_as_fine_as_their_steps():
    """At the height of a head, half floats would leave out every second step."""
    made = dataset.make_person_record(2, 256, 192, 1, 1)
    points = records.restore_map(made["template_map"])
    heights = np.unique(made["template_map"][..., 2][points[..., 2] > 1.5])
    assert len(heights) > 200
    assert (np.diff(heights) == 1).mean() > 0.8


def test_backgrounds_keep_the_person():
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (32, 24, 4)).astype(np.uint8)
    rgba[:16, :, 3], rgba[16:, :, 3] = 255, 0
    pictures = [compose_background(rng, rgba) for _ in range(30)]
    assert all(np.array_equal(p[:16], rgba[:16, :, :3]) for p in pictures)
    assert np.std([p[16:].mean() for p in pictures]) > 20


def test_records_repeat_bit_for_bit_and_load_as_made(tmp_path):
    dataset.write_shards(tmp_path, range(2), progress=lambda line: None, **SMALL)
    made = dataset.make_person_record(1, **SMALL)
    people = dataset.PeopleDataset(tmp_path)
    assert people.seeds == [0, 1]
    loaded = people[1]
    for name in (*dataset._PER_VIEW, "joint_heads", "betas", "rgba"):
        assert np.array_equal(loaded[name], made[name]), name
        assert loaded[name].dtype == made[name].dtype
    assert np.array_equal(loaded["template_map"], records.restore_map(made["template_map"]))
    assert list(loaded["is_face"]) == [False, True]
    one = people.load(0, views=[1], maps=False)
    assert one["rgba"].shape == (1, 64, 48, 4)
    assert one["transforms"].shape == (1, 58, 3, 4)
    assert "template_map" not in one
    with pytest.raises(IndexError):
        people[2]


def test_killed_run_resumes_without_half_shards(tmp_path):
    options = {**SMALL, "face_views": 0, "shard": 1}
    call = f"write_shards({str(tmp_path)!r}, range(5, 8), **{options})"
    script = f"from {dataset.__name__} import write_shards; {call}"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*.safetensors")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p: p.read_bytes() for p in tmp_path.glob("*.safetensors")}
    assert done
    (tmp_path / "people-00000007-001.safetensors.1.part").write_bytes(b"half")
    made = dataset.write_shards(tmp_path, range(5, 8), progress=lambda line: None, **options)
    assert made == 3 - len(done)
    assert all(path.read_bytes() == data for path, data in done.items())
    assert dataset.PeopleDataset(tmp_path).seeds == [5, 6, 7]
    assert dataset.write_shards(tmp_path, range(5, 8), progress=lambda line: None, **options) == 0


def test_bad_folders_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no records"):
        dataset.PeopleDataset(tmp_path)
    (tmp_path / "people-00000000-016.safetensors").write_bytes(b"not a shard")
    with pytest.raises(UserError, match="no shard of people"):
        dataset.PeopleDataset(tmp_path)
