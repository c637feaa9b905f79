# SPDX-License-Identifier: GPL-3.0-or-later
"""The template as data: proportions, symmetry, weights, shapes."""

import numpy as np
import pytest
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES, joint_parents, mirror_joints
from lca_blender.backend.body.template import load_template, pack_sparse, read_template, unpack_sparse
from lca_blender.backend.errors import UserError
from scipy.spatial import ConvexHull

# Means in cm of the 1988 survey of US Army personnel (Gordon et al. 1989, NATICK/TR-89/044): man, woman.
ANSUR = {
    "stature": (175.6, 162.9), "chest": (99.1, 90.7), "waist": (84.0, 76.0), "hip": (98.4, 96.7),
    "thigh": (59.7, 58.0), "calf": (37.8, 35.3), "ankle": (22.2, 20.7), "wrist": (17.4, 15.2),
    "neck": (38.0, 31.6), "head": (56.8, 54.6), "head_breadth": (15.2, 14.4), "head_length": (19.7, 18.7),
    "foot": (27.0, 24.4), "hand": (19.4, 18.1), "biceps": (30.5, 26.5),
}  # fmt: skip


@pytest.fixture(scope="module")
def template():
    return load_template()


def of_sex(template, sign):
    """The mean man (-1) or woman (+1): vertices and joint heads in cm."""
    s = template.shape_names.index("sex")
    vertices = template.vertices + sign * template.shape_deltas[s]
    return 100 * vertices, 100 * (template.joint_heads + sign * template.shape_joint_deltas[s])


def section(vertices, faces, point, normal, keep):
    """Where the triangles kept by `keep(centroids)` cross a plane, in the plane's own two coordinates."""
    faces = faces[keep(vertices[faces].mean(1))]
    height = (vertices - point) @ normal
    out = []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        a, b = faces[:, i], faces[:, j]
        cut = height[a] * height[b] < 0
        t = height[a[cut]] / (height[a[cut]] - height[b[cut]])
        out.append(vertices[a[cut]] + t[:, None] * (vertices[b[cut]] - vertices[a[cut]]))
    across = np.linalg.svd(normal[None])[2][1:]
    return np.concatenate(out) @ across.T


def tape(points):
    """Length of a tape pulled tight round the points."""
    return ConvexHull(points).area


def measure(template, sign):
    v, heads = of_sex(template, sign)
    skin = template.faces[(template.part[template.faces] == 0).all(1)]
    at = {name: heads[INDEX[name]] for name in JOINT_NAMES}
    up, k = np.array([0, 0, 1.0]), v[:, 2].max() / 175
    arm_x = at["upper_arm.L"][0]

    def girth(z, keep):
        return tape(section(v, skin, np.array([0, 0, z]), up, keep))

    def torso(c):
        # left of the arm's plane, which leans 45 degrees outwards
        return np.abs(c[:, 0]) < arm_x + np.clip(at["upper_arm.L"][2] - c[:, 2] - 14, 0, 6)

    def left(c):
        return (c[:, 0] > 0) & (c[:, 0] < 24)

    def across(a, b, t):
        axis = (at[b] - at[a]) / np.linalg.norm(at[b] - at[a])
        centre = at[a] + t * (at[b] - at[a])
        return tape(section(v, skin, centre, axis, lambda c: np.linalg.norm(c - centre, axis=1) < 11))

    head = v[template.head_local(template.vertices)[:, 1] > -9]
    above = head[head[:, 2] > at["eye.L"][2]]
    q = 0.5 * (at["eye.L"] + at["eye.R"])
    ears = np.abs(v[:, 0]) < 9
    skull = ears & (v[:, 2] > q[2] + 3)
    fingers = (v[template.skin_indices[:, 0] == INDEX["middle3.L"]] - at["hand.L"]) @ (
        (at["middle1.L"] - at["hand.L"]) / np.linalg.norm(at["middle1.L"] - at["hand.L"])
    )
    soles = v[v[:, 2] < 6 * k]
    return {
        "stature": v[:, 2].max(),
        "chest": girth(129 * k, torso) if sign < 0 else girth(126.5 * k, torso),
        "waist": min(girth(z * k, torso) for z in (106, 108, 110, 112)),
        "hip": max(girth(z * k, lambda c: np.abs(c[:, 0]) < 25) for z in (86, 88, 90)),
        "thigh": girth(77 * k, left), "calf": girth(34 * k, left), "ankle": girth(13 * k, left),
        "wrist": across("forearm_twist.L", "hand.L", 0.86),
        "biceps": across("upper_arm.L", "forearm.L", 0.55),
        "neck": across("neck1", "neck2", 0.4),
        "head": girth(q[2] + 3.2, lambda c: np.abs(c[:, 0]) < 9),
        "head_breadth": np.ptp(v[skull][:, 0]), "head_length": np.ptp(above[:, 1]),
        "foot": np.ptp(soles[soles[:, 0] > 0][:, 1]), "hand": fingers.max(),
    }  # fmt: skip


@pytest.mark.parametrize("sign", [-1, 1])
def test_proportions_of_the_mean_man_and_woman(template, sign):
    measured = measure(template, sign)
    wrong = {}
    for name, values in ANSUR.items():
        ratio = measured[name] / values[(sign + 1) // 2]
        if not 0.92 < ratio < 1.08:
            wrong[name] = round(float(measured[name]), 1)
    assert not wrong


def test_volume_is_that_of_a_slim_adult(template):
    a, b, c = (
        template.vertices[template.faces[(template.part[template.faces] == 0).all(1)][:, i]] for i in range(3)
    )
    litres = 1000 * (a * np.cross(b, c)).sum() / 6
    assert 55 < litres < 75


def test_size_and_layout(template):
    count = len(template.vertices)
    assert 18_000 < count < 30_000
    assert template.faces.dtype == np.int32
    assert template.faces.min() == 0
    assert template.faces.max() == count - 1
    assert template.joint_names == JOINT_NAMES
    assert len(JOINT_NAMES) == 58
    assert template.expression_names == ARKIT_NAMES
    assert template.expression_deltas.shape == (52, count, 3)
    assert set(np.unique(template.part)) == {0, 1, 2, 3}
    for name, value in vars(template).items():
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), name
    head = template.head_local(template.vertices)[:, 1] > -12
    assert 9_000 < head.sum() < 16_000


def test_triangles_face_outwards_and_none_is_flat(template):
    corners = template.vertices[template.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert (area > 1e-9).mean() > 0.9999
    assert np.allclose(np.linalg.norm(template.normals, axis=1), 1, atol=1e-3)
    belly = np.flatnonzero(
        (np.abs(template.vertices[:, 0]) < 0.05) & (np.abs(template.vertices[:, 2] - 1.1) < 0.05)
    )
    front = belly[template.vertices[belly, 1] < -0.05]
    assert (template.normals[front, 1] < -0.5).all()


def test_parents_come_first(template):
    parents = joint_parents()
    assert parents[0] == -1
    assert (parents[1:] < np.arange(1, 58)).all()
    assert (parents[1:] >= 0).all()
    assert JOINT_NAMES[parents[INDEX["thumb1.R"]]] == "hand.R"


def dense(template):
    out = np.zeros((len(template.vertices), 58), np.float32)
    np.add.at(out, (np.arange(len(out))[:, None], template.skin_indices.astype(int)), template.skin_weights)
    return out


def test_weights_sum_to_one(template):
    assert np.allclose(template.skin_weights.sum(1), 1, atol=1e-5)
    assert template.skin_weights.min() >= 0
    assert template.skin_indices.min() >= 0
    assert template.skin_indices.max() < 58


def test_no_bone_reaches_the_other_side(template):
    weights, x = dense(template), template.vertices[:, 0]
    for side, sign in (("L", 1), ("R", -1)):
        limbs = [i for i, n in enumerate(JOINT_NAMES) if n.endswith(side) and n.split(".")[0] != "thigh"]
        assert weights[x * sign < -0.011][:, limbs].sum(1).max() < 1e-3
    fingers = {f: [INDEX[f"{f}{i}.L"] for i in (2, 3)] for f in ("index", "middle", "ring", "pinky")}
    for finger, own in fingers.items():
        others = [j for f, bones in fingers.items() if f != finger for j in bones]
        tips = weights[:, own[1]] > 0.6
        assert tips.sum() > 10
        assert weights[tips][:, others].max() < 0.01


def test_mirror_symmetry(template):
    m = template.mirror
    flip = np.array([-1, 1, 1])
    assert (m[m] == np.arange(len(m))).all()
    assert np.abs(template.vertices[m] * flip - template.vertices).max() < 1e-5
    weights = dense(template)
    assert np.abs(weights[m][:, mirror_joints()] - weights).max() < 0.015  # ties for the eighth place
    for name in ("eyeBlink", "mouthSmile", "browDown", "mouthUpperUp", "cheekSquint", "noseSneer"):
        left, right = (
            template.expression_deltas[ARKIT_NAMES.index(name + side)] for side in ("Left", "Right")
        )
        assert np.abs(left[m] * flip - right).max() < 2e-5, name


def test_every_shape_does_something_and_sigma_is_modest(template):
    assert len(set(template.shape_names)) == len(template.shape_names)
    for name, delta in zip(template.shape_names, template.shape_deltas, strict=True):
        largest = np.linalg.norm(delta, axis=1).max()
        assert 4e-4 < largest < 0.08, (name, largest)
    height = template.shape_names.index("height")
    growth = template.shape_deltas[height][template.vertices[:, 2].argmax(), 2]
    assert 0.055 < growth < 0.075
    head = template.shape_joint_deltas[height][INDEX["head"], 2]
    assert 0.05 < head < growth


def test_random_people_keep_their_triangles(template):
    rng = np.random.default_rng(0)
    corners = template.faces
    for _ in range(5):
        beta = np.clip(rng.normal(size=len(template.shape_names)), -2, 2)
        v = template.vertices + np.einsum("s,snc->nc", beta, template.shape_deltas)
        before, after = (
            np.cross(u[corners[:, 1]] - u[corners[:, 0]], u[corners[:, 2]] - u[corners[:, 0]])
            for u in (template.vertices, v)
        )
        flipped = (before * after).sum(1) < 0
        assert flipped.mean() < 0.004
        assert v[:, 2].min() > -0.03


def test_sparse_round_trip():
    rng = np.random.default_rng(1)
    deltas = np.zeros((3, 50, 3), np.float32)
    deltas[0, 7:9], deltas[2, ::5] = rng.normal(size=(2, 3)) * 0.01, rng.normal(size=(10, 3)) * 0.01
    assert np.allclose(unpack_sparse(*pack_sparse(deltas), 50), deltas, atol=2e-5)


def test_a_damaged_file_is_one_clear_sentence(tmp_path):
    broken = tmp_path / "template.safetensors"
    broken.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00not json")
    for path in (broken, tmp_path / "absent.safetensors"):
        with pytest.raises(UserError, match=r"no built-in body.*Install the extension again"):
            read_template(path)


def test_the_template_cannot_be_changed_by_accident(template):
    with pytest.raises(ValueError, match="read-only"):
        template.vertices[0] = 0
