# SPDX-License-Identifier: GPL-3.0-or-later
"""What is accepted as input, for panels too: this module imports nothing heavy."""

from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from ..errors import UserError

KEEP = 16  # photos and frames of films that an avatar is made of, at most
# Movies, by their names.
SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".3gp", ".avi", ".mpg", ".mpeg", ".ogv", ".mts")
# Photos, by their names: what a folder is searched for; a file that is named is tried whatever it is called.
PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif", ".jp2"),
)


def is_movie(path: str | Path) -> bool:
    """By its name alone."""
    return Path(path).suffix.lower() in SUFFIXES


def files_of(given: Iterable[str | Path]) -> list[Path]:
    """The files that arguments name: themselves, a folder's photos and films, or what a wildcard matches.

    In the order given, each once; those of a folder or a wildcard by their names. UserError for a folder
    without photos and a wildcard that matches nothing.
    """
    found: dict[Path, None] = {}
    for path in map(Path, given):
        files = [path]
        if path.is_dir():
            files = sorted(
                one for one in path.iterdir() if one.suffix.lower() in (*PHOTO_SUFFIXES, *SUFFIXES)
            )
            files = [one for one in files if not one.name.startswith(".")]  # what macOS leaves on other disks
            if not files:
                raise UserError(
                    f"There is no photo and no film in the folder {path}.", "Choose another folder."
                )
        elif has_magic(str(path)) and not path.exists():
            files = sorted(map(Path, glob(str(path))))
            if not files:
                raise UserError(f"No file is called like {path}.", "Check the folder and the spelling.")
        found.update(dict.fromkeys(files))
    return list(found)
