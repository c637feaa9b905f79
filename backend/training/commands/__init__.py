# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `lca` that train, measure and make synthetic people, one module each."""

from collections.abc import Sequence
from pathlib import Path


def photo_files(given: Sequence[Path]) -> list[Path]:
    """Photos, and all files of folders except hidden and text files."""
    files = []
    for path in given:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [f for f in inside if not path.is_dir() or _may_be_photo(f)]
    return files


def _may_be_photo(file: Path) -> bool:
    return file.is_file() and file.name[0] != "." and file.suffix not in (".md", ".txt")
