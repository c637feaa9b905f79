# SPDX-License-Identifier: GPL-3.0-or-later
"""What a template file must hold to be read without harm."""

import numpy as np

# name -> type, axes. n vertices, f triangles, u texture coordinates, j joints, w weights a vertex, r regions,
# e expressions, s shapes, a anchors; x and y rows of the sparse tables, p and q their offsets
TENSORS = {
    "vertices": ("float32", "n3"), "faces": ("int32", "f3"), "normals": ("float32", "n3"),
    "uvs": ("float32", "u2"), "face_uvs": ("int32", "f3"), "part": ("uint8", "n"),
    "regions": ("float16", "rn"), "joint_parents": ("int32", "j"), "joint_heads": ("float32", "j3"),
    "joint_tails": ("float32", "j3"), "skin_indices": ("int16", "nw"), "skin_weights": ("float16", "nw"),
    "face_mask": ("float16", "n"), "shape_joint_deltas": ("float32", "sj3"), "mirror": ("int32", "n"),
    "anchor_triangles": ("int32", "2a"), "anchor_weights": ("float32", "2a3"),
    "head_centre": ("float32", "3"), "expression_offsets": ("int32", "p"),
    "expression_rows": ("int32", "x"), "expression_values": ("float16", "x3"),
    "shape_offsets": ("int32", "q"), "shape_rows": ("int32", "y"), "shape_values": ("float16", "y3"),
}  # fmt: skip
INDICES = {  # name -> the axis that its values count along
    "faces": "n", "face_uvs": "u", "skin_indices": "j", "mirror": "n", "anchor_triangles": "f",
    "expression_rows": "n", "shape_rows": "n",
}  # fmt: skip
NAMES = {"joint_names": "j", "expression_names": "e", "shape_names": "s", "region_names": "r"}


def check(tensors: dict[str, np.ndarray], header: dict) -> None:
    """Raises ValueError where a template's tensors or header are not what `TENSORS` and `NAMES` say, or would
    lead out of an array."""
    if tensors.keys() != TENSORS.keys():
        raise ValueError(f"other tensors: {sorted(tensors.keys() ^ TENSORS.keys())}")
    size = {}
    for name, (kind, axes) in TENSORS.items():
        value = tensors[name]
        same = len(value.shape) == len(axes) and all(
            length == (int(axis) if axis.isdecimal() else size.setdefault(axis, length))
            for axis, length in zip(axes, value.shape, strict=True)
        )
        if value.dtype != kind or not same or not np.isfinite(value).all():
            raise ValueError(f"{name} is not {kind} [{axes}]")
    size["e"] = size["p"] - 1
    if size["s"] != size["q"] - 1:
        raise ValueError("the shapes are not as many as their joints' displacements")
    for name, axis in INDICES.items():
        if tensors[name].min(initial=0) < 0 or tensors[name].max(initial=0) >= size[axis]:
            raise ValueError(f"{name} leads out of the file")
    for kind in ("expression", "shape"):
        offsets = tensors[f"{kind}_offsets"].astype(np.int64)
        if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(tensors[f"{kind}_rows"]):
            raise ValueError(f"{kind}_offsets do not divide their rows")
    parents = tensors["joint_parents"]
    if parents[0] != -1 or (parents[1:] < 0).any() or (parents >= np.arange(len(parents))).any():
        raise ValueError("a joint comes before its parent")
    if np.abs(tensors["skin_weights"].astype(np.float32).sum(1) - 1).max() > 0.01:
        raise ValueError("skinning weights do not add up to one")
    for name, axis in NAMES.items():
        names = header[name]
        if not all(isinstance(word, str) for word in names) or len(names) != size[axis]:
            raise ValueError(f"{name} are not the names of the tensors' rows")
    if not 0.1 < float(header["head_scale"]) < 10:
        raise ValueError("head_scale is no size of a head")
