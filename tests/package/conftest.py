# SPDX-License-Identifier: GPL-3.0-or-later
"""The built extension in a fresh user folder; build.py names the archive in LCA_EXTENSION."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def archive() -> Path:
    named = os.environ.get("LCA_EXTENSION")
    if not named:
        pytest.fail("LCA_EXTENSION names no archive: run `python3 build.py test --only package`")
    return Path(named)
