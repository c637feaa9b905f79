# SPDX-License-Identifier: GPL-3.0-or-later
"""What is accepted as input, for panels too: this module imports nothing heavy."""

from pathlib import Path

KEEP = 16  # photos and frames of films that an avatar is made of, at most
# Movies, by their names.
SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".3gp", ".avi", ".mpg", ".mpeg", ".ogv", ".mts")


def is_movie(path: str | Path) -> bool:
    """By its name alone."""
    return Path(path).suffix.lower() in SUFFIXES
