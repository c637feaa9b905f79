# SPDX-License-Identifier: GPL-3.0-or-later
"""The interactive tier beside the slow reference, on spheres whose light is known."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from avatar_fixtures import make_avatar, make_signal
from lca_blender.backend.avatar import Avatar, AvatarFileError
from lca_blender.backend.lighting.environment import Environment, uniform_directions
from lca_blender.backend.lighting.lights import Area, Lights, Point, Spot, Sun
from lca_blender.backend.lighting.materials import CLOTH, GLOSS, SKIN
from lca_blender.backend.lighting.reference import reference_colors
from lca_blender.backend.lighting.shading import FINAL, INTERACTIVE, LitAvatar
from lca_blender.backend.lighting.surface import AvatarSurface
from lca_blender.backend.lighting.visibility import Proxy
from lca_blender.backend.raster import Camera, look_at
from lca_blender.backend.raster.mesh_depth import Mesh

EYE = np.array([0.0, -4.0, 0.0])
CAMERA = Camera.from_fov(look_at(EYE, (0, 0, 0)), 0.5, 64, 64)
GREY = 0.5
# The reference has no depth maps: where they are too coarse, at the edge of a shadow, both differ.
ALIKE = 0.03


def lit_spheres(centers, radius=0.3, count=6000, material=CLOTH):
    """Spheres covered with Gaussians."""
    normals = np.tile(uniform_directions(count), (len(centers), 1)).astype(np.float32)
    means = (np.repeat(centers, count, 0) + radius * normals).astype(np.float32)
    proxy = Proxy.of(means, normals, np.ones(len(means)), np.full(len(means), 0.03, np.float32))
    surface = SimpleNamespace(
        proxy=proxy,
        material=np.full(len(means), material, np.uint8),
        gloss=GLOSS,
    )
    return LitAvatar(surface, means, normals)


def colors(lit, lights):
    return lit.colors(np.full_like(lit.means, GREY), lights, CAMERA)


def reference(lit, lights, rows, occluder=None, samples=64, sky=64):
    some = lit.means[rows].astype(float), lit.normals[rows].astype(float)
    return reference_colors(
        *some, np.full((len(rows), 3), GREY), lit.surface.material[rows], lights, EYE, occluder, samples, sky
    )


def unit(*vector):
    return tuple((np.array(vector) / np.linalg.norm(vector)).tolist())


def sky(seed=1):
    """A smooth random map with one bright patch."""
    random = np.random.default_rng(seed)
    pixels = random.uniform(0.1, 1, (4, 8, 3)).repeat(8, 0).repeat(8, 1)
    pixels[6:10, 20:26] += 30
    turn = 0.7
    return Environment(
        pixels, [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    )


LAMPS = [
    Sun((3, 2, 1), unit(0.5, -1, 0.6)),
    Point((40, 40, 80), (1, -1.5, 1)),
    Spot((200, 200, 200), (0.5, -2, 1), unit(-0.5, 2, -1), 0.6, 0.3),
    Area((60, 60, 60), (-1, -1, 1), unit(1, 1, -1), ((0.1, -0.1, 0), (0.06, 0.06, 0.12))),
]


@pytest.mark.parametrize("material", [CLOTH, SKIN])
@pytest.mark.parametrize("lamp", LAMPS, ids=lambda lamp: type(lamp).__name__)
def test_lamps_on_a_sphere_are_those_of_the_reference(lamp, material):
    lit = lit_spheres([(0, 0, 0)], material=material)
    rows = np.flatnonzero(lit.normals[:, 1] < -0.3)[::7]
    found = colors(lit, Lights(lamps=(lamp,)))[rows]
    truth = reference(lit, Lights(lamps=(lamp,)), rows)
    assert np.abs(found - truth).mean() < ALIKE * truth.max()
    assert found.sum() == pytest.approx(truth.sum(), rel=0.03)


def test_an_environment_on_a_sphere_is_that_of_the_reference():
    lit = lit_spheres([(0, 0, 0)], material=SKIN)
    rows = np.flatnonzero(lit.normals[:, 1] < -0.3)[::11]
    lights = Lights((0.5, 0.6, 0.7), sky())
    found, truth = colors(lit, lights)[rows], reference(lit, lights, rows)
    assert found.sum(0) == pytest.approx(truth.sum(0), rel=0.04)
    assert np.abs(found - truth).mean() < 0.06 * truth.mean()


def test_an_even_world_makes_a_sphere_even():
    found = lit_spheres([(0, 0, 0)]).irradiance(Lights((0.2, 0.4, 0.6)))
    assert found == pytest.approx(np.tile([0.2, 0.4, 0.6], (len(found), 1)), rel=0.05)


def test_one_sphere_shadows_another():
    """The lower sphere stands in the upper one's shadow; irradiance beside it is a sun's."""
    lit = lit_spheres([(0, 0, 0), (0, 0, 1.5)])
    found = lit.irradiance(Lights(lamps=(Sun((math.pi,) * 3, unit(0, 0, 1)),)))[:, 0]
    lower = np.arange(len(found)) < len(found) // 2
    up = lit.normals[:, 2]
    assert found[~lower & (up > 0.3)] == pytest.approx(up[~lower & (up > 0.3)], abs=1e-5)
    middle = np.hypot(*lit.means[:, :2].T) < 0.25
    assert (found[lower & middle] > 0.02).mean() < 0.005
    assert not found[up < 0].any()


def test_an_environment_is_occluded_as_the_reference_says():
    lit = lit_spheres([(0, 0, 0), (0.65, 0, 0)], count=3000)
    mesh = icosphere((0.65, 0, 0), 0.3, 120)
    own = np.arange(len(lit.means)) < 3000
    rows = np.flatnonzero(own & (lit.normals[:, 1] < -0.1) & (lit.normals[:, 0] > 0))[::30]
    lights = Lights((1, 1, 1))
    found, truth = colors(lit, lights)[rows], reference(lit, lights, rows, mesh, sky=24)
    assert truth.min() < 0.75 * truth.max()
    assert np.abs(found - truth).mean() < 0.05 * truth.mean()


def test_final_frames_are_nearer_to_the_reference_where_spheres_touch():
    lit = lit_spheres([(0, 0, 0), (0.6, 0, 0)], count=3000)
    mesh = icosphere((0.6, 0, 0), 0.3, 200)
    rows = np.flatnonzero((lit.normals[:3000, 1] < -0.1) & (lit.normals[:3000, 0] > 0.5))[::9]
    lights = Lights((1, 1, 1), sky())
    truth = reference(lit, lights, rows, mesh, sky=24)
    albedo = np.full_like(lit.means, GREY)
    error = {}
    for quality in (INTERACTIVE, FINAL):
        found = lit.colors(albedo, lights, CAMERA, quality._replace(emitters=0))[rows]
        error[quality] = np.abs(found - truth).mean() / truth.mean()
    assert error[FINAL] < 0.05
    assert error[FINAL] < error[INTERACTIVE]


def test_other_meshes_cast_shadows():
    lit = lit_spheres([(0, 0, 0)])
    wall = np.array([[-2, -2, 1], [2, -2, 1], [2, 2, 1], [-2, 2, 1]], np.float32)
    lit.others.append(Mesh(wall, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.eye(4)))
    lamps = Sun((1, 1, 1), unit(0, 0, 1)), Point((9, 9, 9), (0, 0, 2))
    for lamp in lamps:
        assert not lit.irradiance(Lights(lamps=(lamp,))).any()


def test_a_large_lamp_has_a_soft_shadow():
    lamp = Area((100,) * 3, (0, 0, 2.5), unit(0, 0, -1), ((1, 0, 0), (0, 1, 0)))
    found = {}
    for samples in (1, 16):
        lit = lit_spheres([(0, 0, 0), (0, 0, 0.9)])
        level = lit.irradiance(Lights(lamps=(lamp,)), INTERACTIVE._replace(samples=samples))[:6000, 0]
        found[samples] = level[lit.normals[:6000, 2] > 0.6]
    half_lit = [((v > 0.1 * v.max()) & (v < 0.6 * v.max())).mean() for v in found.values()]
    assert half_lit[1] > 1.5 * half_lit[0]


def test_light_bounces_from_a_red_sphere_onto_a_white_one():
    """Beside each other in the sun, the white one is red where it faces the other, and white where it faces
    away; no energy is made."""
    lit = lit_spheres([(-0.31, 0, 0), (0.31, 0, 0)], count=3000)
    lights = Lights(lamps=(Sun((3, 3, 3), unit(0, -1, 0)),))
    albedo = np.ones((6000, 3), np.float32)
    albedo[3000:] = (0.8, 0.05, 0.05)
    none, bounce = (INTERACTIVE._replace(emitters=emitters) for emitters in (0, 384))
    without = lit.shaded(lights, CAMERA, none, albedo).matte
    extra = lit.shaded(lights, CAMERA, bounce, albedo).matte - without
    white = np.arange(6000) < 3000
    facing = white & (lit.normals[:, 0] > 0.7) & (lit.normals[:, 1] < 0)
    assert extra[facing, 0].mean() > 3 * extra[facing, 1].mean()
    assert extra[facing, 0].mean() > 0.01
    away = white & (lit.normals[:, 0] < -0.5)
    assert extra[away].max() < 0.02
    assert extra.min() > -1e-6
    assert extra.sum() < 0.3 * without.sum()


def test_a_lamp_inside_the_body_lights_nothing_and_harms_nothing():
    lit = lit_spheres([(0, 0, 0)])
    found = colors(lit, Lights(lamps=(Point((5, 5, 5), (0, 0, 0)),)))
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 0.01


def test_no_light_is_black():
    assert not colors(lit_spheres([(0, 0, 0)]), Lights()).any()


def test_light_adds_up_and_nothing_stale_is_kept():
    lit = lit_spheres([(0, 0, 0)])
    first, second = (Lights(lamps=(lamp,)) for lamp in LAMPS[:2])
    both = Lights(lamps=tuple(LAMPS[:2]))
    alone = colors(lit, first), colors(lit, second)
    assert colors(lit, both) == pytest.approx(alone[0] + alone[1], abs=1e-5)
    brighter = Lights(lamps=(replace(LAMPS[0], color=(6, 4, 2)),))
    assert colors(lit, brighter) == pytest.approx(2 * alone[0], abs=1e-5)
    fresh = lit_spheres([(0, 0, 0)])
    assert np.array_equal(colors(fresh, second), alone[1])


def icosphere(center, radius, count):
    from scipy.spatial import ConvexHull

    points = uniform_directions(count)
    triangles = ConvexHull(points).simplices.astype(np.int32)
    return Mesh((points * radius + center).astype(np.float32), triangles, np.eye(4))


def test_normals_turn_with_the_joints():
    avatar = make_avatar()
    surface, signal = AvatarSurface.of(avatar), make_signal()
    world = torch.tensor(np.diag([1, 2.0, 1, 1]), dtype=torch.float32)
    found = surface.posed_normals(avatar.joints(signal, world).numpy())
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    whole = torch.eye(4).repeat(len(avatar.joint_names), 1, 1)
    whole[:, :3, :3] = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = surface.posed_normals(whole.numpy())
    x, y, z = surface.normals.T
    assert turned == pytest.approx(np.stack([-y, x, z], 1), abs=1e-5)


def with_light(avatar, **changes):
    count = len(avatar)
    normals = torch.nn.functional.normalize(torch.ones(count, 3), dim=1)
    material = torch.zeros(count, dtype=torch.uint8)
    return replace(
        avatar, **{"albedo": avatar.colors.clone(), "normals": normals, "material": material, **changes}
    )


def test_albedo_normals_and_materials_are_kept_in_the_file(tmp_path):
    avatar = make_avatar()
    made = with_light(avatar)
    made.save(tmp_path / "a.lca")
    again = Avatar.load(tmp_path / "a.lca")
    assert again.hash == made.hash != avatar.hash
    assert torch.equal(again.normals, made.normals)
    assert not AvatarSurface.of(again).without_albedo
    signal = make_signal()
    assert torch.equal(again.drive(signal).colors, avatar.drive(signal).colors)


def test_files_without_albedo_open_as_they_were(tmp_path):
    avatar = make_avatar()
    avatar.save(tmp_path / "a.lca")
    surface = AvatarSurface.of(Avatar.load(tmp_path / "a.lca"))
    posed = avatar.drive(make_signal())
    assert surface.without_albedo
    assert torch.equal(surface.albedo(posed), posed.colors)


@pytest.mark.parametrize(
    ("name", "value"),
    [("normals", 0.0), ("normals", float("nan")), ("albedo", float("inf")), ("material", 6)],
)
def test_impossible_surfaces_are_refused(tmp_path, name, value):
    made = with_light(make_avatar())
    getattr(made, name)[5] = value
    with pytest.raises(AvatarFileError, match=name):
        made.save(tmp_path / "a.lca")


def test_the_albedo_changes_with_the_pose_as_colours_do():
    avatar = make_avatar()
    half = with_light(avatar, albedo=avatar.colors.float() / 2)
    posed = half.drive(make_signal())
    moved = (posed.colors - avatar.colors.float() + avatar.colors.float() / 2).clamp(0, 1)
    assert AvatarSurface.of(half).albedo(posed).numpy() == pytest.approx(moved.numpy(), abs=2e-3)
