# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's own faces in one JSON file: `{"format": "lca-faces", "faces": {name: {channel: value}}}`."""

import json
import math
from pathlib import Path

from ..errors import UserError
from ..files import write_text
from .channels import CHANNELS, Face, limited

FORMAT = "lca-faces"
LARGEST = 4_000_000  # bytes: some thousand faces
LONGEST = 63  # letters of a name, as Blender's own names


class OwnFacesError(UserError):
    """A file of own faces that cannot be used."""


def read_faces(path: str | Path) -> dict[str, Face]:
    """The faces of a file, in its order; none where there is no file. OwnFacesError for any other content."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _refusal(path, error.strerror or "it cannot be read") from error
    if len(content) > LARGEST:
        raise _refusal(path, "it is too large")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, "it is not JSON") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("faces"), dict):
        raise _refusal(path, "it holds no faces")
    return {_named(name, path): _face(name, values, path) for name, values in data["faces"].items()}


def write_faces(path: str | Path, faces: dict[str, Face]) -> None:
    """Writes all faces; the old file stays where that fails."""
    path = Path(path)
    rounded = {n: {channel: round(v, 6) for channel, v in face.items()} for n, face in faces.items()}
    write_text(path, json.dumps({"format": FORMAT, "faces": rounded}, indent=1, ensure_ascii=False) + "\n")


def checked_name(name: str) -> str:
    """A name as it is kept; UserError for none and for one that cannot be shown."""
    name = name.strip()
    if not name or len(name) > LONGEST or not name.isprintable():
        raise UserError(f"A face needs a name of 1 to {LONGEST} letters.", "Choose another name.")
    return name


def _named(name: str, path: Path) -> str:
    try:
        return checked_name(name)
    except UserError as error:
        raise _refusal(path, "a name in it is empty or too long") from error


def _face(name: str, values, path: Path) -> Face:
    if not isinstance(values, dict):
        raise _refusal(path, f"\u201c{name}\u201d is no face")
    for channel, value in values.items():
        if channel not in CHANNELS:
            raise _refusal(path, f"\u201c{name}\u201d names \u201c{channel[:40]}\u201d, which no face has")
        if type(value) not in (int, float) or not math.isfinite(value):
            raise _refusal(path, f"\u201c{channel}\u201d of \u201c{name}\u201d is no number")
    return {channel: limited(channel, value) for channel, value in values.items()}


def _refusal(path: Path, why: str) -> OwnFacesError:
    return OwnFacesError(
        f"Your own faces cannot be read from {path}: {why}.", "Repair the file, or move it away."
    )
