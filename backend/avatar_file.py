# SPDX-License-Identifier: GPL-3.0-or-later
"""The `.lca` file: one safetensors file whose metadata key `lca` is a JSON header. Nothing in it is executed.

Files are not trusted: header and table of tensors are checked before any tensor is read, so that sizes are
bounded by the file's size, and then every value is checked.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from . import tensor_file
from .body.jaw import JAW_MOTIONS
from .decoder import CHANGES, signal_size
from .errors import UserError
from .tensor_file import Table, TensorFile, TensorFileError

VERSION = 2
EXPRESSIONS = 52
MAX_HEADER = 1 << 20  # characters of the JSON header
MAX_TEXT = 500  # characters of a text in it
MAX_WARNINGS = 64
MAX_LAYERS, MAX_THUMBNAILS, MAX_THUMBNAIL = 8, 64, 1024

# name -> (type, shape); a letter is a size that all tensors share
_TENSORS = {
    "means": ("F32", ("N", 3)),
    "offsets": ("F16", ("N", 3)),
    "quats": ("F16", ("N", 4)),
    "scales": ("F16", ("N", 3)),
    "opacities": ("F16", ("N",)),
    "colors": ("F16", ("N", 3)),
    "skin_indices": ("U8", ("N", "k")),
    "skin_weights": ("F16", ("N", "k")),
    "expression_basis": ("F16", (EXPRESSIONS, "M", 3)),
    "joint_parents": ("I32", ("J",)),
    "joint_heads": ("F32", ("J", 3)),
    "joint_tails": ("F32", ("J", 3)),
    "token_bias": ("F32", ("T", "D")),
    "decoder.signal_weight": ("F32", ("D", "S")),
    "decoder.last_weight": ("F32", ("O", "D")),
    "decoder.last_bias": ("F32", ("O",)),
    "decoder.delta_scale": ("F32", (CHANGES,)),
}
# Tensors that an avatar may lack; without the first three Gaussians and tokens are as those of version 1,
# without albedo the scene's light falls on the photos' colours.
_OPTIONAL = {
    "expression_rows": ("I32", ("M",)),
    "token": ("I32", ("N",)),
    "slot": ("U8", ("N",)),
    "albedo": ("F16", ("N", 3)),
    "normals": ("F16", ("N", 3)),
    "material": ("U8", ("N",)),
    "confidence": ("U8", ("N",)),
}
MATERIALS = 6  # classes: those of `lighting.materials`
_LIMITS = {
    "N": 1 << 22,
    "M": 1 << 22,
    "k": 16,
    "J": 256,
    "T": 1 << 20,
    "D": 4096,
    "S": 4096,
    "O": CHANGES << 10,
    "h": MAX_THUMBNAIL,
    "w": MAX_THUMBNAIL,
}
_TYPES = {"F32": torch.float32, "F16": torch.float16, "U8": torch.uint8, "I32": torch.int32}
_NAMES = {v: k for k, v in _TYPES.items()}


class AvatarFileError(TensorFileError):
    """An avatar file that cannot be read or written, or an avatar with invalid content."""


def expected(name: str) -> tuple[str, tuple] | None:
    """(type, shape) of a tensor of an avatar, None for a name that avatars do not have."""
    if name in _TENSORS or name in _OPTIONAL:
        return _TENSORS.get(name) or _OPTIONAL[name]
    kind, _, rest = name.partition(".")
    if kind == "thumbnails" and _small(rest, MAX_THUMBNAILS):
        return "U8", ("h" + rest, "w" + rest, 3)
    if kind == "decoder" and rest.startswith("hidden"):
        layer, _, part = rest.removeprefix("hidden").partition("_")
        if _small(layer, MAX_LAYERS) and part in ("weight", "bias"):
            return "F32", ("D", "D") if part == "weight" else ("D",)
    return None


def _small(text: str, limit: int) -> bool:
    return text.isascii() and text.isdecimal() and str(int(text[:9])) == text and int(text) < limit


def dtype_of(name: str) -> torch.dtype:
    """The type in which an avatar stores a tensor."""
    return _TYPES[expected(name)[0]]


def check_table(table: Table) -> None:
    """Raises AvatarFileError unless `table` (name -> type, shape) is that of an avatar."""
    hidden = sum(name.startswith("decoder.hidden") for name in table)
    layers = [f"decoder.hidden{i}_{part}" for i in range((hidden + 1) // 2) for part in ("weight", "bias")]
    pictures = [f"thumbnails.{i}" for i in range(sum(name.startswith("thumbnails.") for name in table))]
    names = (*(name for name in table if expected(name)), *_TENSORS, *layers, *pictures)
    try:
        sizes = tensor_file.check_table(table, {name: expected(name) for name in names}, _LIMITS)
    except TensorFileError as error:
        raise AvatarFileError(error.message) from error
    if ("token" in table) != ("slot" in table):
        raise AvatarFileError("Its tensors token and slot belong together.")
    if "expression_rows" not in table and sizes["M"] != sizes["N"]:
        raise AvatarFileError("Its tensor expression_rows is missing.")
    whole = sizes["O"] % CHANGES == 0
    if not whole or ("token" not in table and sizes["N"] * CHANGES != sizes["T"] * sizes["O"]):
        raise AvatarFileError(
            "Its tensors token_bias and decoder.last_bias do not make one change per Gaussian."
        )
    if sizes["S"] != signal_size(sizes["J"]):
        raise AvatarFileError(f"Its decoder takes {sizes['S']} numbers, not {signal_size(sizes['J'])}.")


def check_values(tensors: dict[str, Tensor], joint_names: tuple[str, ...]) -> None:
    """Raises AvatarFileError naming the first tensor that holds an impossible value. Types and shapes are
    right."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise AvatarFileError(f"Its tensor {name} contains NaN or infinity.")
    joints = len(tensors["joint_parents"])
    if len(joint_names) != joints or len(set(joint_names)) != joints:
        raise AvatarFileError(f"It names {len(set(joint_names))} joints, but holds {joints}.")
    parents = tensors["joint_parents"]
    if (parents < -1).any() or (parents >= torch.arange(joints)).any():
        raise AvatarFileError("Its tensor joint_parents has a parent that does not come before its child.")
    weights = tensors["skin_weights"].float()
    limits = {
        "token": len(tensors["token_bias"]),
        "slot": len(tensors["decoder.last_bias"]) // CHANGES,
        "expression_rows": len(tensors["means"]),
        "material": MATERIALS,
    }
    wrong = {
        "opacities": (tensors["opacities"] < 0) | (tensors["opacities"] > 1),
        "scales": tensors["scales"] < 0,
        "quats": tensors["quats"].float().square().sum(-1) < 1e-4,
        "skin_indices": tensors["skin_indices"] >= joints,
        "skin_weights": (weights < 0).any(-1) | ((weights.sum(-1) - 1).abs() > 0.02),
    }
    if "normals" in tensors:
        wrong["normals"] = (tensors["normals"].float().square().sum(-1) - 1).abs() > 0.1
    wrong |= {
        name: (tensors[name] < 0) | (tensors[name] >= limit)
        for name, limit in limits.items()
        if name in tensors
    }
    for name, bad in wrong.items():
        if bad.any():
            raise AvatarFileError(f"Its tensor {name} holds a value out of range.")


def check_header(header: dict) -> dict:
    """The header with its warnings as at most `MAX_WARNINGS` short lines. Raises AvatarFileError for values
    of the wrong type and for texts that are too long.
    """
    names = header.get("joint_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AvatarFileError("It does not name its joints.")
    for name in ("name", "consent", "created"):
        if not _is_text(header.get(name, "")):
            raise AvatarFileError(f"Its {name} is no text of at most {MAX_TEXT} characters.")
    model = header.get("model", {})
    if not isinstance(model, dict) or not _is_text(model.get("name", "")):
        raise AvatarFileError("Its model has no name.")
    photos, warnings = (header.get(name, []) for name in ("photos", "warnings"))
    if not isinstance(photos, list) or not all(map(_is_text, photos)):
        raise AvatarFileError("Its photos are no list of names.")
    if not isinstance(warnings, list) or not all(isinstance(line, str) for line in warnings):
        raise AvatarFileError("Its warnings are no list of sentences.")
    lines = [" ".join(line.split())[:MAX_TEXT] for line in warnings]
    if len(lines) > MAX_WARNINGS:
        lines[MAX_WARNINGS - 1 :] = [f"And {len(lines) - MAX_WARNINGS + 1} more remarks."]
    return {**header, "warnings": lines}


def _is_text(value) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def write_avatar(path: str | Path, tensors: dict[str, Tensor], header: dict) -> None:
    """Writes a checked avatar atomically. AvatarFileError where the file cannot be written."""
    try:
        text = json.dumps({**check_header(header), "lca_version": VERSION}, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise AvatarFileError(f"The avatar's header is not JSON: {error}.") from error
    if len(text) > MAX_HEADER:
        raise AvatarFileError("The avatar's header is too long.")
    try:
        tensor_file.write_tensors(path, tensors, lca=text)
    except UserError as error:
        raise AvatarFileError(error.message, error.remedy) from error


def read_avatar(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and header of an avatar file. AvatarFileError with one sentence for whatever is wrong with
    it."""
    file = TensorFile(path, "avatar file", "Create the avatar again or restore a copy.", AvatarFileError)
    try:
        header = _read_header(file)
        check_table(file.table)
        tensors = file.tensors()
        check_values(tensors, tuple(header["joint_names"]))
    except AvatarFileError as error:
        if error.remedy:
            raise
        raise file.wrong(f"{file.path.name} cannot be used. {error.message}") from error
    return tensors, header


def _read_header(file: TensorFile) -> dict:
    if len(file.metadata.get("lca", "")) > MAX_HEADER:
        raise AvatarFileError("Its header is too long.")
    header = file.header("lca")
    version = header.get("lca_version")
    if type(version) is not int or version < 1:
        raise AvatarFileError("It does not say which version of the format it is.")
    if version > VERSION:
        raise AvatarFileError(
            f"{file.path.name} was written by a newer version of this program.",
            "Update LCA for artists and open it again.",
        )
    template = header.get("template", 1)
    if type(template) is not int or template not in JAW_MOTIONS:
        raise AvatarFileError(
            f"{file.path.name} was made for a body that this version does not know.",
            "Update LCA for artists and open it again.",
        )
    return check_header(header)


def table_of(tensors: dict[str, Tensor]) -> Table:
    """The table that `check_table` takes, of tensors in memory."""
    return {name: (_NAMES.get(t.dtype, str(t.dtype)), tuple(t.shape)) for name, t in tensors.items()}
