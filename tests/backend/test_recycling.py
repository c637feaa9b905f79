# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of dropped results is used again, of living ones never."""

import threading

import pytest
import torch
from lca_blender.backend import recycling


@pytest.fixture(autouse=True)
def nothing_spare():
    recycling._spare.clear()


def test_memory_of_a_dropped_tensor_is_used_again():
    first = recycling.empty(300, 400, 3)
    address = first.data_ptr()
    assert first.shape == (300, 400, 3)
    assert first.dtype == torch.float32
    assert first.is_contiguous()
    del first
    assert recycling.empty(300, 400, 3).data_ptr() == address
    assert recycling.empty(1200, 1200, dtype=torch.uint8).data_ptr() == address  # as many bytes


@pytest.mark.parametrize("keep", ["slice", "numpy", "graph"])
def test_whatever_holds_on_to_it_keeps_it(keep):
    first = recycling.empty(200, 200).fill_(7)
    if keep == "slice":
        kept = first[3:5]
    elif keep == "numpy":
        kept = first.numpy()[3:5]
    else:
        weight = torch.ones((), requires_grad=True)
        kept = (weight * first).sum()
    del first
    for _ in range(3):
        recycling.empty(200, 200).zero_()
    if keep == "graph":
        assert torch.autograd.grad(kept, weight)[0] == 7 * 200 * 200
    else:
        assert (kept == 7).all()


def test_what_is_kept_for_later_has_a_bound():
    for i in range(50):
        recycling.empty(100_000 + i)
    assert len(recycling._spare) <= 8


def test_threads_never_share_memory():
    broken = []

    def work(value):
        for _ in range(300):
            mine = recycling.empty(100_000).fill_(value)
            if not (mine == value).all():
                broken.append(value)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
