# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension ships works alone: without what trains, and without the packages of development."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import importlib, pkgutil, sys

absent = "bpy numba skimage tqdm gsplat tflite ziglang lca_blender".split()

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import extension.backend as backend
for module in pkgutil.walk_packages(backend.__path__, "extension.backend."):
    if module.name.partition("backend.")[2] not in sys.argv[1:]:
        importlib.import_module(module.name)
        print(module.name)
"""
BUILDERS = ("body.build_template", "body.remesh")  # make the template anew, where numba is


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    """The installed package's folder, under a name that no other installation has."""
    folder = tmp_path_factory.mktemp("site") / "extension"
    runpy.run_path(str(ROOT / "build.py"))["stage_package"](folder)
    return folder


def run(extension: Path, *command: str) -> str:
    """What a program printed that was started beside the extension."""
    ran = subprocess.run([sys.executable, *command], cwd=extension.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_holds_the_data_that_run_time_reads_and_nothing_that_trains(extension):
    for data in (
        "body/data/template", "imaging/fit/data/face_ties", "imaging/fit/data/pose_prior",
        "imaging/landmarks/data/pose_landmark_full", "likeness/data/places",
        "model/data/starter",
    ):  # fmt: skip
        assert (extension / "backend" / f"{data}.safetensors").is_file(), data
    assert not (extension / "backend" / "training").exists()
    assert not (extension / "demo").exists()


def test_every_module_imports_without_what_is_not_shipped(extension):
    imported = run(extension, "-c", PROGRAM, *BUILDERS).split()
    expected = [p for p in (extension / "backend").rglob("*.py") if p.name != "__init__.py"]
    assert len(imported) >= len(expected) > 80


def test_its_command_line_has_the_commands_that_ship(extension):
    text = run(extension, "-m", "extension.backend.cli", "--help")
    assert [name for name in ("create", "inspect") if f"\n    {name} " not in text] == []
    assert "\n    train " not in text
