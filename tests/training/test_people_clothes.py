# SPDX-License-Identifier: GPL-3.0-or-later
"""What synthetic people wear and grow keeps its place on the body, at rest and when it moves."""

import colorsys

import numpy as np
import pytest
from lca_blender.backend.body.pose import joint_transforms
from lca_blender.backend.raster.camera import look_at
from lca_blender.backend.raster.mesh_faces import rasterize_mesh
from lca_blender.backend.training.people import (
    accessories,
    complexion,
    drape,
    garments,
    hair,
    haircuts,
    prints,
    shape,
    shoes,
    strands,
    surface,
)
from lca_blender.backend.training.people.beards import beard_masks
from lca_blender.backend.training.people.cloth import BodyShape, shell, skirt
from lca_blender.backend.training.people.face import MOUTH_RED
from lca_blender.backend.training.people.figure import Figure
from lca_blender.backend.training.people.landmarks import load_landmarks
from lca_blender.backend.training.people.outfit import dress
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import skin_mesh
from lca_blender.backend.training.people.sites import SKIN, load_sites
from lca_blender.backend.training.people.wardrobe import Wardrobe
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
    """From seven sides no skin lies up to 5 cm before the outer side of the cloth."""
    sites = body.sites
    template, top, bottom = sites.template, 1.02 * sites.k, bottom * sites.k
    piece = skirt(body, top, bottom, [None], flare, 0.012, (5, 0.004, 0.0))
    cloth = posed(*flex, piece.vertices, *surface.top_weights(piece.weights))
    corners = template.vertices[sites.skin_faces]
    legs = (corners[..., 2].max(1) < top - 0.05) & ~sites.is_arm(corners.mean(1))
    skin_faces = np.ascontiguousarray(sites.skin_faces[legs & (np.abs(corners[..., 0]).max(1) < 0.27)])
    inside = template.vertices[skin_faces][..., 2].min(1) > bottom + 0.04
    skin = posed(*flex, template.vertices, template.skin_indices, template.skin_weights)
    corners = cloth[piece.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    K, through, covered = np.array([[700.0, 0, 120], [0, 700, 120], [0, 0, 1]]), 0, 0
    for turn, rise in ((0, 0.15), (0.8, 0.3), (1.6, 0.1), (3.1, 0.2), (4.7, 0.1), (5.5, 0.3), (0, 1.2)):
        middle = np.array([0, -0.1, 0.8])
        eye = middle + 3 * np.array([np.sin(turn), -np.cos(turn), rise])
        viewmat = np.asarray(look_at(tuple(eye), tuple(middle)))
        inner = rasterize_mesh(skin, skin_faces, viewmat, K, 240, 240)
        outer = rasterize_mesh(cloth, piece.faces, viewmat, K, 240, 240)
        front = ((eye - corners.mean(1)) * normals).sum(1) > 0
        both = (inner.face >= 0) & (outer.face >= 0) & front[np.maximum(outer.face, 0)]
        both &= inside[np.maximum(inner.face, 0)]
        gap = outer.depth[both] - inner.depth[both]
        through += ((gap > 0.003) & (gap < 0.05)).sum()
        covered += (outer.face >= 0).sum()
    assert covered > 10_000
    assert through / covered < 0.005


def test_a_skirts_points_lie_on_trunk_and_legs(body):
    """Hands hang beside a wide skirt, and no part of it belongs to them."""
    piece = skirt(body, 1.0 * body.sites.k, 0.5 * body.sites.k, [None], flare=0.4)
    assert not body.sites.is_arm(piece.template_points).any()


def test_loose_cloth_spans_the_hollows_of_the_body(body):
    """A straight cut hangs plumb below the chest, where a fitted one stays nearer to the skin."""
    t = Wardrobe(np.random.default_rng(0), body).tape
    hanging = drape.Drape(body, t)
    loose, fitted = hanging.trunk(0.0), hanging.trunk(1.0)
    waist = (np.abs(t.z - t.height(110)) < 0.02) & ~t.arm & (t.x < 0.2)
    size = np.linalg.norm(loose, axis=1)
    assert size[waist].mean() > 0.02
    assert np.linalg.norm(fitted, axis=1)[waist].mean() < 0.4 * size[waist].mean()
    moved = body.vertices + loose
    chest = (np.abs(t.z - t.height(130)) < 0.01) & ~t.arm
    assert np.abs(moved[waist, 0]).max() > np.abs(moved[chest, 0]).max() - 0.01


def test_rings_of_cloth_are_convex_hulls():
    """A star of radii 1 and 0.5 is spanned by the polygon through its tips (law of cosines)."""
    ring = np.where(np.arange(drape.COLUMNS) % 8 == 0, 1.0, 0.5)
    spanned = drape.hull(ring)
    assert np.allclose(spanned[::8], 1, atol=1e-9)
    assert np.allclose(spanned[4::8], np.cos(np.pi / 6), atol=1e-9)


@pytest.mark.parametrize("name", [n for n, s in haircuts.STYLES.items() if s.strands])
def test_no_hair_covers_the_eyes_or_runs_through_the_head(name):
    style, scalp = haircuts.STYLES[name], strands.head()
    grown = strands.grow(np.random.default_rng(1), scalp, style, 300, complexion.HAIRLINE_HEIGHT, 2.6)
    x, y, z = np.moveaxis(grown, -1, 0)
    assert ((np.abs(x) < 4.4) & (np.abs(y) < 1.2) & (z > 6)).mean() < 0.002
    distance, _ = scalp.clearance(grown[:, 1:].reshape(-1, 3))
    assert (distance < -0.3).mean() < 0.01


@pytest.mark.parametrize("name", ["short", "swept", "bob", "long", "wavy", "curly", "afro"])
def test_hair_stands_off_the_skull(name):
    """One to three centimetres over the crown, up to six for an afro."""
    style, scalp = haircuts.STYLES[name], strands.head()
    grown = strands.grow(np.random.default_rng(2), scalp, style, 400, complexion.HAIRLINE_HEIGHT, 0.0)
    crown = grown.reshape(-1, 3)
    distance, _ = scalp.clearance(crown[crown[:, 1] > 8])
    assert 0.8 < np.quantile(distance, 0.8) < (6 if name == "afro" else 4)


@pytest.mark.parametrize("name", ["crew", "short", "bob", "curly", "tail"])
def test_the_mass_of_hair_lies_on_the_skull_under_the_strands(body, name):
    style = haircuts.STYLES[name]
    _, look = hair.sample_hair(np.random.default_rng(0), 0.0, 0.2, 0.0)
    bare = np.zeros(len(body.vertices), np.float32)
    line = complexion.HAIRLINE_HEIGHT
    pieces = hair.make_hair(np.random.default_rng(0), body, style, look, line, None, bare)
    mass = next(piece for piece in pieces if isinstance(piece.materials[0], hair.Mass))
    local = body.sites.head_local(mass.vertices)
    distance, _ = strands.head().clearance(local[local[:, 1] > 6])
    assert len(distance) > 300
    assert distance.min() > -0.3
    assert 0.1 < np.median(distance) < style.volume


def test_cloth_stands_off_the_skin(body):
    t = Wardrobe(np.random.default_rng(0), body).tape
    outline = np.minimum(np.minimum(t.z - t.height(100), t.height(140) - t.z), t.no_arms())
    for offset in (0.006, 0.014):
        piece = shell(body, outline, np.full(len(t.z), offset, np.float32), [None])
        skin = body.sites.skin_vertices
        _, near = cKDTree(body.vertices[skin]).query(piece.vertices)
        near = skin[near]
        off = ((piece.vertices - body.vertices[near]) * body.outward[near]).sum(1)
        assert np.median(off) == pytest.approx(offset, abs=0.3 * offset)
        assert (off < 0).mean() < 0.01


def test_long_hair_lies_on_the_clothes(body):
    scalp = strands.head().dressed(np.full(len(body.vertices), 3.0, np.float32))
    style = haircuts.STYLES["long"]
    grown = strands.grow(np.random.default_rng(0), scalp, style, 640, complexion.HAIRLINE_HEIGHT, 0.0)
    low = grown[grown[..., 1] < -14]
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


@pytest.mark.parametrize("masculine", [0.0, 1.0])
def test_clothes_are_made_to_measure(body, masculine):
    """A body at 95 % wears the same clothes at 95 %, cloth and soles as thin."""
    small = BodyShape.of((0.95 * body.vertices).astype(np.float32), body.sites)
    for seed in range(6):
        large, little = (dress(np.random.default_rng(seed), b, masculine) for b in (body, small))
        assert large.names == little.names
        for a, b in zip(large.pieces, little.pieces, strict=True):
            assert np.allclose(0.95 * a.vertices, b.vertices, atol=2e-4)


def test_children_wear_whole_clothes(body):
    """Something over chest and hips that ends below the waist, and over the thighs more than tights."""
    small = BodyShape.of((0.6 * body.vertices).astype(np.float32), body.sites)
    t = body.sites
    for seed in range(30):
        worn = dress(np.random.default_rng(seed), small, float(seed % 2))
        assert not {"tank", "leggings"} & set(worn.names)
        points = np.concatenate([p.template_points for p in worn.pieces])
        covered = points[~t.is_arm(points)]
        for low, high in ((1.0, 1.05), (1.05, 1.15), (0.75, 0.85)):
            ring = covered[(covered[:, 2] > low * t.k) & (covered[:, 2] < high * t.k)]
            turn = np.arctan2(ring[:, 0], -ring[:, 1])
            assert (np.histogram(turn, 12, (-np.pi, np.pi))[0] > 0).all()


@pytest.mark.parametrize("kind", shoes.KINDS)
def test_shoes_hold_feet_of_all_shapes_and_stand_flat(kind):
    """Heel, toes and, in boots, ankle or calf are inside; soles are level."""
    sites = load_sites()
    template = sites.template
    for seed in range(6):
        vertices, _ = shape.apply_shape(template, sample_person(seed).betas)
        person = BodyShape.of(vertices, sites)
        look = shoes.sample_look(np.random.default_rng(seed), kind, [np.full(3, 0.5)])
        piece = shoes.make_shoes(person, kind, look)
        foot = shoes.to_foot(template.vertices, sites)
        low = (foot[:, 1] < shoes.OPENING[kind] - (4.0 if kind == "loafer" else 1.5)) & (
            template.part == SKIN
        )
        low &= ~sites.is_arm(template.vertices) & (np.abs(template.vertices[:, 0]) < 0.3)
        skin = vertices[low]
        _, near = cKDTree(piece.vertices).query(skin)
        outside = ((skin - piece.vertices[near]) * surface.normals(piece.vertices, piece.faces)[near]).sum(1)
        assert (outside > 0.001).mean() < 0.01
        lowest = piece.vertices[:, 2].min()
        assert lowest == pytest.approx(-0.0095 * shoes.SOLE[kind] * person.scale, abs=0.002)
        left, right = (piece.vertices[piece.vertices[:, 0] * side > 0, 2].min() for side in (1, -1))
        assert left == pytest.approx(right, abs=0.001)


def test_open_lips_are_red_inside_and_do_not_shine():
    skin = sample_person(5).materials[SKIN]
    marks = load_landmarks()
    depth, seam = marks.lip_front[0] - 0.5, marks.lip_seam[0]
    behind = load_sites().from_head_local(np.array([[0.0, seam, depth]])).astype(np.float32)
    albedo, _, specular = skin.shade(behind, behind)
    red = albedo[0]
    assert red[0] > 1.8 * red[1]
    assert red.max() < MOUTH_RED[0]
    assert specular.max() < 0.03


def test_a_goatee_ends_under_the_chin():
    sites = load_sites()
    points = sites.head_local(sites.template.vertices[sites.skin_vertices])
    chin = np.array([beard_masks(*p, load_landmarks())[2] for p in points])
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
        tone = complexion.skin_tone(rng, np.array([0.9, 0.05, 0.05]))
        look = complexion.sample_skin_look(rng, 1.0, 40.0, hair, tone)
        if tone[1] > 6:
            skin, lips = (colorsys.rgb_to_hsv(*c)[1] for c in (look.base, look.lips))
            assert lips < skin + 0.17
