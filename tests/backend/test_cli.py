# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line itself: what it finds, what it refuses, and that help costs nothing."""

import pkgutil
import subprocess
import sys

import pytest
from lca_blender.backend import commands
from lca_blender.backend.cli import main
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


def test_an_error_is_one_sentence_and_status_1(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "gone.lca")]) == 1
    printed = capsys.readouterr()
    assert "gone.lca" in printed.err
    assert not printed.out
