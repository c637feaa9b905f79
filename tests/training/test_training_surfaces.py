# SPDX-License-Identifier: GPL-3.0-or-later
"""The true surface that training compares offsets with."""

import numpy as np
import pytest
import torch
from lca_blender.backend.model.config import preset
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.dataset.prepared import prepared
from lca_blender.backend.training.dataset.sites import make_sites
from lca_blender.backend.training.dataset.surfaces import surface_offsets, write_surfaces
from lca_blender.backend.training.network.anchor_pool import whole_anchors
from lca_blender.backend.training.network.batches import make_batch
from lca_blender.backend.training.network.config import BatchRecipe
from lca_blender.backend.training.network.losses import surface_distance
from lca_blender.backend.training.people.dataset import write_shards
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import pose_person, rest_surface, skin_mesh
from model_fixtures import SMALL
from scipy.spatial import cKDTree


@pytest.fixture(scope="module")
def sites():
    return make_sites(preset("starter")).positions


@pytest.fixture(
    scope="module", params=(1_000_003, 1_000_001)
)  # a long skirt and long hair; a shirt and a hat
def person(request):
    return sample_person(request.param)


def test_the_surface_at_rest_is_what_skinning_poses(person):
    rotations = np.random.default_rng(0).normal(0, 0.15, (58, 3)).astype(np.float32)
    posed = pose_person(person, rotations)
    again = skin_mesh(
        rest_surface(person), person.skin_indices, person.skin_weights, posed.transforms[:, :3].copy()
    )
    assert np.linalg.norm(again - posed.points, axis=-1).mean() < 0.004


def on_surface(person, count=400_000):
    """Points spread evenly over a person's triangles."""
    rng = np.random.default_rng(0)
    corners = rest_surface(person)[person.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    chosen = corners[rng.choice(len(area), count, p=area / area.sum())]
    return np.einsum("nk,nkc->nc", rng.dirichlet((1, 1, 1), count), chosen)


def test_sites_moved_by_their_offsets_lie_on_the_person(person, sites):
    surface = cKDTree(on_surface(person))
    before, _ = surface.query(sites)
    after, _ = surface.query(sites + surface_offsets(person, sites))
    assert np.median(after) < 0.003
    assert np.percentile(after, 95) < 0.03
    assert np.percentile(after, 95) < 0.5 * np.percentile(before, 95)


def test_a_batch_carries_the_surfaces_that_were_measured(tmp_path):
    write_shards(tmp_path, range(2), 1, lambda text: None, height=128, width=96)
    prepare(tmp_path, SMALL)
    sites = make_sites(SMALL)
    some = np.array([5, 0, 17])
    with prepared([tmp_path], SMALL).open(1) as person:
        assert np.isnan(person.offsets(some)).all()
    write_surfaces(tmp_path, SMALL)
    with prepared([tmp_path], SMALL).open(1) as person:
        found = person.offsets(some)
    assert np.allclose(found, surface_offsets(sample_person(1), sites.positions)[some], atol=1e-4)
    recipe = BatchRecipe(people=2, photos=(1, 2), target_size=(64, 48))
    anchors = whole_anchors(SMALL, sites, 64)
    batch = make_batch(prepared([tmp_path], SMALL), anchors, SMALL, recipe, np.random.default_rng(0), None)
    assert batch.offsets.shape == (2, len(anchors.site), 3)
    assert batch.offsets.isfinite().all()


def test_what_is_not_known_counts_nothing():
    offsets = torch.zeros(1, 3, 3, requires_grad=True)
    true = torch.tensor([[[0.03, 0.0, 0.04], [np.nan] * 3, [0.0, 0.1, 0.0]]])
    distance = surface_distance(offsets, true)
    assert distance.item() == pytest.approx(0.075, abs=1e-4)
    distance.backward()
    assert not offsets.grad[0, 1].any()
    assert offsets.grad.isfinite().all()
    assert surface_distance(offsets, torch.full((1, 3, 3), np.nan)).item() == 0
