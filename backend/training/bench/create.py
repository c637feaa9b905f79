# SPDX-License-Identifier: GPL-3.0-or-later
"""Four photos to an avatar's file."""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from .timing import case, in_fresh_process, milliseconds, peak_mb

SEED = 1_000_011  # a person that training never saw
WIDTH, HEIGHT = 768, 1024


def cases():
    """The second creation of a process, after one that loads everything; and the first."""
    with tempfile.TemporaryDirectory() as folder:
        photos = _photograph(Path(folder))
        made = in_fresh_process("create:creation", photos, folder)
    arguments = (made["gaussians"], (WIDTH, HEIGHT), made["again"], "the first of its process", made["first"])
    yield case("creation from four photos", *arguments, cpu_ms=made["cpu"], peak_mb=made["peak_mb"])


def _photograph(folder: Path) -> list[str]:
    """Four photographs of a synthetic person from around, before backgrounds."""
    from ..people.backgrounds import compose_background
    from ..people.cameras import studio_ring
    from ..people.person import sample_person
    from ..people.poses import standing
    from ..people.render import pose_person, render_posed

    person, rng, files = sample_person(SEED), np.random.default_rng(SEED), []
    pose = standing(rng)
    posed = pose_person(person, pose.rotations, root=pose.root)
    for number, camera in enumerate(studio_ring(posed.transforms, 4, WIDTH, HEIGHT)):
        picture = compose_background(rng, render_posed(person, posed, camera).rgba)
        files.append(str(folder / f"{number}.png"))
        Image.fromarray(picture).save(files[-1])
    return files


def creation(photos: list[str], folder: str) -> dict:
    """Milliseconds of the first and of another creation, unrefined, and of a refined one; those that
    processors were busy with the second (all together, whoever else uses the machine), Gaussians, and the
    process's peak memory.
    """
    from ...from_photos import avatar_from_photos

    made, out = [], Path(folder, "made.lca")
    make = lambda: made.append(avatar_from_photos(photos, out, refine=False))  # noqa: E731
    first, start = milliseconds(make), time.process_time()
    again, busy = milliseconds(make), 1000 * (time.process_time() - start)
    refined = milliseconds(lambda: avatar_from_photos(photos, out))
    numbers = {"first": first, "again": again, "cpu": round(busy), "refined": refined}
    return {**numbers, "gaussians": len(made[0]), "peak_mb": round(peak_mb())}
