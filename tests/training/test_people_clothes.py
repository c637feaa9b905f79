# SPDX-License-Identifier: GPL-3.0-or-later
"""What synthetic people wear and grow keeps its place on the body, at rest and when it moves."""

import colorsys

import numpy as np
import pytest
from lca_blender.backend.body.pose import joint_transforms
from lca_blender.backend.training.people import (
    accessories,
    complexion,
    garments,
    haircuts,
    prints,
    shoes,
    strands,
    surface,
)
from lca_blender.backend.training.people.beards import beard_masks
from lca_blender.backend.training.people.cloth import BodyShape, skirt
from lca_blender.backend.training.people.figure import Figure
from lca_blender.backend.training.people.outfit import Wardrobe
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import skin_mesh
from lca_blender.backend.training.people.sites import SKIN, load_sites
from lca_blender.backend.training.people.skin import MOUTH_RED
from scipy.spatial import cKDTree


@pytest.fixture(scope="module")
def body():
    sites = load_sites()
    return BodyShape.of(sites.template.vertices, sites)


def posed(flex_left, flex_right, points, indices, weights):
    """Points [n, 3] of the mean template with the hips bent forward, degrees."""
    figure, template = Figure(), load_sites().template
    figure.leg("L", flex=flex_left, knee=30)
    figure.leg("R", flex=flex_right, knee=30)
    turns = np.array(figure.finish().rotations, np.float32)
    transforms = joint_transforms(template, turns, np.zeros(3, np.float32))
    moves = np.ascontiguousarray(transforms[:, :3], np.float32)
    return skin_mesh(points, indices, weights, moves)


@pytest.mark.parametrize("flex", [(60, 60), (60, 0), (90, 90)])
@pytest.mark.parametrize(("bottom", "flare"), [(0.55, 0.02), (0.6, 0.2), (0.25, 0.1)])
def test_no_thigh_comes_through_a_skirt(body, flex, bottom, flare):
    sites = body.sites
    template, top, bottom = sites.template, 1.02 * sites.k, bottom * sites.k
    piece = skirt(body, top, bottom, [None], flare, 0.012, (5, 0.004, 0.0))
    cloth = posed(*flex, piece.vertices, *surface.top_weights(piece.weights))
    thigh = [template.joint_names.index(f"thigh.{side}") for side in "LR"]
    height = template.vertices[:, 2]
    legs = (sites.dense_weights[:, thigh].sum(1) > 0.5) & (height > bottom + 0.04) & (height < top - 0.05)
    skin = posed(*flex, *(a[legs] for a in (template.vertices, template.skin_indices, template.skin_weights)))
    _, near = cKDTree(cloth).query(skin)
    outside = ((skin - cloth[near]) * surface.normals(cloth, piece.faces)[near]).sum(1)
    assert (outside > 0.005).mean() < 0.005


def test_a_skirts_points_lie_on_trunk_and_legs(body):
    """Hands hang beside a wide skirt, and no part of it belongs to them."""
    piece = skirt(body, 1.0 * body.sites.k, 0.5 * body.sites.k, [None], flare=0.4)
    assert not body.sites.is_arm(piece.template_points).any()


def test_long_hair_lies_on_the_clothes(body):
    scalp = strands.head().dressed(np.full(len(body.vertices), 3.0, np.float32))
    style = haircuts.STYLES["long"]
    hair = strands.grow(np.random.default_rng(0), scalp, style, 640, complexion.HAIRLINE_HEIGHT, 0.0)
    low = hair[hair[..., 1] < -14]
    distance, _ = strands.head().clearance(low)
    assert len(low) > 500
    assert (distance > 3.0).mean() > 0.97


def test_a_shirts_collar_stays_below_the_jacket(body):
    w = Wardrobe(np.random.default_rng(0), body)
    t, neck = w.tape, w.tape.neckline()
    jacket = garments.open_front(t, garments.top_cut(t, t.wrist, 0.9, neck, 0.015, 0.0), 0.03, 0.1)
    w.wear("jacket", jacket, [None], 0.0)
    w.wear("shirt", garments.top_cut(t, t.wrist, 0.9, neck, 0.01, 0.0), [None], 0.0)
    collar = garments.collar_cut(t, neck, 0.02, 0.014, 0.01)
    w.wear("collar", collar, [None], 0.0, outside=True)
    both = (collar.outline > 0) & (jacket.outline > 0)
    assert both.sum() > 20
    assert (collar.offset < 0.7 * jacket.offset)[both].all()


def test_a_tall_boot_holds_the_calf():
    sites = load_sites()
    skin = sites.template.vertices[sites.skin_vertices]
    foot = shoes.to_foot(skin[(skin[:, 0] > 0) & ~sites.is_arm(skin)], sites)
    calf = foot[(foot[:, 1] > 12) & (foot[:, 1] < shoes.OPENING["tall boot"] - 1)]
    assert len(calf) > 50
    assert shoes.distance("tall boot", calf).max() < -0.2


def test_open_lips_are_red_inside_and_do_not_shine():
    skin = sample_person(5).materials[SKIN]
    behind = load_sites().from_head_local(np.array([[0.0, -7.05, 9.4], [0.9, -7.06, 9.2]])).astype(np.float32)
    albedo, _, specular = skin.shade(behind, behind)
    assert np.abs(albedo - np.array(MOUTH_RED)).max() < 0.12
    assert specular.max() < 0.03


def test_a_goatee_ends_under_the_chin():
    sites = load_sites()
    points = sites.head_local(sites.template.vertices[sites.skin_vertices])
    chin = np.array([beard_masks(*p)[2] for p in points])
    assert chin.max() > 0.8
    assert chin[points[:, 2] < 5].max() == 0


def test_a_caps_visor_is_closed_and_woven(body):
    weaves = set()
    for seed in range(12):
        pieces, _ = accessories.make_hat(np.random.default_rng(seed), body)
        weaves.add((len(pieces) == 2, pieces[0].materials[0].look.weave))
        if len(pieces) == 2:
            assert not len(surface.border_edges(pieces[1].faces))
    assert {cap for cap, _ in weaves} == {True, False}
    assert all((weave == prints.KNIT) != cap for cap, weave in weaves)


def test_lips_of_dark_men_are_little_redder_than_their_skin():
    rng = np.random.default_rng(0)
    hair = np.array([0.1, 0.08, 0.06])
    for _ in range(300):
        tone = complexion.skin_tone(rng)
        look = complexion.sample_skin_look(rng, 1.0, 0.4, hair, tone)
        if tone[1] > 6:
            skin, lips = (colorsys.rgb_to_hsv(*c)[1] for c in (look.base, look.lips))
            assert lips < skin + 0.17
