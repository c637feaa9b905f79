# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet: photos beside renders, then new views, then the performance."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PAPER, INK = (246, 245, 242), (60, 60, 64)
CELL_HEIGHT, GAP, TITLE_HEIGHT = 300, 8, 30


def contact_sheet(rows: list[tuple[str, list[Path]]], path: Path, width: int = 1600) -> None:
    """Writes titled rows of pictures as one PNG; too wide a row is scaled down, never cropped."""
    strips = [
        strip
        for title, pictures in rows
        if pictures
        for strip in (title_strip(title, width), row_strip(pictures, width))
    ]
    sheet = Image.new("RGB", (width, sum(strip.height for strip in strips) + GAP), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    sheet.save(path, optimize=True)


def title_strip(title: str, width: int) -> Image.Image:
    strip = Image.new("RGB", (width, TITLE_HEIGHT), PAPER)
    ImageDraw.Draw(strip).text((GAP, 7), title, fill=INK, font=ImageFont.load_default(16))
    return strip


def row_strip(pictures: list[Path], width: int) -> Image.Image:
    images = [Image.open(picture).convert("RGB") for picture in pictures]
    natural = sum(round(image.width * CELL_HEIGHT / image.height) for image in images)
    height = min(CELL_HEIGHT, int(CELL_HEIGHT * (width - GAP * (len(images) + 1)) / natural))
    strip = Image.new("RGB", (width, height + GAP), PAPER)
    left = GAP
    for image in images:
        image = image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS)
        strip.paste(image, (left, 0))
        left += image.width + GAP
    return strip
