# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `lca`, one module each: `add(subparsers)` declares it, `run(args)` does it.

`lca --help` imports all of them: what is heavy is imported by `run`.
"""

import sys


def say(text: str) -> None:
    """A line for the person, apart from a command's result."""
    print(text, file=sys.stderr, flush=True)
