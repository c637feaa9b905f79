# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing safetensors so that a crash never leaves half a file, and reading them with one clear sentence."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..errors import UserError
from ..files import replacing


def write_tensors(path: str | Path, tensors: dict, header: dict) -> None:
    """Tensors and a JSON header to `path`, whole or not at all; its folder must exist."""
    data = save({k: t.detach().contiguous() for k, t in tensors.items()}, {"header": json.dumps(header)})
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def read_tensors(path: str | Path) -> tuple[dict, dict]:
    """Tensors and JSON header of a file that `write_tensors` made."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["header"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 a safe_open is no mapping
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path.name} is damaged or no file of this program.") from error
    return tensors, header
