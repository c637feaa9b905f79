# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of synthetic people: the rasteriser against geometry, poses against anatomy."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import load_template
from lca_blender.backend.raster.camera import Camera, look_at
from lca_blender.backend.raster.mesh_faces import rasterize_mesh, to_pixels
from lca_blender.backend.training.people import cameras, expressions, lights, poses, shading
from lca_blender.backend.training.people.figure import Figure
from lca_blender.backend.training.people.materials import Surface
from lca_blender.backend.training.people.occlusion import key_visibility
from lca_blender.backend.training.people.person import Person
from lca_blender.backend.training.people.places import gather_places
from lca_blender.backend.training.people.render import pose_person, render_person, render_posed, skin_mesh

QUAD = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


class Grey:
    """A matte material of one colour."""

    def shade(self, rest_points, normals):
        count = len(rest_points)
        return Surface(
            np.full((count, 3), 0.5, np.float32), np.ones(count, np.float32), np.zeros(count, np.float32)
        )


@pytest.fixture(scope="module")
def mean_person():
    """The mean template itself as a person: its template points are its vertices."""
    t = load_template()
    moved = np.flatnonzero(np.abs(t.expression_deltas).max((0, 2)) > 1e-6).astype(np.int32)
    return Person(
        seed=-1, vertices=t.vertices, faces=t.faces, template_points=t.vertices, rest_points=t.vertices,
        face_material=np.zeros(len(t.faces), np.uint8), materials=[Grey()], skin_indices=t.skin_indices,
        skin_weights=t.skin_weights, joint_heads=t.joint_heads, expression_index=moved,
        expression_deltas=t.expression_deltas[:, moved], betas=np.zeros(len(t.shape_names)),
        folds=np.zeros((len(t.vertices), 5), np.float32),
    )  # fmt: skip


def _sphere(radius, rings=96):
    theta, phi = np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings + 1)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    points = radius * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(2 * rings), indexing="ij")
    a = (i * (2 * rings + 1) + j).ravel()
    b, c, d = a + 1, a + 2 * rings + 1, a + 2 * rings + 2
    return points, np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)


def _camera(eye=(0, -4, 0), target=(0, 0, 0), width=192, height=256, focal=400.0):
    K = [[focal, 0, width / 2 + 3.3], [0, focal * 1.05, height / 2 - 7.7], [0, 0, 1]]
    return Camera(look_at(eye, target), K, width, height)


def test_sphere_covers_its_analytic_area():
    radius, distance, focal = 0.5, 4.0, 400.0
    camera = Camera(
        look_at((0, -distance, 0), (0, 0, 0)),
        np.array([[focal, 0, 96], [0, focal, 128], [0, 0, 1]]),
        192,
        256,
    )
    points, faces = _sphere(radius)
    seen = rasterize_mesh(points, faces, camera.viewmat, camera.K, 192, 256, samples=2)
    area = np.pi * focal**2 * radius**2 / (distance**2 - radius**2)
    assert (seen.face >= 0).sum() / 4 == pytest.approx(area, rel=0.004)
    assert seen.depth.min() == pytest.approx(distance - radius, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.6, 6), st.floats(0.02, 0.45), st.floats(-70, 70), st.integers(1, 3))
def test_tilted_quad_has_exact_depth_and_area(distance, half, tilt, samples):
    """Depth at every sample is where the ray meets the plane; the area is the projected polygon's."""
    camera = _camera()
    a = np.radians(tilt)
    along = np.array([np.cos(a), np.sin(a), 0])
    corners = [x * along * half + np.array([0, 0, z * half]) for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    points = np.array(corners) + np.array([0, distance - 4, 0])
    seen = rasterize_mesh(points, QUAD, camera.viewmat, camera.K, 192, 256, samples)
    rows, columns = np.nonzero(seen.face >= 0)
    pixels = np.stack([(columns + 0.5) / samples, (rows + 0.5) / samples, np.ones(len(rows))])
    rays = np.linalg.solve(camera.K, pixels).T
    normal = camera.viewmat[:3, :3] @ np.cross(along, [0, 0, 1])
    through = camera.viewmat[:3, :3] @ points[0] + camera.viewmat[:3, 3]
    assert np.allclose(seen.depth[rows, columns], (normal @ through) / (rays @ normal), rtol=2e-4)
    flat, depth = to_pixels(points, camera.viewmat, camera.K)
    x, y = (flat[:, :2] / depth[:, None]).T
    if x.min() >= 0 and x.max() <= 192 and y.min() >= 0 and y.max() <= 256:
        area = 0.5 * abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))
        outline = 2 * (np.ptp(x) + np.ptp(y))
        assert len(rows) / samples**2 == pytest.approx(area, abs=0.5 * outline / samples + 1)


def test_interpolation_is_perspective_correct():
    camera = _camera(eye=(0.3, -2, 0.4))
    points = np.array([[-0.5, -0.8, -0.3], [0.5, 0.9, -0.3], [0.5, 0.9, 0.4], [-0.5, -0.8, 0.4]])
    seen = rasterize_mesh(points, QUAD, camera.viewmat, camera.K, 192, 256)
    where = seen.interpolate(points, QUAD)[seen.face >= 0]
    flat, depth = to_pixels(where, camera.viewmat, camera.K)
    rows, columns = np.nonzero(seen.face >= 0)
    assert len(rows) > 1000
    assert np.allclose(flat[:, :2] / depth[:, None], np.stack([columns + 0.5, rows + 0.5], 1), atol=0.02)


def test_floor_that_runs_behind_the_camera_fills_the_lower_half():
    floor = np.array([[-500, -500, -1], [500, -500, -1], [500, 500, -1], [-500, 500, -1]], np.float64)
    camera = _camera(target=(0, 10, 0))
    seen = rasterize_mesh(floor, QUAD, camera.viewmat, camera.K, 192, 256)
    horizon = camera.K[1, 2]
    assert (seen.face[int(horizon) + 3 :] >= 0).all()
    assert (seen.face[: int(horizon)] < 0).all()


def test_places_hold_every_sample_once_and_the_largest_comes_first():
    rng = np.random.default_rng(0)
    points, faces = rng.normal(0, 0.5, (60, 3)), rng.integers(0, 60, (80, 3)).astype(np.int32)
    camera = _camera(width=48, height=64, focal=100)
    seen = rasterize_mesh(points, faces, camera.viewmat, camera.K, 48, 64, 2)
    material = (np.arange(80) % 3).astype(np.uint8)
    places = gather_places(seen, points, points, faces, material, 2)
    assert len(places.place) == (seen.face >= 0).sum()
    assert np.array_equal(np.bincount(places.place), np.rint(places.share * 4))
    covered = (seen.face >= 0).reshape(64, 2, 48, 2).sum((1, 3)).ravel() / 4
    assert np.allclose(np.bincount(places.pixel, places.share, 64 * 48), covered)
    first = np.flatnonzero(np.diff(places.pixel, prepend=-1))
    assert np.array_equal(np.maximum.reduceat(places.share, first), places.share[first])
    mean = np.stack([np.bincount(places.place, places.sample_attributes[:, c]) for c in range(3)], 1)
    assert np.allclose(mean / np.bincount(places.place)[:, None], places.attributes, atol=1e-5)


def test_template_map_leads_back_to_its_pixel(mean_person):
    """Each mapped point, posed by the transforms, projects into the pixel that shows it."""
    t = load_template()
    for seed in (1, 4):
        rng = np.random.default_rng(seed)
        pose = poses.random_pose(rng)
        posed = pose_person(mean_person, pose.rotations, root=pose.root)
        camera = cameras.body_camera(rng, posed.transforms, 192, 256)
        view = render_posed(mean_person, posed, camera)
        rows, columns = np.nonzero(view.rgba[..., 3] == 255)
        points = view.template_map[rows, columns].astype(np.float32)
        _assert_reprojects(t, points, view.transforms, camera, rows, columns)


def _assert_reprojects(t, points, transforms, camera, rows, columns):
    from scipy.spatial import cKDTree

    # Weights of the nearest vertex are exact enough where they hardly change.
    _, nearest = cKDTree(t.vertices).query(points)
    moved = skin_mesh(
        points, t.skin_indices[nearest], t.skin_weights[nearest], np.ascontiguousarray(transforms[:, :3])
    )
    flat, depth = to_pixels(moved, camera.viewmat, camera.K)
    away = np.linalg.norm(flat[:, :2] / depth[:, None] - np.stack([columns + 0.5, rows + 0.5], 1), axis=1)
    assert len(away) > 1500
    assert np.median(away) < 0.35
    assert np.mean(away < 1.0) > 0.985


def test_template_map_with_other_bones(mean_person):
    """Transforms carry the mean template onto a person with a skeleton of their own."""
    t = load_template()
    heads = t.joint_heads * np.array([1, 1, 1.06], np.float32)
    taller = dataclasses.replace(
        mean_person, vertices=t.vertices * np.array([1, 1, 1.06], np.float32), joint_heads=heads
    )
    pose = poses.walk(0.2)
    posed = pose_person(taller, pose.rotations, root=pose.root)
    camera = cameras.studio_ring(posed.transforms, 3, 192, 256)[0]
    view = render_posed(taller, posed, camera)
    rows, columns = np.nonzero(view.rgba[..., 3] == 255)
    points = view.template_map[rows, columns].astype(np.float32)
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(t.vertices).query(points)
    moved = skin_mesh(
        points, t.skin_indices[nearest], t.skin_weights[nearest], posed.transforms[:, :3].copy()
    )
    flat, depth = to_pixels(moved, camera.viewmat, camera.K)
    away = np.linalg.norm(flat[:, :2] / depth[:, None] - np.stack([columns + 0.5, rows + 0.5], 1), axis=1)
    assert np.median(away) < 1.5  # a stretched body is not quite the body with stretched bones


def test_zero_pose_and_face_joints(mean_person):
    """At rest the mesh stays; jaw and eyes move the mesh but not the transforms that are handed out."""
    rest = pose_person(mean_person, np.zeros((58, 3)))
    assert np.abs(rest.points - mean_person.vertices).max() < 1e-5
    assert np.allclose(rest.transforms, np.eye(4), atol=1e-6)
    weights = expressions.expression({"jawOpen": 1.0})
    gaze = np.full((2, 2), 0.4, np.float32)
    talking = pose_person(mean_person, np.zeros((58, 3)), weights, gaze)
    assert np.allclose(talking.transforms, rest.transforms)
    t = load_template()
    lower = (t.skin_weights * (t.skin_indices == INDEX["jaw"])).sum(1) > 0.95
    assert (talking.points - rest.points)[lower, 2].mean() < -0.01
    assert np.abs(talking.points - rest.points)[t.part == 1].max() > 0.003


def test_joint_signs_are_human():
    t = load_template()
    figure = Figure()
    figure.leg("L", knee=90)
    figure.leg("R", flex=90)
    figure.arm("L", (0, 0, -1), elbow=90)
    figure.arm("R", (1, 0, 0))
    figure.head(turn=60)
    at = {name: figure.joints()[i] for name, i in INDEX.items()}
    assert at["foot.L"][1] - at["shin.L"][1] > 0.3  # the knee bends backwards
    assert at["shin.R"][1] - at["thigh.R"][1] < -0.35  # the hip bends forwards
    assert at["hand.L"][1] - at["forearm.L"][1] < -0.2  # the elbow bends forwards
    assert at["hand.R"][0] - at["upper_arm.R"][0] < -0.45
    assert abs(at["hand.R"][2] - at["upper_arm.R"][2]) < 0.1
    assert at["eye.L"][0] > t.joint_heads[INDEX["eye.L"]][0]  # the face turns to its left
    assert (figure.world("head") @ [0, -1, 0])[0] > 0.8


def test_fists_bring_finger_tips_to_the_palm():
    def reach(figure, side):
        at = figure.joints()
        palm = 0.5 * (at[INDEX[f"hand.{side}"]] + at[INDEX[f"middle1.{side}"]])
        return [
            np.linalg.norm(at[INDEX[f"{f}3.{side}"]] - palm) for f in ("index", "middle", "ring", "pinky")
        ]

    straight, fist = Figure(), Figure()
    for side in "LR":
        straight.fingers(side, 0.0)
        fist.fingers(side, 1.0)
        assert max(np.array(reach(fist, side)) / reach(straight, side)) < 0.65


def test_reach_puts_the_wrist_where_it_was_sent():
    for side, sign in (("L", 1), ("R", -1)):
        for target in ((0.2, -0.3, 1.2), (0.1, -0.25, 1.5), (0.4, -0.2, 1.6)):
            figure = Figure()
            figure.reach(side, target)
            wrist = figure.joints()[INDEX[f"hand.{side}"]]
            assert np.allclose(wrist, np.array(target) * [sign, 1, 1], atol=1e-4)


def test_mirroring_swaps_sides():
    figure = Figure.of(poses.random_pose(np.random.default_rng(3)))
    before = figure.joints()
    figure.mirror()
    after = figure.joints()
    assert np.allclose(after[INDEX["hand.L"]], before[INDEX["hand.R"]] * [-1, 1, 1], atol=1e-4)


def test_random_poses_stand_on_the_ground_and_seldom_cross_themselves(mean_person):
    rng = np.random.default_rng(0)
    taken = [poses.random_pose(rng) for _ in range(60)]
    assert np.mean([Figure.of(p).crosses_itself() for p in taken]) < 0.05
    spread = np.std([p.rotations for p in taken], axis=0)
    assert (spread[[INDEX[f"{n}.L"] for n in ("upper_arm", "forearm", "thigh", "shin")]].max(1) > 0.25).all()
    for pose in taken[:12]:
        lowest = pose_person(mean_person, pose.rotations, root=pose.root).points[:, 2].min()
        assert abs(lowest) < 0.06


def test_walk_is_periodic_and_swings_opposite_legs():
    assert np.allclose(poses.walk(0.0).rotations, poses.walk(1.0).rotations, atol=1e-6)
    stride = Figure.of(poses.walk(0.0)).joints()
    assert stride[INDEX["foot.L"]][1] < -0.15 < 0.15 < stride[INDEX["foot.R"]][1]
    assert stride[INDEX["hand.L"]][1] > stride[INDEX["hand.R"]][1]


def test_cameras_hold_what_they_frame(mean_person):
    rng = np.random.default_rng(1)
    for _ in range(30):
        pose = poses.random_pose(rng)
        transforms = pose_person(mean_person, pose.rotations, root=pose.root).transforms
        for make, region in ((cameras.body_camera, "body"), (cameras.head_camera, "head")):
            camera = make(rng, transforms, 96, 128)
            flat, depth = to_pixels(cameras.body_extent(transforms, region), camera.viewmat, camera.K)
            pixels = flat[:, :2] / depth[:, None]
            assert depth.min() > 0.1
            assert pixels.min() > -1e-6
            assert (pixels <= [96 + 1e-6, 128 + 1e-6]).all()


def test_body_pictures_show_the_body_whole(mean_person):
    """Nothing of a framed body touches the border of the picture, hands and feet included."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        pose = poses.random_pose(rng)
        posed = pose_person(mean_person, pose.rotations, root=pose.root)
        alpha = render_posed(mean_person, posed, cameras.body_camera(rng, posed.transforms, 96, 128)).rgba[
            ..., 3
        ]
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert (border > 0).mean() < 0.03


def test_irradiance_matches_integration():
    """Degree 2 suffices for matte surfaces: within a few per cent of the cosine integral (Ramamoorthi &
    Hanrahan).
    """
    sphere = lights._SPHERE
    radiance = 0.4 + lights.lobe(np.array([0.3, -0.8, 0.5]), 2.0)[:, None] * np.array([1.0, 0.7, 0.4])
    light = lights.Light(lights.project(radiance), np.array([0, 0, 1.0]), np.zeros(3))
    normals = sphere[::37].astype(np.float32)
    exact = np.maximum(normals @ sphere.T, 0) @ radiance * 4 / len(sphere)
    assert np.allclose(light.diffuse(normals), exact, rtol=0.04)


def test_a_white_upright_surface_shows_the_level():
    light = lights.neutral_light()
    around = np.stack([lights.direction(a, 0) for a in range(0, 360, 5)]).astype(np.float32)
    one, zero = np.ones(len(around), np.float32), np.zeros(len(around), np.float32)
    white = np.ones((len(around), 3), np.float32)
    shown = sum(shading.lit_colour(white, one, zero, around, around, one, one, light))
    assert shown.mean() == pytest.approx(0.80, abs=0.01)


def test_kernel_and_light_agree_on_a_matte_ball():
    rng = np.random.default_rng(2)
    light = dataclasses.replace(lights.random_light(rng), exposure=1.0)
    normals = lights._SPHERE[::16].astype(np.float32)
    one, zero = np.ones(len(normals), np.float32), np.zeros(len(normals), np.float32)
    albedo = np.full((len(normals), 3), 0.3, np.float32)
    colour = sum(shading.lit_colour(albedo, one, zero, normals, normals, one, one, light))
    facing = np.clip((normals @ light.key_direction + light.wrap) / (1 + light.wrap), 0, 1)[:, None]
    assert np.allclose(colour, 0.3 * (light.diffuse(normals) + facing * light.key), rtol=2e-3, atol=1e-4)


def test_cast_shadow_lies_behind_the_blocker():
    wall = np.array([[-2, 0, -2], [2, 0, -2], [2, 0, 2], [-2, 0, 2]], np.float32)
    blocker = wall * 0.1 + np.array([0, -0.5, 0], np.float32)
    points, faces = np.concatenate([wall, blocker]), np.concatenate([QUAD, QUAD + 4])
    x = np.linspace(-0.6, 0.6, 61, dtype=np.float32)
    spots = np.stack([x, np.zeros_like(x), np.zeros_like(x)], 1)
    normals = np.tile(np.array([0, -1, 0], np.float32), (61, 1))
    lit = key_visibility(spots, normals, points, faces, np.array([0, -1.0, 0]))
    assert lit[np.abs(x) < 0.17].max() < 0.05
    assert lit[np.abs(x) > 0.23].min() > 0.95


def test_srgb_tables_match_the_standard():
    value = np.linspace(0, 1, 1001)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    assert np.allclose(shading.srgb_to_linear(value), linear, atol=2e-4)
    low = np.linspace(0, 0.69, 500)
    exact = np.where(low <= 0.0031308, 12.92 * low, 1.055 * low ** (1 / 2.4) - 0.055) * 255
    assert np.abs(shading.linear_to_bytes(low) - exact).max() < 0.9
    assert (np.diff(shading.linear_to_bytes(np.linspace(0, 6, 999)).astype(int)) >= 0).all()


def test_extras_describe_the_same_surface(mean_person):
    camera = _camera(eye=(0, -3, 1), target=(0, 0, 0.9), focal=300)
    view = render_person(mean_person, np.zeros((58, 3)), camera, extras=True)
    inside = view.rgba[..., 3] == 255
    assert np.allclose(np.linalg.norm(view.normal[inside].astype(np.float32), axis=-1), 1, atol=0.01)
    assert set(np.unique(view.albedo[inside])) <= {127, 128}
    assert np.ptp(view.depth[inside]) < 0.6
    assert (view.rgba[view.rgba[..., 3] == 0] == 0).all()
    assert (view.template_map[view.rgba[..., 3] == 0] == 0).all()
    assert view.rgba[inside][:, :3].std() > 5  # lit, not flat


def test_empty_picture(mean_person):
    view = render_person(
        mean_person, np.zeros((58, 3)), _camera(eye=(0, -3, 1), target=(0, -9, 1)), extras=True
    )
    assert not view.rgba.any()


def test_random_expressions_are_weights_and_rivals_never_meet():
    rng = np.random.default_rng(0)
    drawn = np.stack([expressions.random_expression(rng) for _ in range(300)])
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    for a, b in (
        ("eyeBlinkLeft", "eyeWideLeft"),
        ("mouthSmileRight", "mouthFrownRight"),
        ("jawLeft", "jawRight"),
    ):
        assert not ((drawn[:, ARKIT_INDEX[a]] > 0) & (drawn[:, ARKIT_INDEX[b]] > 0)).any()
    assert ((drawn > 0).any(0)).sum() >= 40
    assert 0.15 < np.mean(drawn.max(1) == 0) < 0.35


def test_lids_follow_the_gaze():
    weights = expressions.with_gaze(np.zeros(52), np.radians([[20.0, -15], [20, -15]]))
    up = {name for name, i in ARKIT_INDEX.items() if weights[i] > 0}
    assert up == {"eyeLookOutLeft", "eyeLookInRight", "eyeLookDownLeft", "eyeLookDownRight"}
