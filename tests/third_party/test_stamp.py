# SPDX-License-Identifier: GPL-3.0-or-later
"""The stamp of the built body: it covers all code that the body is calculated by."""

import shutil
import subprocess
import sys
from pathlib import Path

from third_party.makehuman import build

# Imported, but they calculate nothing that is written: packages, errors, reading of files, drawing of splats,
# threads, and quaternions, which building does not call.
OTHERS = {
    "lca_blender/__init__.py",
    *(f"backend/{name}.py" for name in ("__init__", "errors", "files", "gaussians", "native", "quaternions")),
    *(f"backend/{name}.py" for name in ("tensor_file", "workers", "body/__init__", "body/template_check")),
    *(f"backend/raster/{name}.py" for name in ("__init__", "harmonics", "inputs")),
}
LOADED = """import sys, third_party.makehuman.build
for name, module in list(sys.modules.items()):
    if name.split(".")[0] == "lca_blender":
        print(module.__file__)"""


def test_the_stamp_covers_every_module_of_ours_that_building_imports():
    ran = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=build.ROOT, capture_output=True, text=True, check=True
    )
    loaded = {Path(line).resolve().relative_to(build.ROOT).as_posix() for line in ran.stdout.splitlines()}
    python = {name for name in build.OURS if name.endswith(".py")}
    assert loaded == python | OTHERS
    assert not python & OTHERS


def test_an_edit_of_any_of_them_changes_the_stamp(tmp_path):
    own = [file.relative_to(build.ROOT) for file in Path(build.__file__).parent.glob("*.py")]
    files = [*map(Path, build.OURS), *own]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(build.ROOT / file, tmp_path / file)
    assert build.sources(tmp_path) == build.sources()
    for file in files:
        before = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(before + b"\n")
        assert build.sources(tmp_path) != build.sources(), file
        (tmp_path / file).write_bytes(before)
