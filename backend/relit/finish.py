# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of finished pictures: a film of every sequence, and one sheet of all lights."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..files import replacing
from .films import write_mp4
from .job import Job
from .pictures import shown
from .plan import ImageSequence, Plan

PAPER, INK = (246, 245, 242), (60, 60, 64)
CELL, GAP, LINE = 240, 8, 24  # pixels: width of a picture, between pictures, height of a line of text
COLUMNS = 5
SHEET = "lights.png"


def finish(job: Job, plan: Plan, progress: Callable[[float, str], None] = lambda *_: None) -> list[Path]:
    """Writes the films and the sheet of a job whose pictures are there; returns their files.

    ValueError for pictures that cannot be read, UserError where nothing can be written.
    """
    sequences, made = plan.sequences(), []
    for number, one in enumerate(sequences if job.movie else ()):
        path = one.film
        progress(number / len(sequences), f"Writing {path.name}")
        with replacing(path) as temporary:
            write_mp4((shown(file) for file in _best(one)), temporary, plan.fps)
        made.append(path)
    if job.sheet:
        path = plan.folder / SHEET
        progress(1.0, f"Writing {path.name}")
        with replacing(path) as temporary:
            light_sheet(sequences).save(temporary, "PNG", optimize=True)
        made.append(path)
    return made


def light_sheet(sequences: list[ImageSequence]) -> Image.Image:
    """The middle picture of every sequence with its light's name, titled by avatar, action and camera."""
    title = lambda one: ", ".join(filter(None, (one.avatar, one.action, one.camera)))  # noqa: E731
    strips = []
    for name, group in groupby(sorted(sequences, key=title), title):
        cells = [(one.light, shown(_best(one)[len(_best(one)) // 2])) for one in group]
        strips.append(_grid(name, cells))
    width = max(strip.width for strip in strips)
    sheet = Image.new("RGB", (width, sum(strip.height for strip in strips)), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


def _grid(title: str, cells: list[tuple[str, Image.Image]]) -> Image.Image:
    height = max(round(picture.height * CELL / picture.width) for _, picture in cells)
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    grid = Image.new("RGB", (GAP + columns * (CELL + GAP), LINE + rows * (height + LINE) + GAP), PAPER)
    draw, font = ImageDraw.Draw(grid), ImageFont.load_default(14)
    draw.text((GAP, 4), title, fill=INK, font=font)
    for number, (name, picture) in enumerate(cells):
        left = GAP + number % columns * (CELL + GAP)
        top = LINE + number // columns * (height + LINE)
        grid.paste(picture.resize((CELL, round(picture.height * CELL / picture.width))), (left, top))
        draw.text((left, top + height + 2), name[:34], fill=INK, font=font)
    return grid


def _best(one: ImageSequence) -> list[Path]:
    """The files that are shown: PNG, in the scene's view transform, where there are any."""
    return one.files.get(".png") or next(iter(one.files.values()))
