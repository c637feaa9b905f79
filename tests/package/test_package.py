# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive itself, and a new user's first minutes with it."""

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.imaging.sighting import see
from lca_blender.backend.model.create import rest_signal
from lca_blender.backend.training.evaluation.photo_sheets import head_picture
from PIL import Image
from skimage.data import astronaut


def test_the_archive_holds_the_package_as_blender_wants_it(archive):
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
        manifest = tomllib.loads(file.read("blender_manifest.toml").decode())
    assert manifest["id"] == "lca_blender"
    assert manifest["blender_version_min"] == "4.5.0"
    assert {"__init__.py", "backend/avatar.py", "operators/create_avatar.py"} <= set(names)
    assert not [name for name in names if name.startswith(("demo/", "backend/training/"))]
    assert any(name.endswith("starter.safetensors") for name in names), "the bundled model is missing"
    landmarks = "backend/imaging/landmarks/data/"
    assert {f"{landmarks}{name}" for name in ("LICENSE", "NOTICE", "pose_landmark_full.safetensors")} <= set(
        names
    )
    assert "backend/likeness/data/places.safetensors" in names
    body = {f"backend/body/data/{name}" for name in ("LICENSE.md", "NOTICE", "template.safetensors")}
    assert body <= set(names)
    assert not [name for name in names if "numpy-" in name], "numpy is Blender's own"
    assert {f"./{name}" for name in names if name.endswith(".whl")} == set(manifest["wheels"])


BLENDERS_OWN = ("bpy", "numpy", "requests", "urllib3", "idna", "certifi", "charset_normalizer", "zstandard")


@pytest.fixture
def bare_site(tmp_path):
    """A folder with what Blender's Python has and nothing of ours: no torch, no package but bpy's own."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in BLENDERS_OWN:
        spec = importlib.util.find_spec(name)
        if spec is not None:
            where = Path(spec.submodule_search_locations[0])
            (folder / name).symlink_to(where)
            for libraries in where.parent.glob(f"{name}.libs"):
                (folder / libraries.name).symlink_to(libraries)
    return folder


def test_a_new_user_installs_creates_binds_and_renders(archive, tmp_path, bare_site):
    photo = tmp_path / "astronaut.png"
    Image.fromarray(astronaut()).save(photo)
    out = tmp_path / "out"
    out.mkdir()
    script = Path(__file__).with_name("fresh_user.py")
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    environment["PYTHONPATH"] = str(bare_site)
    ran = subprocess.run(
        [sys.executable, "-S", str(script), str(archive), str(photo), str(out)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    facts = json.loads((out / "facts.json").read_text())
    user = str(tmp_path / "user")
    assert facts["backend"].startswith(user), "the installed extension was not what ran"
    assert facts["torch"].startswith(user), "the bundled torch was not what ran"
    assert facts["joints"] >= 50
    picture = np.asarray(Image.open(out / "render.png").convert("RGBA"), np.float32) / 255
    covered = picture[..., 3] > 0.5
    assert 0.05 < covered.mean() < 0.5
    assert picture[covered][:, :3].std() > 0.05
    assert_hers(Avatar.load(out / "person.lca"))


def assert_hers(avatar: Avatar) -> None:
    """The avatar has a face, and light and dark lie on it as in the photo, landmark by landmark."""
    tones = []
    for picture in (astronaut(), head_picture(avatar.drive(rest_signal()), 0)):
        face = see(picture.astype(np.float32) / 255).face
        assert face is not None
        columns, rows = face.points[:, :2].astype(int).T
        tones.append(picture[rows, columns].mean(-1))
    assert np.corrcoef(tones)[0, 1] > 0.8  # 0.92
