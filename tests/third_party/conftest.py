# SPDX-License-Identifier: GPL-3.0-or-later
"""`third_party` is imported from the repository: it is no part of the installed package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
