# SPDX-License-Identifier: GPL-3.0-or-later
"""The built-in body: a mesh with skeleton, weights, expressions and shapes, read from one safetensors
file."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..tensor_file import REINSTALL, TensorFile
from .template_check import check

PATH = Path(__file__).resolve().parent / "data" / "template.safetensors"
VERSION = 2
SKIN, EYEBALL, TEETH, MOUTH = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class Template:
    """A body in its canonical pose: arms 45 degrees below the horizontal, mouth closed, metres, Z up, facing
    -Y.

    `joint_parents` is -1 at the root. Rows of `skin_weights` sum to 1. A person is vertices + sum_s beta_s
    shape_deltas[s], with joints moved by shape_joint_deltas alike; beta is in standard deviations.
    `head_centre` (between the pupils' level and mid-head) and `head_scale` define the head-local centimetres
    in which the face was modelled: see `head_local`.
    """

    vertices: np.ndarray  # [Nv, 3]
    faces: np.ndarray  # [Nf, 3] int32
    uvs: np.ndarray  # [Nuv, 2] texture coordinates, MakeHuman's
    face_uvs: np.ndarray  # [Nf, 3] int32: the texture coordinate of every corner
    normals: np.ndarray  # [Nv, 3]
    part: np.ndarray  # [Nv] uint8: 0 skin, 1 eyeball, 2 teeth, 3 inside of the mouth
    joint_names: tuple
    joint_parents: np.ndarray  # [J] int32
    joint_heads: np.ndarray  # [J, 3]
    joint_tails: np.ndarray  # [J, 3]
    skin_indices: np.ndarray  # [Nv, 8] int16
    skin_weights: np.ndarray  # [Nv, 8]
    face_mask: np.ndarray  # [Nv] in 0..1
    region_names: tuple
    regions: np.ndarray  # [R, Nv] in 0..1: ears, eyelids, face, lips, fingernails, toenails
    expression_names: tuple
    expression_deltas: np.ndarray  # [52, Nv, 3]
    shape_names: tuple
    shape_deltas: np.ndarray  # [S, Nv, 3]
    shape_joint_deltas: np.ndarray  # [S, J, 3]
    mirror: np.ndarray  # [Nv] int32: every vertex's image under x -> -x
    anchor_triangles: np.ndarray  # [2, A] int32: farthest-point order of the face, then of the body
    anchor_weights: np.ndarray  # [2, A, 3]: barycentric
    head_centre: np.ndarray  # [3]
    head_scale: float

    def head_local(self, points):
        """Canonical metres [..., 3] -> head-local centimetres: x left, y up from the pupils, z forward from
        mid-head."""
        q = (np.asarray(points) - self.head_centre) * (100 / self.head_scale)
        return np.stack([q[..., 0], q[..., 2], -q[..., 1]], -1)

    def region(self, name):
        """[Nv] in 0..1: how much a vertex belongs to a named region of the skin."""
        return self.regions[self.region_names.index(name)]


def pack_sparse(deltas, floor=2e-6):
    """[S, n, 3] -> (offsets [S+1] int32, rows int32, values [.., 3] float16); rows shorter than `floor`
    metres are left out."""
    rows, values, offsets = [], [], [0]
    for delta in deltas:
        kept = np.flatnonzero(np.abs(delta).max(1) > floor)
        rows.append(kept)
        values.append(delta[kept])
        offsets.append(offsets[-1] + len(kept))
    return (
        np.array(offsets, np.int32),
        np.concatenate(rows).astype(np.int32),
        np.concatenate(values).astype(np.float16),
    )


def unpack_sparse(offsets, rows, values, count):
    """The inverse of `pack_sparse`: float32 [S, count, 3]."""
    out = np.zeros((len(offsets) - 1, count, 3), np.float32)
    for s in range(len(out)):
        part = slice(offsets[s], offsets[s + 1])
        out[s, rows[part]] = values[part]
    return out


def read_template(path=PATH):
    """Reads a template file; one that is missing, damaged or of another version is a `UserError`."""
    file = TensorFile(path, "built-in body", REINSTALL)
    header, t = file.header("template"), file.arrays()
    if header.get("version") != VERSION:
        raise file.wrong("The built-in body is of another version.")
    try:
        check(t, header)
    except (KeyError, TypeError, ValueError) as error:
        raise file.wrong(f"{file.path.name} is damaged: {error}.") from error
    count = len(t["vertices"])
    sparse = {
        f"{kind}_deltas": unpack_sparse(
            *(t.pop(f"{kind}_{part}") for part in ("offsets", "rows", "values")), count
        )
        for kind in ("expression", "shape")
    }
    t["skin_weights"] = t["skin_weights"].astype(np.float32)
    t["skin_weights"] /= t["skin_weights"].sum(1, keepdims=True)
    for name in ("face_mask", "regions"):
        t[name] = t[name].astype(np.float32)
    template = Template(
        **t,
        **sparse,
        joint_names=tuple(header["joint_names"]),
        expression_names=tuple(header["expression_names"]),
        shape_names=tuple(header["shape_names"]),
        region_names=tuple(header["region_names"]),
        head_scale=float(header["head_scale"]),
    )
    for value in vars(template).values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return template


@lru_cache(maxsize=1)
def load_template():
    """The built-in `Template`, read once."""
    return read_template()
