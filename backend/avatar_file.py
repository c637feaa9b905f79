# SPDX-License-Identifier: GPL-3.0-or-later
"""The `.lca` file: one safetensors file whose metadata key `lca` is a JSON header. Nothing in it is executed.

Files are not trusted: the table of tensors is checked before any tensor is read, so that sizes are bounded by
the file's size, and then every value is checked.
"""

import json
import os
import struct
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from .body.jaw import JAW_MOTIONS
from .decoder import CHANGES, signal_size
from .errors import UserError
from .files import replacing

VERSION = 2
EXPRESSIONS = 52
MAX_TABLE = 16 << 20  # bytes of the file's table of tensors
MAX_FILE = 4 << 30
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
# Tensors that an avatar may lack; without them Gaussians and tokens are as those of version 1.
_OPTIONAL = {
    "expression_rows": ("I32", ("M",)),
    "token": ("I32", ("N",)),
    "slot": ("U8", ("N",)),
}
_LIMITS = {
    "N": 1 << 22,
    "M": 1 << 22,
    "k": 16,
    "J": 256,
    "T": 1 << 20,
    "D": 4096,
    "S": 4096,
    "O": CHANGES << 10,
}
_TYPES = {"F32": torch.float32, "F16": torch.float16, "U8": torch.uint8, "I32": torch.int32}
_BYTES = {"F32": 4, "F16": 2, "U8": 1, "I32": 4}
_NAMES = {v: k for k, v in _TYPES.items()}
_REPAIR = "Create the avatar again or restore a copy."


class AvatarFileError(UserError):
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


def check_table(table: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Raises AvatarFileError unless `table` (name -> type, shape) is that of an avatar."""
    sizes: dict[str, int] = {}
    for name, (kind, shape) in table.items():
        wanted = expected(name)
        if wanted is None:
            raise AvatarFileError(f"It holds a tensor that avatars do not have: {name[:60]!r}.")
        if kind != wanted[0]:
            raise AvatarFileError(f"Its tensor {name} has the type {kind[:10]}, not {wanted[0]}.")
        if len(shape) != len(wanted[1]) or not all(
            _fits(s, w, sizes) for s, w in zip(shape, wanted[1], strict=True)
        ):
            raise AvatarFileError(f"Its tensor {name} has the wrong shape {list(shape)}.")
    for name in _TENSORS:
        if name not in table:
            raise AvatarFileError(f"Its tensor {name} is missing.")
    hidden = sum(name.startswith("decoder.hidden") for name in table)
    for name in [
        f"decoder.hidden{i}_{part}" for i in range((hidden + 1) // 2) for part in ("weight", "bias")
    ]:
        if name not in table:
            raise AvatarFileError(f"Its tensor {name} is missing.")
    pictures = sum(name.startswith("thumbnails.") for name in table)
    if any(f"thumbnails.{i}" not in table for i in range(pictures)):
        raise AvatarFileError("One of its thumbnails is missing.")
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


def _fits(size: int, wanted: int | str, sizes: dict[str, int]) -> bool:
    if isinstance(wanted, int):
        return size == wanted
    limit = MAX_THUMBNAIL if wanted[0] in "hw" else _LIMITS[wanted]
    return 1 <= size <= limit and sizes.setdefault(wanted, size) == size


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
    }
    wrong = {
        "opacities": (tensors["opacities"] < 0) | (tensors["opacities"] > 1),
        "scales": tensors["scales"] < 0,
        "quats": tensors["quats"].float().square().sum(-1) < 1e-4,
        "skin_indices": tensors["skin_indices"] >= joints,
        "skin_weights": (weights < 0).any(-1) | ((weights.sum(-1) - 1).abs() > 0.02),
    }
    wrong |= {
        name: (tensors[name] < 0) | (tensors[name] >= limit)
        for name, limit in limits.items()
        if name in tensors
    }
    for name, bad in wrong.items():
        if bad.any():
            raise AvatarFileError(f"Its tensor {name} holds a value out of range.")


def write_avatar(path: str | Path, tensors: dict[str, Tensor], header: dict) -> None:
    """Writes a checked avatar atomically. AvatarFileError where the file cannot be written."""
    try:
        text = json.dumps({**header, "lca_version": VERSION}, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise AvatarFileError(f"The avatar's header is not JSON: {error}.") from error
    data = tensors_to_bytes(tensors, {"lca": text})
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except UserError as error:
        raise AvatarFileError(error.message, error.remedy) from error


def read_avatar(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and header of an avatar file. AvatarFileError with one sentence for whatever is wrong with
    it."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            header = _read_header(file)
            file.seek(0)
            tensors = load_tensors(file.read())
        check_values(tensors, tuple(header["joint_names"]))
    except FileNotFoundError as error:
        raise AvatarFileError(f"There is no avatar file {path}.", "Choose the file again.") from error
    except OSError as error:
        raise AvatarFileError(f"The avatar file {path} cannot be read: {error.strerror}.") from error
    except SafetensorError as error:
        raise AvatarFileError(f"{path.name} is damaged.", _REPAIR) from error
    except AvatarFileError as error:
        remedy = error.remedy or _REPAIR
        raise AvatarFileError(f"{path.name} cannot be used. {error.message}", remedy) from error
    return tensors, header


def _read_header(file) -> dict:
    """The JSON header, after the table of tensors was found to be an avatar's and to fit the file exactly."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    if len(start) < 8:
        raise AvatarFileError("It is too short for an avatar.")
    (length,) = struct.unpack("<Q", start)
    if not 2 <= length <= min(MAX_TABLE, size - 8) or size > MAX_FILE:
        raise AvatarFileError("It is no avatar file or it is cut off.")
    table = _json(file.read(length))
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("lca"), str):
        raise AvatarFileError("It is no avatar file.")
    header = _json(metadata["lca"].encode())
    version = header.get("lca_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise AvatarFileError("It does not say which version of the format it is.")
    if version > VERSION:
        raise AvatarFileError(
            "It was written by a newer version of this program.", "Update LCA for artists and open it again."
        )
    names = header.get("joint_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AvatarFileError("It does not name its joints.")
    template = header.get("template", 1)
    if not isinstance(template, int) or isinstance(template, bool) or template not in JAW_MOTIONS:
        raise AvatarFileError(
            "It was made for a body that this version does not know.",
            "Update LCA for artists and open it again.",
        )
    _check_layout(table, size - 8 - length)
    return header


def _json(data: bytes) -> dict:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AvatarFileError("Its header is damaged.") from error
    if not isinstance(value, dict):
        raise AvatarFileError("Its header is damaged.")
    return value


def _check_layout(table: dict, size: int) -> None:
    """Types and shapes are an avatar's, and the tensors fill the file's `size` bytes of data without gap or
    overlap."""
    entries, spans = {}, []
    for name, entry in table.items():
        try:
            kind, shape = entry["dtype"], tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            whole = all(type(n) is int and 0 <= n < 1 << 40 for n in (*shape, begin, end))
        except (TypeError, KeyError, ValueError) as error:
            raise AvatarFileError("Its header is damaged.") from error
        if not whole or not isinstance(kind, str):
            raise AvatarFileError("Its header is damaged.")
        entries[name] = (kind, shape)
        spans.append((begin, end, name))
    check_table(entries)
    at = 0
    for begin, end, name in sorted(spans):
        kind, shape = entries[name]
        count = 1
        for side in shape:
            count *= side
        if begin != at or end - begin != count * _BYTES[kind]:
            raise AvatarFileError(f"Its tensor {name} does not have the size it declares.")
        at = end
    if at != size:
        raise AvatarFileError("It is cut off or has something appended.")


def table_of(tensors: dict[str, Tensor]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The table that `check_table` takes, of tensors in memory."""
    return {name: (_NAMES.get(t.dtype, str(t.dtype)), tuple(t.shape)) for name, t in tensors.items()}
