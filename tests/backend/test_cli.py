# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line itself: what it finds, what it refuses, and that help costs nothing."""

import os
import pkgutil
import subprocess
import sys

import pytest
from avatar_fixtures import make_avatar
from lca_blender.backend import commands
from lca_blender.backend.cli import main
from lca_blender.backend.errors import UserError
from lca_blender.backend.imaging.accepted import files_of
from lca_blender.backend.training import commands as training


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom lca_blender.backend.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print('heavy:', *{'torch', 'numpy', 'numba', 'PIL'} & set(sys.modules))"
    )
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert text.splitlines()[-1].strip() == "heavy:"
    modules = [*pkgutil.iter_modules(commands.__path__), *pkgutil.iter_modules(training.__path__)]
    assert text.count("\n    ") >= len({module.name for module in modules})


@pytest.mark.parametrize("arguments", [["inspect", "a.lca", "--wrong"], ["nothing"], []])
def test_what_no_command_knows_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: lca" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoding", "file"), [("ascii", "kept_\u5199\u771f.lca"), ("cp1252", "gone_\u5199\u771f.lca")]
)
def test_a_console_that_lacks_letters_loses_no_result(encoding, file, tmp_path):
    """Names that it cannot show, in a result and in an error."""
    if file.startswith("kept"):
        make_avatar().save(tmp_path / file)
    run = [sys.executable, "-m", "lca_blender.backend.cli", "inspect", str(tmp_path / file)]
    done = subprocess.run(run, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == (0 if file.startswith("kept") else 1)
    assert b"Traceback" not in done.stderr
    assert (b'"hash"' in done.stdout) == file.startswith("kept")


def test_folders_and_wildcards_are_photos(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.jpg", "film.mp4", "odd[1].jpg"):
        (tmp_path / name).touch()
    a, b, film, odd = (tmp_path / name for name in ("a.png", "b.JPG", "film.mp4", "odd[1].jpg"))
    assert files_of([tmp_path]) == [a, b, film, odd]
    assert files_of([b, tmp_path / "*.[pJ]*"]) == [b, a]
    assert files_of([str(odd), tmp_path / "gone.jpg"]) == [odd, tmp_path / "gone.jpg"]
    with pytest.raises(UserError, match="called like"):
        files_of([tmp_path / "*.heic"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no photo and no film"):
        files_of([tmp_path / "empty"])


def test_an_error_is_one_sentence_and_status_1(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "gone.lca")]) == 1
    printed = capsys.readouterr()
    assert "gone.lca" in printed.err
    assert not printed.out
