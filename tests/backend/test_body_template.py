# SPDX-License-Identifier: GPL-3.0-or-later
"""The template as data: proportions, symmetry, weights, shapes."""

import json

import numpy as np
import pytest
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES, joint_parents, mirror_joints
from lca_blender.backend.body.template import (
    PATH,
    VERSION,
    load_template,
    pack_sparse,
    read_template,
    unpack_sparse,
)
from lca_blender.backend.errors import UserError
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
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


@pytest.fixture(scope="module")
def people():
    """Random people: sex and age (0 man, 1 woman; 2/3 is twenty-five years), and coefficients of the body's
    shapes."""
    data = load_file(PATH.with_name("phenotypes.safetensors"))
    return data["phenotypes"][:, 0], data["phenotypes"][:, 1], data["coefficients"]


def of_sex(template, people, sign):
    """The mean man (-1) or woman (+1) from 22 to 45 years: vertices and joint heads in cm."""
    sex, age, coefficients = people
    rows = (np.abs(age - 0.675) < 0.075) & (sex * sign > (0.8 if sign > 0 else -0.2))
    assert rows.sum() > 50
    beta = coefficients[rows].mean(0)
    moved = np.tensordot(beta, template.shape_deltas[: len(beta)], 1)
    joints = np.tensordot(beta, template.shape_joint_deltas[: len(beta)], 1)
    return 100 * (template.vertices + moved), 100 * (template.joint_heads + joints)


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


def measure(template, people, sign):
    v, heads = of_sex(template, people, sign)
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
def test_proportions_of_the_mean_man_and_woman(template, people, sign):
    measured = measure(template, people, sign)
    wrong = {}
    for name, values in ANSUR.items():
        ratio = measured[name] / values[(sign + 1) // 2]
        if not 0.86 < ratio < 1.06:
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
    assert 1.6 < template.vertices[:, 2].max() < 1.8
    assert abs(template.vertices[:, 2].min()) < 0.003
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
    assert 5_000 < head.sum() < 9_000
    assert (template.uvs >= 0).all()
    assert (template.uvs <= 1).all()
    assert template.face_uvs.shape == template.faces.shape
    assert template.face_uvs.max() < len(template.uvs)


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
        assert weights[x * sign < -0.011][:, limbs].sum(1).max() < 0.01
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
    assert np.abs(template.vertices[m] * flip - template.vertices).max() == 0
    assert np.abs(template.joint_heads[mirror_joints()] * flip - template.joint_heads).max() < 1e-3
    weights = dense(template)
    assert np.abs(weights[m][:, mirror_joints()] - weights).max() < 0.015  # ties for the eighth place
    for name in ("eyeBlink", "mouthSmile", "browDown", "mouthUpperUp", "cheekSquint", "noseSneer"):
        left, right = (
            template.expression_deltas[ARKIT_NAMES.index(name + side)] for side in ("Left", "Right")
        )
        assert np.abs(left[m] * flip - right).max() < 2e-5, name


def test_every_shape_does_something_and_has_unit_variance(template, people):
    assert len(set(template.shape_names)) == len(template.shape_names)
    for name, delta in zip(template.shape_names, template.shape_deltas, strict=True):
        largest = np.linalg.norm(delta, axis=1).max()
        # the first is growing up
        assert 3e-4 < largest < (0.3 if name == "body01" else 0.03), (name, largest)
    coefficients = people[2]
    assert [name for name in template.shape_names if name.startswith("body")] == list(
        template.shape_names[: coefficients.shape[1]]
    )
    assert np.allclose((coefficients**2).mean(0), 1, atol=1e-3)
    # uncorrelated but for the mean, which is that of the adults alone
    assert np.allclose(coefficients.T @ coefficients / len(coefficients), np.eye(24), atol=2e-3)


def test_children_are_small_and_adults_are_not(template, people):
    _, age, coefficients = people
    top = template.vertices[:, 2].argmax()
    k = coefficients.shape[1]
    stature = template.vertices[top, 2] + coefficients @ template.shape_deltas[:k, top, 2]
    low, high = np.percentile(stature[age > 0.56], (1, 99))
    assert low > 1.3
    assert high < 2.1
    assert 1.5 < np.median(stature[age > 0.56]) < 1.8
    assert stature[age < 0.25].max() < 1.45


def test_regions_are_where_they_belong(template):
    q = template.head_local(template.vertices)
    box = {  # centimetres about the head, left half: lowest and highest x, y, z
        "ears": ((6, -6, -4), (9.5, 1.5, 1.5)), "eyelids": ((1.2, -2, 6), (5.5, 1.5, 9.5)),
        "face": ((0, -13, 0), (8, 10, 13)), "lips": ((0, -9, 8), (3, -6, 11.5)),
    }  # fmt: skip
    inside = q * (np.sign(q[:, :1]) * (1, 0, 0) + (0, 1, 1))
    for name, (low, high) in box.items():
        rows = template.region(name) > 0.5
        assert rows.sum() > 100, name
        assert ((inside[rows] >= low) & (inside[rows] < high)).all(), name
    for name, joints in (
        ("fingernails", ("thumb3", "index3", "middle3", "ring3", "pinky3")),
        ("toenails", ("toe",)),
    ):
        rows = template.region(name) > 0.5
        tips = np.array([template.joint_tails[INDEX[f"{j}.{side}"]] for j in joints for side in "LR"])
        assert rows.sum() > 20
        away = np.linalg.norm(template.vertices[rows, None] - tips, axis=2).min(1)
        assert away.max() < (0.025 if name == "fingernails" else 0.07), name
        assert (template.part[rows] == 0).all()


def test_texture_is_continuous_within_a_triangle(template):
    """No triangle reaches across the map, and none but those at seams lies on its back."""
    skin = (template.part[template.faces] == 0).all(1)
    corners = template.uvs[template.face_uvs[skin]]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert sides.max() < 0.08
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    assert (area < 0).mean() < 0.002


def test_joints_lie_inside_the_body(template):
    """The winding number of the closed skin (Jacobson et al. 2013) about each joint of the skeleton."""
    faces = template.faces[
        (template.part[template.faces] != 1).all(1) & (template.part[template.faces] != 2).all(1)
    ]
    for name, head in zip(template.joint_names, template.joint_heads, strict=True):
        a, b, c = (template.vertices[faces[:, k]].astype(np.float64) - head for k in range(3))
        la, lb, lc = (np.linalg.norm(u, axis=1) for u in (a, b, c))
        volume = (a * np.cross(b, c)).sum(1)
        below = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        winding = np.arctan2(volume, below).sum() / (2 * np.pi)
        if not name.startswith("eye"):
            assert winding > 0.5, name


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
        with pytest.raises(UserError, match="missing or damaged"):
            read_template(path)


@pytest.fixture(scope="module")
def contents():
    with safe_open(str(PATH), "numpy") as file:
        return load_file(PATH), json.loads(file.metadata()["template"])


def without(name):
    return lambda tensors, header: (tensors.pop(name, None), header.pop(name, None))


def changed(name, change):
    return lambda tensors, header: tensors.update({name: np.ascontiguousarray(change(tensors[name]))})


@pytest.mark.parametrize(
    "damage",
    [
        without("uvs"),
        without("expression_rows"),
        without("region_names"),
        changed("vertices", lambda v: v[:-1]),
        changed("vertices", lambda v: np.where(v > 1.5, np.nan, v)),
        changed("faces", lambda f: f + 1),
        changed("faces", lambda f: f.astype(np.float32)),
        changed("face_uvs", lambda f: f[:, :2]),
        changed("skin_indices", lambda i: i + 50),
        changed("skin_weights", lambda w: w * 0),
        changed("expression_rows", lambda r: r + 10**6),
        changed("expression_offsets", lambda o: o[:-1]),
        changed("shape_offsets", lambda o: o[::-1]),
        changed("shape_joint_deltas", lambda d: d[:, :-1]),
        changed("anchor_triangles", lambda a: a - 10**6),
        changed("joint_parents", lambda p: p[::-1]),
        lambda tensors, header: header.update(head_scale="wide"),
        lambda tensors, header: tensors.update(surplus=np.zeros(3, np.float32)),
    ],
)
def test_a_file_with_wrong_contents_is_one_clear_sentence(tmp_path, contents, damage):
    tensors, header = dict(contents[0]), dict(contents[1])
    damage(tensors, header)
    save_file(tensors, tmp_path / "template.safetensors", {"template": json.dumps(header)})
    with pytest.raises(UserError, match="missing or damaged"):
        read_template(tmp_path / "template.safetensors")


def test_a_file_of_another_version_is_one_clear_sentence(tmp_path, contents):
    header = contents[1] | {"version": VERSION + 1}
    save_file(contents[0], tmp_path / "template.safetensors", {"template": json.dumps(header)})
    with pytest.raises(UserError, match="another version"):
        read_template(tmp_path / "template.safetensors")


def test_the_template_cannot_be_changed_by_accident(template):
    with pytest.raises(ValueError, match="read-only"):
        template.vertices[0] = 0
