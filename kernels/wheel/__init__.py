# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels of LCA for artists; `lca_blender.backend.native` calls them."""

import ctypes
from pathlib import Path

from .sources import SOURCES

__all__ = ["SOURCES", "open_library"]


def open_library() -> ctypes.CDLL:
    """The library for this processor's instructions. OSError where the wheel is of another platform."""
    folder = Path(__file__).parent
    names = {path.stem.split("-")[-1]: path for path in folder.glob("kernels-*")}
    if "v2" not in names:
        return ctypes.CDLL(str(next(iter(names.values()))))
    plain = ctypes.CDLL(str(names["v2"]))
    return ctypes.CDLL(str(names[f"v{plain.lca_instruction_level()}"]))
