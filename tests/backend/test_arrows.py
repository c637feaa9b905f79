# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom: backend <- lca_blender <- operators <- ui, floors inside backend, every import inside
relative. Imports inside functions count too.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("backend", "lca_blender", "operators")
FLOORS = (  # of backend: a room imports from floors below its own, and nothing of its own floor but itself
    ("__init__", "errors"),
    ("files", "jobs", "native", "quaternions", "recycling", "similarity", "srgb", "workers"),
    ("tensor_file",),
    ("body",),
    ("decoder", "face", "gaussians"),
    ("avatar_file",),
    ("drive_cpu", "drive_torch", "exr", "ply", "raster"),
    ("avatar",),
    ("lighting", "model", "proxy", "still"),
    ("imaging", "relit"),
    ("face_from_video", "likeness"),
    ("from_photos", "textured_mesh"),
    ("commands",),
    ("cli",),
    ("training",),  # left out of the extension
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return "ui" if parts[:2] == ("lca_blender", "ui") else parts[0]


def imported(path: Path):
    """(absolute module or None, dotted path in the package or None) of every import, lazy ones too."""
    package = package_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, None
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module, None
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            module = [*base, *(node.module.split(".") if node.module else [])]
            for name in node.names:
                yield None, ".".join([*module, name.name])


def package_of(path: Path) -> list[str]:
    """The package that a file's relative imports start from, as it is when installed."""
    parts = list(path.relative_to(ROOT).parts[:-1])
    return parts if parts[0] == "lca_blender" else ["lca_blender", *parts]


def test_there_is_something_to_check():
    assert {room(path) for path in FILES} == {"backend", "lca_blender", "operators", "ui"}
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_one_way(path):
    forbidden = {
        "backend": ("lca_blender.operators", "lca_blender.ui", "lca_blender.scene", "lca_blender.engine"),
        "lca_blender": ("lca_blender.operators", "lca_blender.ui"),
        "operators": ("lca_blender.ui",),
        "ui": ("lca_blender.operators",),
    }[room(path)]
    if "training" not in path.parts and "demo" not in path.parts:
        forbidden += ("lca_blender.backend.training",)
    for absolute, relative in imported(path):
        if absolute is not None:
            top = absolute.split(".")[0]
            assert top != "operators"
            assert top != "backend"
            if top == "lca_blender":
                assert "demo" in path.parts  # a program that is started as a module, never part of Blender
            if room(path) == "backend":
                assert top not in ("bpy", "mathutils", "gpu", "bmesh", "bl_ui"), absolute
        else:
            assert relative.startswith("lca_blender"), relative
            assert not relative.startswith(forbidden), relative
            if room(path) == "backend":
                assert relative.startswith("lca_blender.backend"), relative


@pytest.mark.parametrize(
    "path", [p for p in FILES if room(p) == "backend"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_rooms_of_backend_import_from_below(path):
    own = path.relative_to(ROOT / "backend").with_suffix("").parts[0]
    assert own in FLOOR, f"{own} stands on no floor: add it to FLOORS"
    for absolute, relative in imported(path):
        if absolute is None:
            other = relative.split(".")[2]
            assert other == own or FLOOR[other] < FLOOR[own], f"{own} imports {relative}"


@pytest.mark.parametrize(
    "path",
    [
        *FILES,
        *sorted((ROOT / "tests").rglob("*.py")),
        *sorted((ROOT / "benchmarks").rglob("*.py")),
        ROOT / "build.py",
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_file_names_its_licence(path):
    first = path.read_text(encoding="utf-8").splitlines()[:2]
    assert any("SPDX-License-Identifier: GPL-3.0-or-later" in line for line in first)
