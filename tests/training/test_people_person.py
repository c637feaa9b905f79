# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic people: whole, dressed, reproducible and unlike each other."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.raster.camera import look_at
from lca_blender.backend.raster.mesh_faces import rasterize_mesh
from lca_blender.backend.training.people import complexion, face, surface
from lca_blender.backend.training.people.cloth import BodyShape, hang
from lca_blender.backend.training.people.eyes import IRIS, Eye
from lca_blender.backend.training.people.landmarks import load_landmarks
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.prints import Fabric
from lca_blender.backend.training.people.render import pose_person
from lca_blender.backend.training.people.sites import EYE, SKIN, TEETH, load_sites
from lca_blender.backend.training.people.skin import HAIRLINE_AZIMUTH, HAIRLINE_HEIGHT, Skin, scalp_height
from scipy.spatial import cKDTree


@pytest.fixture(scope="module")
def people():
    return [sample_person(seed) for seed in range(50)]


def arrays(person):
    return {k: v for k, v in vars(person).items() if isinstance(v, np.ndarray)}


def skin_area(person, chosen):
    """Area of skin whose rest points satisfy `chosen`, on the mean template."""
    faces = person.faces[person.face_material == SKIN]
    p = person.template_points[faces]
    area = 0.5 * np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
    return float(area[chosen(p.mean(1))].sum())


def torso(points):
    sites = load_sites()
    low, high = sites.joint("spine1")[2], sites.joint("spine3")[2]
    return (points[:, 2] > low) & (points[:, 2] < high) & (np.abs(points[:, 0]) < sites.shoulder[0])


def test_same_seed_same_bits():
    first, second = arrays(sample_person(7)), arrays(sample_person(7))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


_HASH = """
import hashlib
from lca_blender.backend.training.people.person import sample_person
for seed in (1, 4, 6, 9, 12, 15):
    arrays = [v for v in vars(sample_person(seed)).values() if hasattr(v, "tobytes")]
    print(hashlib.sha256(b"".join(v.tobytes() for v in arrays)).hexdigest())
"""


def test_same_bits_on_any_number_of_threads():
    printed = []
    for count in "12":
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
        done = subprocess.run(
            [sys.executable, "-c", _HASH], env={**os.environ, **threads}, capture_output=True, check=True
        )
        printed.append(done.stdout.split())
    assert len(printed[0]) == 6
    assert printed[0] == printed[1]


def test_same_seed_same_colours():
    points = load_sites().template.vertices
    for a, b in zip(sample_person(3).materials, sample_person(3).materials, strict=True):
        for x, y in zip(a.shade(points, points), b.shade(points, points), strict=True):
            assert x.tobytes() == y.tobytes()
        for x, y in zip(getattr(a, "look", ()), getattr(b, "look", ()), strict=True):
            assert np.array_equal(x, y)  # moles and spots are too small for the points above


def test_every_mesh_is_whole(people):
    for person in people:
        n, joints = len(person.vertices), len(person.joint_heads)
        for name, value in arrays(person).items():
            assert np.isfinite(value).all(), (person.seed, name)
        assert person.template_points.shape == person.rest_points.shape == (n, 3)
        assert np.array_equal(np.unique(person.faces), np.arange(n)), "a vertex that no face uses"
        assert person.face_material.max() < len(person.materials)
        assert len(person.face_material) == len(person.faces)
        assert person.skin_indices.shape == person.skin_weights.shape == (n, 8)
        assert person.skin_indices.min() >= 0
        assert person.skin_indices.max() < joints
        np.testing.assert_allclose(person.skin_weights.sum(1), 1, atol=1e-5)
        corners = person.faces
        assert (corners[:, 0] != corners[:, 1]).all()
        assert (corners[:, 1] != corners[:, 2]).all()
        assert (corners[:, 2] != corners[:, 0]).all()
        assert person.expression_deltas.shape == (52, len(person.expression_index), 3)
        assert len(person.faces) < 120_000


def test_clothes_and_hair_stay_near_the_body(people):
    for person in people:
        size = person.vertices.max(0) - person.vertices.min(0)
        assert -0.01 < size[2] - person.description["stature"] < 0.2
        assert size[0] < 2.0
        assert size[1] < 0.9


def test_template_points_lie_on_the_template(people):
    surface_points = cKDTree(load_sites().template.vertices)
    for person in people[::10]:
        distance, _ = surface_points.query(person.template_points)
        assert np.quantile(distance, 0.99) < 0.01


def test_materials_answer_for_every_face(people):
    for person in people[::5]:
        for i, material in enumerate(person.materials):
            mine = person.faces[person.face_material == i]
            if len(mine) == 0:
                continue
            points = person.rest_points[mine].mean(1)
            albedo, roughness, specular = material.shade(points, points)
            assert albedo.shape == (len(points), 3)
            assert albedo.min() >= 0
            assert albedo.max() <= 1
            assert roughness.shape == specular.shape == (len(points),)
            assert (roughness > 0).all()


def test_a_top_covers_the_chest(people):
    """No skin of the trunk is left under a tee, a shirt or a sweater, where it could come through."""
    whole = load_sites().template
    bare_faces = whole.faces[(whole.part[whole.faces] == SKIN).all(1)]
    p = whole.vertices[bare_faces]
    area = 0.5 * np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
    full = area[torso(p.mean(1))].sum()
    dressed = [q for q in people if {"tee", "shirt", "sweater", "long"} & set(q.description["clothes"])]
    assert len(dressed) > 10
    for person in dressed:
        assert skin_area(person, torso) < 0.2 * full, person.seed


def test_everybody_wears_something_about_the_hips(people):
    """Cloth is there on all sides, children included, and no skin was taken away without it."""
    sites = load_sites()
    for person in people:
        fabrics = [i for i, material in enumerate(person.materials) if isinstance(material, Fabric)]
        cloth = np.unique(person.faces[np.isin(person.face_material, fabrics)])
        points = person.template_points[cloth]
        hips = points[(np.abs(points[:, 2] - sites.joint("pelvis")[2]) < 0.06) & ~sites.is_arm(points)]
        turn = np.arctan2(hips[:, 0], -hips[:, 1])
        assert (np.histogram(turn, 8, (-np.pi, np.pi))[0] > 0).all(), person.seed


def lip_edges(sites):
    """For columns across the mouth, the vertices of the upper lip that look down and of the lower that look
    up."""
    template = sites.template
    local, up = sites.head_local(template.vertices), template.normals[:, 2]
    lips = (template.region("lips") > 0.55) & (template.part == SKIN)
    near = lips & (np.abs(local[:, 1] - load_landmarks().lip_seam[0]) < 0.5)
    for x in np.linspace(-2, 2, 9):  # head units
        column = near & (np.abs(local[:, 0] - x) < 0.25)
        yield np.flatnonzero(column & (up < -0.5)), np.flatnonzero(column & (up > 0.5))


def test_lips_of_people_touch(people):
    template = load_sites().template
    for person in people[:12]:
        body = np.unique(person.faces[person.face_material < 4])
        distance, near = cKDTree(person.template_points[body]).query(template.vertices)
        height = np.where(distance < 1e-6, person.vertices[body[near], 2], np.nan)
        gaps = [height[up].min() - height[low].max() for up, low in lip_edges(load_sites())]
        assert max(gaps) < 0.0003, person.seed


def test_hair_greys_with_age():
    rng, ancestry = np.random.default_rng(0), np.array([0.2, 0.3, 0.5])
    grey = {y: np.mean([complexion.sample_hair_colour(rng, ancestry, y)[1] for _ in range(200)])
            for y in (20, 40, 60, 78)}  # fmt: skip
    assert grey[20] == 0
    assert grey[40] < 0.15
    assert 0.3 < grey[60] < 0.7
    assert grey[78] > 0.9


def test_faces_and_hands_stay_bare(people):
    sites = load_sites()
    wrist = sites.joint("hand.L")[0] + 0.03

    def hands(points):
        return np.abs(points[:, 0]) > wrist

    def face(points):
        q = sites.head_local(points)
        return (q[:, 1] > -9) & (q[:, 1] < 3) & (q[:, 2] > 4)

    for region in (hands, face):
        areas = [skin_area(person, region) for person in people]
        assert min(areas) == pytest.approx(max(areas), rel=1e-5)
        assert min(areas) > 0.005


def test_people_differ(people):
    adults = np.array([p.vertices[:, 2].max() for p in people if p.description["years"] > 18])
    assert 0.04 < adults.std() < 0.2
    betas = np.stack([p.betas for p in people])
    assert (betas.std(0) > 0.4).all()
    assert {p.description["sex"] for p in people} == {"woman", "man"}
    years = np.array([p.description["years"] for p in people])
    assert (years < 18).sum() > 4
    assert (years > 55).sum() > 4
    skins, tops = [], []
    for person in people:
        cheek = load_sites().from_head_local(np.array([[5.0, -4.5, 6.5]])).astype(np.float32)
        skins.append(person.materials[SKIN].shade(cheek, cheek).albedo[0])
        cloth = next(m for m in person.materials if isinstance(m, Fabric))
        tops.append(cloth.look.first)
    assert np.std(skins, axis=0).min() > 0.12
    assert np.std(tops, axis=0).min() > 0.15
    assert len({p.description["hair"] for p in people}) >= 8
    assert len({p.description["clothes"] for p in people}) >= 25


def test_held_out_seeds_are_other_people():
    a, b = sample_person(11), sample_person(1_000_011)
    assert np.abs(a.betas - b.betas).max() > 0.5


def test_skin_tone_and_eyes_follow_ancestry(people):
    """African skin is darker than the others' (Jablonski & Chaplin 2000), and its irises are brown."""
    cheek = load_sites().from_head_local(np.array([[5.0, -4.5, 6.5]])).astype(np.float32)
    light = np.array([p.materials[SKIN].shade(cheek, cheek).albedo[0].mean() for p in people])
    african = np.array([p.description["ancestry"]["African"] for p in people])
    assert np.corrcoef(light, african)[0, 1] < -0.7
    for person in people:
        if person.description["ancestry"]["African"] > 0.9:
            iris = person.materials[EYE].iris
            assert iris[0] > iris[2]


def test_only_grown_men_have_beards(people):
    for person in people:
        look = person.materials[SKIN].look
        if person.description["sex"] == "woman" or person.description["years"] < 17:
            assert max(look.beard, look.moustache, look.shadow) == 0
    assert any(p.materials[SKIN].look.beard > 0.8 for p in people)


def test_old_faces_have_lines_and_children_have_none(people):
    ages = {p.description["years"]: p.materials[SKIN].look.age for p in people}
    assert all(line == 0 for years, line in ages.items() if years < 25)
    assert all(line > 0.4 for years, line in ages.items() if years > 62)


def test_features_sit_where_the_template_has_them():
    sites, marks = load_sites(), load_landmarks()
    local = sites.head_local(sites.template.vertices)
    lips = sites.template.region("lips")
    front = (sites.template.part == SKIN) & (local[:, 2] > 8.5) & (np.abs(local[:, 0]) < 4)
    painted = np.array([face.lip_mask(*p, marks) for p in local[front]])
    assert painted[lips[front] > 0.95].mean() > 0.9
    assert painted[lips[front] < 0.02].max() < 0.6
    assert painted[lips[front] < 0.02].mean() < 0.02
    person = sample_person(5)
    skin, eye = person.materials[SKIN], person.materials[EYE]
    assert isinstance(skin, Skin)
    assert isinstance(eye, Eye)
    ball = marks.ball * sites.head_scale
    assert 2000 * ball * np.sin(IRIS) == pytest.approx(11.8, abs=0.3)  # mm, a human iris
    turns = np.array([0.0, 0.9 * IRIS, 1.3 * IRIS])
    out = np.stack([np.sin(turns), -np.cos(turns), np.zeros(3)], 1) * ball
    points = (sites.joint("eye.L") + out).astype(np.float32)
    pupil, iris, white = eye.shade(points, points).albedo
    assert pupil.max() < 0.1
    assert white.min() > 0.45
    assert iris.mean() < 0.8 * white.mean()
    assert person.materials[TEETH] is not None


def test_nails_are_found_on_every_finger_and_toe():
    sites = load_sites()
    frames = sample_person(5).materials[SKIN].nails
    assert len(frames) == 10
    regions = np.maximum(sites.template.region("fingernails"), sites.template.region("toenails"))
    distance, _ = cKDTree(sites.template.vertices[regions > 0.5]).query(frames[:, 0])
    assert distance.max() < 0.006
    assert (frames[:5, 3, :2] > 0.002).all()
    assert (frames[:, 3, :2] < 0.014).all()
    skin = sample_person(5).materials[SKIN]
    skin = replace(skin, look=skin.look._replace(polish=1.0, nails=np.array([0.1, 0.2, 0.9])))
    middle = frames[:, 0].astype(np.float32)
    assert np.abs(skin.shade(middle, middle).albedo - skin.look.nails).max() < 0.05


def test_the_hairline_lies_at_its_heights():
    """Before, beside and behind the head, on the mean hairline's own heights."""
    for azimuth, height in zip(HAIRLINE_AZIMUTH, HAIRLINE_HEIGHT, strict=True):
        x, z = 7 * np.sin(np.radians(azimuth)), 7 * np.cos(np.radians(azimuth)) - 1
        assert scalp_height(x, height + 1.5, z, HAIRLINE_HEIGHT) == pytest.approx(1.5, abs=1e-6)
    assert scalp_height(0.0, 9.0, 8.0, HAIRLINE_HEIGHT) == pytest.approx(1.6, abs=1e-6)


def test_lashes_follow_the_lids_when_they_close():
    person = sample_person(5)
    lashes = person.faces[person.face_material == 4]
    rows = np.unique(lashes)
    blink = person.expression_deltas[ARKIT_INDEX["eyeBlinkLeft"]]
    blink = blink + person.expression_deltas[ARKIT_INDEX["eyeBlinkRight"]]
    moved = blink[np.isin(person.expression_index, rows)]
    assert len(moved) == len(rows)
    assert moved[:, 2].min() < -0.006
    assert np.linalg.norm(moved, axis=1).max() < 0.03


@pytest.mark.parametrize("first", [4, 5])  # material of lashes, of brows
def test_lashes_and_brows_grow_on_both_sides(first):
    person = sample_person(5)
    x = person.vertices[np.unique(person.faces[person.face_material == first]), 0]
    assert 0.45 < (x > 0).mean() < 0.55
    assert np.abs(x).max() < 0.08


def test_blinks_close_the_lids_of_every_face(people):
    """From the front no more than slivers of the eyeballs are left, however far the lids were open."""
    blink = np.zeros(52, np.float32)
    blink[[ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]] = 1
    for person in people[:12]:
        body = np.ascontiguousarray(person.faces[person.face_material < 4])
        part = person.face_material[person.face_material < 4]
        seen = []
        for expression in (None, blink):
            posed = pose_person(person, np.zeros((58, 3)), expression)
            middle = person.joint_heads[[INDEX["eye.L"], INDEX["eye.R"]]].mean(0)
            viewmat = np.asarray(look_at((middle[0], middle[1] - 1.0, middle[2]), tuple(middle)))
            K = np.array([[1200.0, 0, 90], [0, 1200, 40], [0, 0, 1]])
            face = rasterize_mesh(posed.points, body, viewmat, K, 180, 80).face
            seen.append((part[face[face >= 0]] == EYE).sum())
        assert seen[0] > 100
        assert seen[1] < 0.05 * seen[0], (person.seed, seen)


def test_relief_is_a_gradient():
    """`slopes` are the derivative of the heights that were meant, and small: skin is smooth."""
    skin = sample_person(0).materials[SKIN]
    points = load_sites().template.vertices[load_sites().skin_vertices][::7]
    slopes = skin.slopes(points)
    assert np.isfinite(slopes).all()
    assert np.abs(slopes).max() < 1.5
    assert np.linalg.norm(slopes, axis=1).mean() < 0.25


def test_split_keeps_area_and_sides():
    """Cutting a square along a line leaves the area whole and each face on one side."""
    axis = np.linspace(0, 1, 6)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(5), np.arange(5), indexing="ij")
    a = (i * 6 + j).ravel()
    faces = np.concatenate([np.stack([a, a + 6, a + 1], 1), np.stack([a + 1, a + 6, a + 7], 1)]).astype(
        np.int32
    )
    patch = surface.whole(36, faces)
    line = grid @ np.array([0.7, 0.5]) - 0.53
    cut, inside, parent = surface.split(patch, line.astype(np.float32))
    points = cut.carry(grid)
    p = points[cut.faces]
    area = 0.5 * np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    assert area.min() > 0
    assert area.sum() == pytest.approx(1, abs=1e-5)
    assert parent.max() < len(faces)
    side = p.mean(1) @ np.array([0.7, 0.5]) - 0.53 > 0
    assert (side == inside).mean() > 0.98
    kept = surface.clip(patch, line.astype(np.float32))
    q = kept.carry(grid)[kept.faces]
    positive = 0.5 * np.cross(q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]).sum()
    corners = np.random.default_rng(0).random((200_000, 2))
    assert positive == pytest.approx((corners @ np.array([0.7, 0.5]) > 0.53).mean(), abs=0.01)


def test_a_skirt_clears_the_legs():
    sites = load_sites()
    body = BodyShape.of(sites.template.vertices, sites)
    top, bottom = 1.0 * sites.k, 0.55 * sites.k
    rings = hang(body.vertices, sites, top, bottom, 0.1, 0.01, (9, 0.0, 0.0))
    for ring in rings[1:-1]:
        near = np.abs(body.vertices[:, 2] - ring[:, 2].mean()) < 0.005
        inside = body.vertices[near & (np.abs(body.vertices[:, 0]) < 0.26)]
        centre = ring.mean(0)[:2]
        reach = np.linalg.norm(ring[:, :2] - centre, axis=1).max()
        assert np.linalg.norm(inside[:, :2] - centre, axis=1).max() < reach
