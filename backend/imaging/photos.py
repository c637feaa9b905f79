# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads photos of cameras, phones and scanners as sRGB float32; a PhotoError says why one cannot be read.

Files are read by Pillow, from a fixed list of formats (none that runs other programs). Pixels are bounded
before anything is decoded. Pictures larger than `MAX_SIDE` are scaled down, JPEGs while being decoded.
"""

import hashlib
import heapq
import io
import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from ..errors import UserError
from .accepted import KEEP

MAX_SIDE = 2048
MIN_SIDE = 48
MAX_PIXELS = 220_000_000  # decoded whole, 4 bytes each
MAX_PIXELS_JPEG = 800_000_000  # decoded at 1/8
MAX_FILE_BYTES = 1 << 30

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "TGA", "HEIF")
RAW_SUFFIXES = {".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"}
HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_READABLE = "Use a JPEG, PNG, WebP or TIFF file."


class PhotoError(UserError):
    """A picture that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Photo:
    """One upright photo.

    `rgb` float32 [H,W,3] sRGB-encoded in 0..1; `alpha` float32 [H,W] in 0..1, None if opaque; `name` for
    messages; `sha256` of the file's bytes (of an array's pixels); `warnings`, one sentence each.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    name: str
    sha256: str
    warnings: tuple[str, ...] = ()


def load_photo(path: str | Path) -> Photo:
    """Reads one picture file. Raises `PhotoError`."""
    path = Path(path)
    name = path.name or str(path)
    content = _read_bytes(path, name)
    notes: list[str] = []
    image = _decode(content, path, name, notes)
    rgb, alpha = _to_srgb(image, name, notes)
    _require_size(rgb, name)
    return Photo(rgb, alpha, name, hashlib.sha256(content).hexdigest(), tuple(notes))


def photo_from_array(array: np.ndarray, name: str = "The picture") -> Photo:
    """A photo from sRGB pixels: [H,W], [H,W,1], [H,W,3] or [H,W,4]; uint8, uint16, or float in 0..1.

    Raises `PhotoError` for other shapes and types, for values that are not finite, and for tiny pictures.
    """
    array = np.asarray(array)
    channels = {2: 1, 3: array.shape[-1] if array.ndim == 3 else 0}.get(array.ndim, 0)
    if channels not in (1, 3, 4):
        raise PhotoError(f"{name} has the shape {array.shape}; height x width x 3 or 4 is needed.")
    notes: list[str] = []
    pixels = _unit_range(array.reshape(*array.shape[:2], channels), name, notes)
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    alpha = pixels[..., 3] if channels == 4 else None
    rgb = pixels[..., :3] if channels >= 3 else np.repeat(pixels, 3, axis=-1)
    rgb, alpha = _fit_array(rgb, alpha)
    alpha = _useful_alpha(rgb, alpha, name, notes)
    _require_size(rgb, name)
    return Photo(np.ascontiguousarray(rgb), alpha, name, digest.hexdigest(), tuple(notes))


def load_photos(
    paths: Iterable[str | Path],
    keep: int = KEEP,
    progress: Callable[..., None] | None = None,
) -> tuple[list[Photo], list[str]]:
    """Reads many files: (photos, remarks). A file that cannot be used adds a remark; the others are read.

    Files with the same bytes count once. Of more than `keep` photos those with the highest `quality` stay,
    whatever the order of `paths`; photos come back in the order of their hashes. Raises `PhotoError` when
    none is left.
    """
    paths = list(paths)
    remarks: list[str] = []
    best: list[tuple[float, str, Photo]] = []
    seen: dict[str, str] = {}
    for index, path in enumerate(paths):
        if progress is not None:
            progress(index / len(paths), f"Reading photo {index + 1} of {len(paths)}")
        try:
            photo = load_photo(path)
        except PhotoError as error:
            remarks.append(str(error))
            continue
        if photo.sha256 in seen:
            remarks.append(f"{photo.name} is the same file as {seen[photo.sha256]} and was used once.")
            continue
        seen[photo.sha256] = photo.name
        heapq.heappush(best, (quality(photo), photo.sha256, photo))
        if len(best) > keep:
            heapq.heappop(best)
    if not best:
        message = "None of the photos can be used." if paths else "There are no photos."
        raise PhotoError(message, " ".join(remarks))
    if len(seen) > keep:
        remarks.append(f"Of {len(seen)} photos the {keep} sharpest and largest were used.")
    photos = [photo for _, _, photo in sorted(best, key=lambda entry: entry[1])]
    return photos, remarks + [note for photo in photos for note in photo.warnings]


def quality(photo: Photo) -> float:
    """A photo's quality: log pixels (saturating at 1024 x 768) plus log sharpness.

    Sharpness is the standard deviation of the Laplacian of the picture at 256 pixels, over its contrast, so
    that neither size nor exposure counts twice.
    """
    height, width = photo.rgb.shape[:2]
    scale = 256 / max(height, width)
    grey = Image.fromarray(photo.rgb.mean(axis=-1).astype(np.float32), mode="F")
    small = np.asarray(grey.resize((max(3, round(width * scale)), max(3, round(height * scale))), Image.BOX))
    laplacian = (
        4 * small[1:-1, 1:-1] - small[:-2, 1:-1] - small[2:, 1:-1] - small[1:-1, :-2] - small[1:-1, 2:]
    )
    sharpness = laplacian.std() / (small.std() + 0.02)
    return float(np.log(min(height * width, 1024 * 768)) + np.log(sharpness + 1e-4))


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        if path.is_dir():
            raise PhotoError(f"{name} is a folder, not a photo.")
        if not path.is_file():
            raise PhotoError(f"{name} was not found.", "Check the path.")
        size = path.stat().st_size
        if size == 0:
            raise PhotoError(f"{name} is an empty file.")
        if size > MAX_FILE_BYTES:
            raise PhotoError(f"{name} is larger than 1 GB.", "Export a smaller picture.")
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{name} cannot be read: {error.strerror or error}.") from error


_pillow_limit = threading.Lock()


@contextmanager
def _pillow_without_limit():
    """Disables Pillow's global pixel limit, lower than cameras' pictures; `_bound_pixels` replaces it."""
    with _pillow_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _decode(content: bytes, path: Path, name: str, notes: list[str]) -> Image.Image:
    """The first frame, upright; a large JPEG already reduced, to no less than MAX_SIDE."""
    if path.suffix.lower() in RAW_SUFFIXES:
        raise PhotoError(f"{name} is a camera's raw file.", "Develop it to JPEG, PNG or TIFF first.")
    with _pillow_without_limit():
        image = _open(content, name)
        _bound_pixels(image, name)
        try:
            animated = getattr(image, "is_animated", False) and image.format not in ("MPO", "TIFF")
            image.draft(None, (MAX_SIDE, MAX_SIDE))  # JPEG decodes at 1/2, 1/4 or 1/8; others ignore it
            image.load()
        except MemoryError as error:
            raise PhotoError(f"{name} is too large for this machine's memory.") from error
        except Exception as error:  # decoders raise anything on broken files
            raise PhotoError(f"{name} is damaged or incomplete.", "Copy or export it again.") from error
    if animated:
        notes.append(f"{name} is an animation; its first picture was used.")
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        notes.append(f"The rotation stored in {name} is unreadable and was ignored.")
        return image


def _open(content: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=[f for f in FORMATS if f in _known_formats()])
    except Exception as error:
        if content[4:8] == b"ftyp" and content[8:12] in HEIF_BRANDS and "HEIF" not in _known_formats():
            message = f"{name} is a HEIC photo, which cannot be read here."
            raise PhotoError(message, "Export it as JPEG.") from error
        raise PhotoError(f"{name} is not a picture that can be read.", _READABLE) from error


@cache
def _known_formats() -> frozenset[str]:
    """The formats that Pillow reads here; HEIF, as phones write it, through its plug-in."""
    Image.init()
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return frozenset(Image.OPEN)


def _bound_pixels(image: Image.Image, name: str) -> None:
    width, height = image.size
    bound = MAX_PIXELS_JPEG if image.format in ("JPEG", "MPO") else MAX_PIXELS
    if width * height > bound:
        raise PhotoError(f"{name} has {width} x {height} pixels: too many.", "Export a smaller picture.")
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{name} is only {width} x {height} pixels.", f"At least {MIN_SIDE} are needed.")


def _require_size(rgb: np.ndarray, name: str) -> None:
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise PhotoError(
            f"{name} is too small or too narrow ({width} x {height} pixels at the size that is used).",
            f"At least {MIN_SIDE} pixels on the shorter side are needed.",
        )


def _to_srgb(image: Image.Image, name: str, notes: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Pillow image of any mode -> (rgb float32 [H,W,3], alpha [H,W] or None), at most MAX_SIDE."""
    if image.mode.startswith(("I", "F")):
        return _deep_grey(image, name, notes)
    try:
        image = _plain_mode(image)
        alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
        if alpha is not None:
            image = image.convert(image.mode[:-1])
        # Colour and alpha are scaled apart: where a file's alpha is empty its colours may still be the photo.
        image, alpha = _thumbnail(image), None if alpha is None else _thumbnail(alpha)
        image = _through_profile(image, name, notes)
        rgb = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    except PhotoError:
        raise
    except Exception as error:
        raise PhotoError(f"The colours of {name} ({image.mode}) cannot be read.", _READABLE) from error
    mask = None if alpha is None else np.asarray(alpha, dtype=np.float32) / 255
    return rgb, _useful_alpha(rgb, mask, name, notes)


def _deep_grey(image: Image.Image, name: str, notes: list[str]) -> tuple[np.ndarray, None]:
    """Greyscale of more than 8 bits: 16-bit integers by their full range, floats as 0..1."""
    pixels = np.asarray(image)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize > 2:
        pixels = np.clip(pixels, 0, 65535).astype(np.uint16)
    grey = _unit_range(pixels[..., None], name, notes)
    rgb, _ = _fit_array(np.repeat(grey, 3, axis=-1), None)
    return rgb, None


def _plain_mode(image: Image.Image) -> Image.Image:
    """To L, LA, RGB, RGBA, CMYK or LAB, with every kind of transparency as an alpha channel."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        transparent = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if transparent else "RGB")
    conversions = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
    return image.convert(conversions[image.mode]) if image.mode in conversions else image


def _thumbnail(image: Image.Image) -> Image.Image:
    scale = MAX_SIDE / max(image.size)
    if scale >= 1:
        return image
    size = [max(1, round(side * scale)) for side in image.size]
    small = image.resize(size, Image.LANCZOS, reducing_gap=2.0)
    small.info = dict(image.info)
    return small


def _through_profile(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """Colours through the file's ICC profile into sRGB; Pillow's plain conversion where there is none."""
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    elif not profile:
        return image
    else:
        source = None
    try:
        source = source or ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.append(f"The colour profile in {name} is unusable and was ignored.")
        return image


def _unit_range(pixels: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / 255
    if pixels.dtype == np.uint16:
        return pixels.astype(np.float32) / 65535
    if pixels.dtype.kind != "f":
        raise PhotoError(f"{name} has pixels of type {pixels.dtype}; uint8, uint16 or float is needed.")
    if not np.isfinite(pixels).all():
        raise PhotoError(f"{name} contains NaN or infinity.")
    if pixels.size and (pixels.min() < 0 or pixels.max() > 1):
        notes.append(f"{name} has values outside 0 to 1; they were clipped.")
    return np.clip(pixels, 0, 1).astype(np.float32)


def _fit_array(rgb: np.ndarray, alpha: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    height, width = rgb.shape[:2]
    scale = MAX_SIDE / max(height, width, 1)
    if scale >= 1:
        return rgb, alpha
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def fit(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel, mode="F").resize(size, Image.BOX, reducing_gap=2.0))

    rgb = np.stack([fit(np.ascontiguousarray(rgb[..., c])) for c in range(3)], axis=-1)
    return rgb, None if alpha is None else fit(np.ascontiguousarray(alpha))


def _useful_alpha(
    rgb: np.ndarray, alpha: np.ndarray | None, name: str, notes: list[str]
) -> np.ndarray | None:
    if alpha is None or alpha.size == 0 or alpha.min() >= 1:
        return None
    if alpha.max() > 0:
        return np.ascontiguousarray(alpha)
    if np.ptp(rgb) < 0.02:
        raise PhotoError(f"{name} is fully transparent.")
    notes.append(f"The transparency of {name} hides the whole picture and was ignored.")
    return None
