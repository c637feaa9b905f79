# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars as ordinary meshes: where the vertices lie, what the texture shows, how the face moves."""

import io
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from avatar_fixtures import make_avatar, rest_signal
from lca_blender.backend.body.anchors import sample_anchors
from lca_blender.backend.body.arkit import ARKIT_INDEX, ARKIT_NAMES
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.body.template import EYEBALL, SKIN, load_template
from lca_blender.backend.quaternions import matrix_to_quaternion
from lca_blender.backend.raster import Camera, look_at, rasterize
from lca_blender.backend.raster.mesh_faces import rasterize_flat, rasterize_mesh
from lca_blender.backend.textured_mesh.atlas import load_atlas
from lca_blender.backend.textured_mesh.bake import bake, filled, seam_triangles
from lca_blender.backend.textured_mesh.geometry import fitted_vertices, footing, keep_behind_lips, resting
from lca_blender.backend.textured_mesh.make import strongest, textured_mesh, with_turning_eyes
from lca_blender.backend.textured_mesh.shapes import expression_shapes
from PIL import Image

TOKENS = 6000
SIZE = 512
RISE = 0.012  # metres


def waves(points):
    return 0.5 + 0.4 * np.sin(np.asarray(points) * (9, 11, 7) + (0, 1, 2))


@lru_cache(maxsize=1)
def smooth_avatar():
    """Flat splats in waves of colour, on the template blown up by RISE; no pose decoder."""
    anchors = sample_anchors(TOKENS)
    normals = anchors.frames[:, :, 2]
    flat = np.maximum(anchors.spacing[:, None] * 0.8, 1e-4) * (1, 1, 0.02)
    return make_avatar(
        tokens=TOKENS,
        per_token=1,
        pose_detail=0.0,
        means=anchors.positions + RISE * normals,
        offsets=RISE * normals,
        quats=matrix_to_quaternion(torch.from_numpy(anchors.frames)),
        scales=flat,
        opacities=np.full(TOKENS, 0.95),
        colors=waves(anchors.positions),
        header={"template": 2},
    )


@lru_cache(maxsize=1)
def made():
    return textured_mesh(smooth_avatar(), SIZE)


def texel(texture, uvs):
    column = np.clip(uvs[..., 0] * SIZE, 0, SIZE - 1).astype(int)
    row = np.clip((1 - uvs[..., 1]) * SIZE, 0, SIZE - 1).astype(int)
    return texture[row, column].astype(np.float32) / 255


def test_the_vertices_lie_where_the_gaussians_are():
    template, mesh = load_template(), made()
    rise = ((mesh.vertices - template.vertices) * template.normals).sum(1)
    skin = (template.part == SKIN) & (template.region("ears") == 0) & (template.region("lips") == 0)
    away = np.abs(rise - RISE)[skin]
    assert np.median(away) < 0.0045  # wide splats are seen up to 4 mm outside of their means
    assert np.percentile(away, 85) < 0.008  # 3,000 splats know little of fingers and toes
    assert mesh.vertices.dtype == np.float32


def test_one_gaussian_far_away_makes_no_spike():
    avatar = smooth_avatar()
    row = np.argmin(np.linalg.norm(avatar.means.numpy() - (0, -0.12, 1.2), axis=1))
    means, offsets = avatar.means.clone(), avatar.offsets.clone()
    means[row, 1] -= 0.3
    offsets[row, 1] -= 0.3
    astray = replace(avatar, means=means, offsets=offsets)
    moved = fitted_vertices(resting(astray), footing(astray)) - made().vertices
    assert np.abs(moved).max() < 0.02


def test_eyes_stay_spheres_and_keep_their_place_in_the_face():
    template, mesh = load_template(), made()
    for side in (1, -1):
        eye = (template.part == EYEBALL) & (side * template.vertices[:, 0] > 0)
        before, after = template.vertices[eye], mesh.vertices[eye]
        size = np.ptp(after, axis=0) / np.ptp(before, axis=0)
        assert size == pytest.approx(size.mean(), abs=1e-3)
        assert np.linalg.norm(after.mean(0) - before.mean(0)) < 2 * RISE


def test_the_inside_of_the_mouth_stays_behind_the_lips():
    template = load_template()
    vertices = template.vertices.astype(np.float64)
    untouched = vertices.copy()
    keep_behind_lips(vertices)
    assert np.array_equal(vertices, untouched)
    inside = template.part > EYEBALL
    vertices[inside, 1] -= 0.012
    through = vertices.copy()
    keep_behind_lips(vertices)
    assert (vertices != through).any(1).sum() > 20
    lips = untouched[template.region("lips") > 0.5, 1].min()
    middle = inside & (np.abs(vertices[:, 0]) < 0.01)
    assert vertices[middle, 1].min() > lips
    assert through[middle, 1].min() < lips


def test_the_texture_has_the_gaussians_colours_everywhere_on_the_skin():
    template, mesh = load_template(), made()
    middle, uv = template.vertices[template.faces].mean(1), mesh.uvs.mean(1)
    skin = (template.part[template.faces] == SKIN).all(1)
    away = np.abs(texel(mesh.texture, uv) - waves(middle)).max(1)[skin]
    assert np.median(away) < 0.03
    assert np.percentile(away, 95) < 0.12


@pytest.mark.parametrize(("azimuth", "least"), [(0, 25), (90, 22), (180, 25)])
def test_the_mesh_looks_like_the_splats(azimuth, least):
    """PSNR in dB on the pixels that both cover; from the side these wide splats mix arm and trunk."""
    mesh, angle, middle = made(), np.radians(azimuth), np.array([0, 0, 0.9])
    eye = middle + 4 * np.array([np.sin(angle), -np.cos(angle), 0])
    camera = Camera.from_fov(look_at(eye, middle), 0.5, 240, 320)
    splats = rasterize(resting(smooth_avatar()), camera)["combined"].numpy()
    corners = mesh.vertices[mesh.faces].reshape(-1, 3)
    faces = np.arange(len(corners)).reshape(-1, 3)
    seen = rasterize_mesh(corners, faces, camera.viewmat, camera.K, 240, 320)
    drawn = texel(mesh.texture, seen.interpolate(mesh.uvs.reshape(-1, 2), faces))
    both = (seen.face >= 0) & (splats[..., 3] > 0.9)
    assert both.sum() > 0.8 * (splats[..., 3] > 0.5).sum()
    assert -10 * np.log10(np.mean((drawn - splats[..., :3] / splats[..., 3:].clip(1e-3))[both] ** 2)) > least


def test_colours_go_on_across_seams():
    """Both sides of a seam show the same place, so the texture has the same colours there."""
    atlas, template = load_atlas(), load_template()
    seams = seam_triangles(atlas)
    assert len(seams) > 500
    faces = template.faces[seams]
    skin = (template.part[faces] == SKIN).all(1)
    colors = texel(made().texture, atlas.uvs[atlas.face_uvs[seams[skin]]])
    away = np.abs(colors - waves(template.vertices[faces[skin]])).max(-1)
    assert np.percentile(away, 90) < 0.15


def test_what_stands_in_front_hides_what_is_behind():
    avatar = smooth_avatar()
    means = avatar.means.numpy()
    chest = np.linalg.norm(means - (0, -0.14, 1.2), axis=1) < 0.05
    assert chest.sum() >= 5
    more = {
        name: torch.cat([getattr(avatar, name), getattr(avatar, name)[chest]])
        for name in (
            "means",
            "offsets",
            "quats",
            "scales",
            "opacities",
            "colors",
            "skin_indices",
            "skin_weights",
        )
    }
    added = int(chest.sum())
    for name in ("means", "offsets"):
        more[name][-added:, 1] -= 0.01
    more["colors"][-added:] = torch.tensor([1.0, 0, 0])
    token, slot = avatar.sources()
    rows = torch.arange(len(avatar), dtype=torch.int32)
    layered = replace(
        avatar,
        **more,
        token=torch.cat([token, token[chest]]),
        slot=torch.cat([slot, slot[chest]]),
        expression_rows=rows,
    )
    splats, feet = resting(layered), footing(layered)
    texture = bake(splats, feet, made().vertices.astype(np.float64), load_atlas(), SIZE)
    template = load_template()
    middle = template.vertices[template.faces].mean(1)
    at = np.argmin(np.linalg.norm(middle - means[chest].mean(0), axis=1))
    assert texel(texture, made().uvs[at].mean(0)) == pytest.approx((1, 0, 0), abs=0.12)


def test_the_charts_do_not_overlap():
    atlas = load_atlas()
    assert atlas.uvs.min() > 0
    assert atlas.uvs.max() < 1
    texels = atlas.uvs[atlas.face_uvs].astype(np.float64) * 2048
    edges = texels[:, 1:] - texels[:, :1]
    area = np.abs(np.linalg.det(edges)).sum() / 2
    corners = texels.reshape(-1, 2)
    faces = np.arange(len(corners)).reshape(-1, 3)
    drawn = (rasterize_flat(corners, np.zeros(len(corners)), faces, 2048, 2048).face >= 0).sum()
    assert drawn == pytest.approx(area, rel=2e-3)


def test_eyes_and_teeth_have_room_in_the_texture():
    atlas, template = load_atlas(), load_template()
    texels = atlas.uvs[atlas.face_uvs] * 4096
    area = np.abs(np.linalg.det((texels[:, 1:] - texels[:, :1]).astype(np.float64))) / 2
    part = template.part[template.faces].max(1)
    assert area[part == EYEBALL].sum() > 2 * 80_000
    assert area[part == 2].sum() > 50_000


def test_shapes_move_vertices_as_the_avatar_moves_its_gaussians():
    template = load_template()
    rows = np.flatnonzero(template.face_mask > 0.2)[::40]
    count = len(rows)
    avatar = make_avatar(
        tokens=count,
        per_token=1,
        pose_detail=0.0,
        means=template.vertices[rows],
        offsets=np.zeros((count, 3)),
        skin_indices=template.skin_indices[rows],
        skin_weights=template.skin_weights[rows],
        expression_basis=template.expression_deltas[:, rows],
        header={"template": 2},
    )
    shapes = expression_shapes(template.vertices, template.joint_heads, 2)
    rest = avatar.drive(rest_signal()).means
    for name in ("jawOpen", "jawLeft", "jawForward", "mouthSmileLeft", "eyeBlinkRight"):
        signal = rest_signal()
        signal.expression[ARKIT_INDEX[name]] = 1
        moved = (avatar.drive(signal).means - rest).numpy()
        assert np.abs(moved).max() > 0.002
        assert shapes[ARKIT_INDEX[name], rows] == pytest.approx(moved, abs=2e-4)


def test_eyes_turn_to_where_the_look_shapes_say():
    mesh, template = made(), load_template()
    turned = with_turning_eyes(mesh, smooth_avatar().joint_heads.numpy()).shapes - mesh.shapes
    used = {name for name in ARKIT_NAMES if turned[ARKIT_INDEX[name]].any()}
    assert used == {name for name in ARKIT_NAMES if name.startswith("eyeLook")}
    left = (template.part == EYEBALL) & (template.vertices[:, 0] > 0)
    front = left & (mesh.vertices[:, 1] < np.sort(mesh.vertices[left, 1])[8])
    for name, axis, sign in (("OutLeft", 0, 1), ("InLeft", 0, -1), ("UpLeft", 2, 1), ("DownLeft", 2, -1)):
        assert sign * turned[ARKIT_INDEX[f"eyeLook{name}"], front, axis].mean() > 0.004
        assert not turned[ARKIT_INDEX[f"eyeLook{name}"], template.skin_weights[:, 0] == 0].any()


def test_four_joints_a_vertex():
    weights = made().skin_weights
    assert weights.sum(1) == pytest.approx(1, abs=1e-5)
    assert (weights > 0).sum(1).max() <= 4
    assert weights[load_template().part == EYEBALL][:, [INDEX["eye.L"], INDEX["eye.R"]]].max(1).min() > 0.9
    assert strongest(np.full((1, 6), 0.25), 4) == pytest.approx(np.array([[0.25] * 4 + [0, 0]]))


def test_filling_keeps_what_is_known_and_continues_it():
    picture = np.zeros((64, 64, 4), np.float32)
    picture[5:20, 8:30] = (0.8, 0.4, 0.2, 1)
    picture[5:20, 40:50] = np.array((0.1, 0.2, 0.3, 1)) * 0.5  # half covered, premultiplied
    full = filled(picture)
    assert full[5:20, 8:30] == pytest.approx(np.broadcast_to((0.8, 0.4, 0.2), (15, 22, 3)), abs=1e-5)
    assert full[5:20, 40:50] == pytest.approx(np.broadcast_to((0.1, 0.2, 0.3), (15, 10, 3)), abs=1e-5)
    assert full[6:19, 7] == pytest.approx(np.broadcast_to((0.8, 0.4, 0.2), (13, 3)), abs=0.1)
    assert np.isfinite(full).all()
    assert full.min() >= 0.1 - 1e-4


def test_the_texture_as_a_file():
    image = Image.open(io.BytesIO(made().png()))
    assert np.array_equal(np.asarray(image), made().texture)
    assert made().texture.shape == (SIZE, SIZE, 3)
