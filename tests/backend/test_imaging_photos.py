# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of picture file: the right pixels, or one sentence."""

import io
import os
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from lca_blender.backend.imaging import photos
from lca_blender.backend.imaging.photos import (
    MAX_SIDE,
    PhotoError,
    load_photo,
    load_photos,
    photo_from_array,
    quality,
)
from PIL import Image, ImageCms

RED, GREEN, BLUE, WHITE = (220, 30, 40), (30, 200, 60), (40, 60, 210), (250, 250, 250)


def quadrants(width=96, height=128):
    """Red, green over blue, white: any turn, mirroring or channel swap shows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = WHITE
    return pixels


def assert_quadrants(rgb, tolerance=0.04):
    height, width = rgb.shape[:2]
    for row, column, colour in ((1, 1, RED), (1, 3, GREEN), (3, 1, BLUE), (3, 3, WHITE)):
        seen = rgb[row * height // 4, column * width // 4] * 255
        assert np.abs(seen - colour).max() <= tolerance * 255, (row, column, seen)


def message_of(path):
    with pytest.raises(PhotoError) as caught:
        load_photo(path)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text
    return text


def test_ordinary_jpeg(tmp_path):
    path = tmp_path / "me.jpg"
    Image.fromarray(quadrants()).save(path, quality=95)
    photo = load_photo(path)
    assert photo.rgb.dtype == np.float32
    assert photo.rgb.shape == (128, 96, 3)
    assert photo.alpha is None
    assert photo.warnings == ()
    assert len(photo.sha256) == 64
    assert_quadrants(photo.rgb)


def test_missing_folder_empty_and_unreadable(tmp_path):
    assert "not found" in message_of(tmp_path / "nothing.jpg")
    assert "folder" in message_of(tmp_path)
    (tmp_path / "empty.jpg").touch()
    assert "empty" in message_of(tmp_path / "empty.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not found" in message_of(tmp_path / "pipe.jpg")


@pytest.mark.parametrize(
    "content", [b"hello", b"%PDF-1.7 abc", b"%!PS-Adobe-3.0 EPSF-3.0\n" * 4, bytes(4000)]
)
def test_not_an_image(tmp_path, content):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    assert "not a picture" in message_of(path)


@pytest.mark.parametrize(("suffix", "format", "turned"), [("HEIC", "HEIF", 0), ("avif", "AVIF", -1)])
def test_what_phones_write_is_read(tmp_path, suffix, format, turned):
    """Upright: HEIF decoders turn the picture themselves; EXIF does not count (ISO/IEC 23008-12, 6.5.10)."""
    pillow_heif.register_heif_opener()
    path, exif = tmp_path / f"IMG_0001.{suffix}", Image.Exif()
    exif[0x0112] = 6  # turned clockwise to be upright
    Image.fromarray(quadrants()).save(path, format, exif=exif, quality=95)
    photo = load_photo(path)
    expected = np.rot90(quadrants(), turned).astype(np.float32) / 255
    assert photo.rgb.shape == expected.shape
    assert np.abs(photo.rgb - expected).mean() < 0.02


def test_broken_heic_and_raw_say_what_to_do(tmp_path):
    heic = tmp_path / "IMG_0001.HEIC"
    heic.write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(100))
    assert "IMG_0001.HEIC" in message_of(heic)
    raw = tmp_path / "shot.NEF"
    Image.fromarray(quadrants()).save(raw, format="TIFF")
    assert "raw file" in message_of(raw)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_truncated(tmp_path, format):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format=format)
    path = tmp_path / f"half.{format.lower()}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    assert "damaged" in message_of(path) or "not a picture" in message_of(path)


def test_one_pixel(tmp_path):
    path = tmp_path / "dot.png"
    Image.new("RGB", (1, 1)).save(path)
    assert "1 x 1" in message_of(path)


def test_very_wide_is_scaled_down(tmp_path):
    path = tmp_path / "panorama.jpg"
    Image.fromarray(quadrants(20000, 5000)).save(path, quality=80)
    photo = load_photo(path)
    assert photo.rgb.shape == (MAX_SIDE // 4, MAX_SIDE, 3)
    assert_quadrants(photo.rgb)
    thin = tmp_path / "thin.jpg"
    Image.fromarray(quadrants(20000, 64)).save(thin, quality=80)
    assert "narrow" in message_of(thin)


def test_decompression_bomb_is_refused_before_decoding(tmp_path):
    def chunk(kind, body):
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    body = zlib.compress(bytes(1 << 20))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    assert "too many" in message_of(path)


def test_pillow_keeps_its_own_limit(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "a.png"
    Image.fromarray(quadrants()).save(path)
    load_photo(path)
    path.write_bytes(b"x")
    message_of(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_cmyk(tmp_path):
    path = tmp_path / "print.jpg"
    Image.fromarray(quadrants()).convert("CMYK").save(path, quality=95)
    assert_quadrants(load_photo(path).rgb)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_greyscale(tmp_path, mode):
    grey = np.asarray(Image.fromarray(quadrants()).convert("L"))
    image = {
        "L": lambda: Image.fromarray(grey),
        "1": lambda: Image.fromarray(grey).convert("1", dither=Image.Dither.NONE),
        "LA": lambda: Image.fromarray(grey).convert("LA"),
        "I;16": lambda: Image.fromarray(grey.astype(np.uint16) * 257),
    }[mode]()
    path = tmp_path / "grey.png"
    image.save(path)
    photo = load_photo(path)
    expected = (grey > 127) if mode == "1" else grey / 255
    assert photo.alpha is None
    assert photo.rgb.shape == (128, 96, 3)
    assert np.abs(photo.rgb - expected[..., None]).max() < 0.01


def test_palette_and_its_transparency(tmp_path):
    image = Image.fromarray(quadrants()).quantize(16)
    image.save(tmp_path / "palette.png")
    assert_quadrants(load_photo(tmp_path / "palette.png").rgb)
    image.save(tmp_path / "hole.png", transparency=image.getpixel((1, 1)))
    photo = load_photo(tmp_path / "hole.png")
    assert photo.alpha[5, 5] == 0
    assert photo.alpha[100, 80] == 1


def test_sixteen_bit_colour(tmp_path):
    def chunk(kind, body):
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    pixels = (quadrants().astype(">u2") * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", 96, 128, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert_quadrants(load_photo(path).rgb, tolerance=0.01)


def test_float_tiff(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    path = tmp_path / "float.tif"
    Image.fromarray(ramp).save(path)
    assert np.abs(load_photo(path).rgb[..., 1] - ramp).max() < 1e-6
    Image.fromarray(np.full((64, 64), np.nan, np.float32)).save(path)
    assert "NaN or infinity" in message_of(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, orientation):
    upright = Image.fromarray(quadrants())
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    stored.save(path, exif=exif, quality=95)
    photo = load_photo(path)
    assert photo.rgb.shape == (128, 96, 3)
    assert_quadrants(photo.rgb)


def wide_gamut_profile():
    """A matrix/TRC display profile made here: gamma 2.2 and Adobe RGB's primaries adapted to D50."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values):
        return b"XYZ " + bytes(4) + fixed(*values)

    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78)
    tags = [
        (b"desc", description + bytes(-len(description) % 4)),
        (b"cprt", b"text" + bytes(4) + b"none" + bytes(4)),
        (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", xyz(0.60974, 0.31111, 0.01947)),
        (b"gXYZ", xyz(0.20528, 0.62567, 0.06087)),
        (b"bXYZ", xyz(0.14919, 0.06322, 0.74457)),
        (b"rTRC", gamma),
        (b"gTRC", gamma),
        (b"bTRC", gamma),
    ]
    offset, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags:
        table += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += body
    size = offset + len(bodies)
    header = struct.pack(">I", size) + bytes(4) + bytes.fromhex("02400000") + b"mntrRGB XYZ " + bytes(12)
    header += b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + bodies


def test_wide_gamut_profile_becomes_srgb(tmp_path):
    path = tmp_path / "adobe.png"
    Image.new("RGB", (64, 64), (100, 180, 100)).save(path, icc_profile=wide_gamut_profile())
    seen = load_photo(path).rgb[10, 10]
    # By hand: linear = (c/255)^2.2, Adobe RGB -> XYZ (D50) -> linear sRGB -> encoded.
    linear = (np.array([100, 180, 100]) / 255) ** 2.2
    to_xyz = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
    from_xyz = np.linalg.inv(
        np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]])
    )
    rgb = np.clip(from_xyz @ to_xyz @ linear, 0, 1)
    expected = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    assert np.abs(seen - expected).max() < 0.02
    assert np.abs(seen - np.array([100, 180, 100]) / 255).max() > 0.05


def test_srgb_profile_changes_nothing_and_a_broken_one_is_ignored(tmp_path):
    path = tmp_path / "tagged.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(quadrants()).save(path, icc_profile=profile)
    assert_quadrants(load_photo(path).rgb, tolerance=0.01)
    Image.fromarray(quadrants()).save(path, icc_profile=b"not a profile" * 20)
    photo = load_photo(path)
    assert_quadrants(photo.rgb, tolerance=0.01)
    assert any("profile" in note for note in photo.warnings)


def test_alpha_is_kept_and_empty_alpha_is_not_believed(tmp_path):
    path = tmp_path / "cut.png"
    rgba = np.dstack([quadrants(), np.full((128, 96), 255, np.uint8)])
    rgba[:64, :, 3] = 0
    Image.fromarray(rgba).save(path)
    photo = load_photo(path)
    assert photo.alpha[10, 10] == 0
    assert photo.alpha[100, 10] == 1
    assert_quadrants(photo.rgb, tolerance=0.01)
    rgba[..., 3] = 0
    Image.fromarray(rgba).save(path)
    photo = load_photo(path)
    assert photo.alpha is None
    assert_quadrants(photo.rgb, tolerance=0.01)
    assert any("transparency" in note for note in photo.warnings)
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(path)
    assert "transparent" in message_of(path)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_animated(tmp_path, format):
    path = tmp_path / "moving"
    frames = [Image.fromarray(quadrants()), Image.new("RGB", (96, 128), (0, 0, 0))]
    frames[0].save(path, format=format, save_all=True, append_images=frames[1:])
    photo = load_photo(path)
    assert_quadrants(photo.rgb, tolerance=0.1)
    assert any("animation" in note for note in photo.warnings)


def textured(seed, blur=1):
    noise = np.random.default_rng(seed).integers(0, 255, (128 // blur, 96 // blur, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((96, 128), Image.BICUBIC)


def test_duplicates_are_used_once_and_bad_ones_cost_a_remark(tmp_path):
    textured(1).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "c.png").write_bytes(b"no")
    textured(2).save(tmp_path / "d.png")
    used, remarks = load_photos(sorted(tmp_path.iterdir()))
    assert {photo.name for photo in used} == {"a.png", "d.png"}
    assert any("b.png is the same file as a.png" in remark for remark in remarks)
    assert any("c.png" in remark for remark in remarks)
    assert len(remarks) == 2


def test_two_hundred_photos_keep_the_sharpest_in_any_order(tmp_path):
    for number in range(200):
        textured(number, blur=1 if number % 25 == 0 else 8).save(tmp_path / f"{number:03d}.png")
    paths = sorted(tmp_path.iterdir())
    fractions = []
    used, remarks = load_photos(paths, keep=8, progress=lambda fraction, message: fractions.append(fraction))
    assert sorted(photo.name for photo in used) == [f"{number:03d}.png" for number in range(0, 200, 25)]
    assert any("200" in remark and "8" in remark for remark in remarks)
    assert fractions == sorted(fractions)
    assert len(fractions) == 200
    again, _ = load_photos(paths[::-1], keep=8)
    assert [photo.sha256 for photo in again] == [photo.sha256 for photo in used]


def test_nothing_usable(tmp_path):
    (tmp_path / "c.png").write_bytes(b"no")
    with pytest.raises(PhotoError, match=r"None of the photos.*c\.png"):
        load_photos([tmp_path / "c.png"])
    with pytest.raises(PhotoError, match="no photos"):
        load_photos([])


def test_quality_prefers_sharp_and_large():
    sharp = photo_from_array(np.asarray(textured(3)))
    soft = photo_from_array(np.asarray(textured(3, blur=8)))
    small = photo_from_array(np.asarray(textured(3).resize((48, 64), Image.BOX)))
    assert quality(sharp) > quality(soft)
    assert quality(sharp) > quality(small)


def test_arrays():
    pixels = quadrants()
    for array in (pixels, pixels / 255, (pixels / 255).astype(np.float16), pixels.astype(np.uint16) * 257):
        assert_quadrants(photo_from_array(array).rgb)
    assert photo_from_array(pixels[..., 0]).rgb.shape == (128, 96, 3)
    assert photo_from_array(np.zeros((4000, 1000, 3), np.uint8)).rgb.shape == (MAX_SIDE, MAX_SIDE // 4, 3)
    assert photo_from_array(pixels).sha256 != photo_from_array(pixels[::-1]).sha256
    bad = pixels / 255
    bad[3, 3] = np.inf
    wrong = [bad, pixels.astype(np.int64), pixels > 3, pixels[..., :2], np.zeros(5), np.zeros((0, 0, 3))]
    for array in wrong:
        with pytest.raises(PhotoError):
            photo_from_array(array)
    assert photos.MIN_SIDE > 1
