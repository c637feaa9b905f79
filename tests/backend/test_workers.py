# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharing work: every piece once, errors told, several callers at a time, and after a fork."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from lca_blender.backend import workers
from lca_blender.backend.raster import rasterize
from test_raster_forward import camera_at, random_scene


def take(counter, lock, pieces, done):
    """A kernel in plain Python."""
    while True:
        with lock:
            piece = int(counter[0])
            counter[0] += 1
        if piece >= pieces:
            return
        done.append(piece)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("pieces", [0, 1, 3, 100])
def test_every_piece_is_done_once(threads, pieces):
    done = []
    workers.share(take, pieces, threads, threading.Lock(), pieces, done)
    assert sorted(done) == list(range(pieces))


def test_an_error_of_any_thread_is_raised():
    barrier = threading.Barrier(2, timeout=20)

    def kernel(counter, owner):
        barrier.wait()  # both threads are in here
        if threading.get_ident() != owner:
            raise ArithmeticError("from the helper")

    with pytest.raises(ArithmeticError, match="from the helper"):
        workers.share(kernel, 2, 2, threading.get_ident())


def test_many_callers_at_a_time_get_their_own_picture():
    camera = camera_at(64, 48)
    scenes = [random_scene(500, seed) for seed in range(4)]
    alone = [rasterize(scene, camera)["combined"].numpy().tobytes() for scene in scenes]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            futures = [pool.submit(rasterize, scene, camera) for scene in scenes * 2]
            together = [future.result()["combined"].numpy().tobytes() for future in futures]
            assert together == alone * 2


def _draw(queue, scene, camera):
    queue.put(rasterize(scene, camera)["combined"].numpy().tobytes())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_process_draws_too(monkeypatch):
    """A data loader's worker inherits the pool, but not its threads."""
    scene, camera = random_scene(5000, 1), camera_at(64, 48)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    expected = rasterize(scene, camera)["combined"].numpy().tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_draw, args=(queue, scene, camera))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(10)
    assert child.exitcode == 0


def test_the_number_of_threads_can_be_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert workers.default_threads() == 3
    workers.set_threads(2)
    assert workers.default_threads() == 2
    workers.set_threads(None)
    for nonsense in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert workers.default_threads() >= 1
    with pytest.raises(ValueError, match="at least one"):
        workers.set_threads(0)
