# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on every photo and film: whether it was used, what it shows, and a picture of the fitted body
drawn over it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..body.mesh import vertex_normals
from ..files import replacing
from ..raster.mesh_faces import rasterize_mesh
from .correspondence import Correspondence
from .coverage import least_share, listed, seen_shares
from .crops import resize
from .film import Film
from .fit.model import fit_model
from .fit.photo_pose import PhotoPose
from .reading import Reading

HEIGHT = 720  # rows of a picture, at most
TINT = np.array([0.35, 0.86, 0.35])  # of the fitted body
BODY, OUTSIDE = 0.55, 0.45  # opacity of the body; brightness outside the person
EDGE = np.array([1.0, 0.8, 0.1])
SHEET = 360  # rows of a frame in a film's picture


@dataclass(frozen=True)
class PhotoReport:
    """One photo or film: used or not; text: what it shows, or why it was left out; picture uint8 [h,w,3] or
    None; people: positions of the people, from the left, x and y in 0..1 of the picture; chosen: which was
    used. Of a photo also itself, uint8 [H,W,3], turned so that the person is upright, and its pose and
    camera.
    """

    name: str
    used: bool
    text: str
    picture: np.ndarray | None = None
    people: tuple[tuple[float, float], ...] = ()
    chosen: int = 0
    photo: np.ndarray | None = None
    pose: PhotoPose | None = None


def photo_reports(reading: Reading) -> list[PhotoReport]:
    """Used photos first, films after their frames, then those that were refused."""
    used = [
        PhotoReport(
            photo.name,
            True,
            _shown(found),
            overlay(found),
            tuple(person.place for person in found.seen.people),
            found.seen.chosen,
            (np.clip(found.seen.rgb, 0, 1) * 255 + 0.5).astype(np.uint8),
            PhotoPose.of(found.fit),
        )
        for photo, found in zip(reading.photos, reading.found, strict=True)
    ]
    films = [_film_report(film, {report.name: report for report in used}) for film in reading.films]
    return used + films + [PhotoReport(name, False, sentence) for name, sentence in reading.refused]


def _film_report(film: Film, used: dict[str, PhotoReport]) -> PhotoReport:
    """Its picture is that in which people are counted, where there are several; else all of its frames."""
    frames = [used[photo.name] for photo in film.photos if photo.name in used]
    one = "1 frame was" if len(frames) == 1 else f"{len(frames)} frames were"
    times = listed([report.name.removeprefix(f"{film.name} at ") for report in frames])
    text = f"{one} used: at {times}." if frames else f"No frame of {film.name} could be used."
    picture = film.opening if len(film.people) > 1 or not frames else _sheet([f.picture for f in frames])
    return PhotoReport(film.name, bool(frames), text, picture, film.people, film.chosen)


def _sheet(pictures: list[np.ndarray]) -> np.ndarray:
    """uint8 [h,w,3]: pictures side by side in rows, on black, about as wide as high."""
    small = [_rows(picture, SHEET) for picture in pictures]
    wide = max(picture.shape[1] for picture in small)
    columns = min(len(small), max(1, round(np.sqrt(len(small) * SHEET / wide))))
    rows = -(-len(small) // columns)
    sheet = np.zeros((rows * SHEET, columns * wide, 3), np.uint8)
    for n, picture in enumerate(small):
        top, left = n // columns * SHEET, n % columns * wide + (wide - picture.shape[1]) // 2
        sheet[top : top + SHEET, left : left + picture.shape[1]] = picture
    return sheet


def _rows(picture: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(height * picture.shape[1] / picture.shape[0]))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.BOX))


def _shown(found: Correspondence) -> str:
    """ "Seen from the front: the face, the chest and belly, the left arm." """
    shares = seen_shares([(found.points, found.confidence)])
    parts = [name for name, share in shares.items() if share >= least_share(name)]
    ahead = -(found.fit.frames().turn[0] @ (0, -1, 0))[2]  # the pelvis' forward axis towards the camera
    side = "from the front" if ahead > 0.7 else "from behind" if ahead < -0.7 else "from the side"
    return f"Seen {side}: {listed(parts)}." if parts else f"Seen {side}, no part clearly."


def overlay(found: Correspondence) -> np.ndarray:
    """uint8 [h,w,3]: the photo dimmed where it is not the person, the fitted body drawn over it, the matte's
    edge.
    """
    height = min(HEIGHT, found.matte.shape[0])
    width = max(1, round(height * found.matte.shape[1] / found.matte.shape[0]))
    rgb, matte = resize(found.seen.rgb, height, width), resize(found.matte, height, width)[..., None]
    model, vertices = fit_model(), found.fit.vertices()
    K = np.diag([width / found.matte.shape[1], height / found.matte.shape[0], 1]) @ found.fit.K
    drawn = rasterize_mesh(vertices, model.faces, np.eye(4), K, width, height)
    normals = drawn.interpolate(vertex_normals(vertices, model.faces), model.faces)
    shade = 0.35 + 0.65 * np.clip(-normals[..., 2:], 0, 1)
    picture = rgb * (OUTSIDE + (1 - OUTSIDE) * matte)
    body = (drawn.face >= 0)[..., None]
    picture = np.where(body, picture * (1 - BODY) + TINT * shade * BODY, picture)
    solid = matte[..., 0] > 0.5
    edge = solid & ~(
        np.roll(solid, 1, 0) & np.roll(solid, -1, 0) & np.roll(solid, 1, 1) & np.roll(solid, -1, 1)
    )
    picture[edge] = EDGE
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _stem(name: str) -> str:
    """The name without the picture's suffix; that of a frame as it is."""
    return name if " " in Path(name).suffix else Path(name).stem


def write_report(reports: list[PhotoReport], remarks: list[str], folder: Path) -> list[Path | None]:
    """Writes a picture of each used photo, the photo and `report.json` into `folder`, which is made; returns
    the pictures' paths, None for photos without one. `UserError` where the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = [f"{number:02d}_{_stem(report.name)}" for number, report in enumerate(reports, 1)]
    named = list(zip(reports, stems, strict=True))
    paths = [_written(report.picture, folder / f"{stem}.png") for report, stem in named]
    photos = [_written(report.photo, folder / f"{stem}_photo.jpg") for report, stem in named]
    entries = [
        {
            "name": r.name,
            "used": r.used,
            "text": r.text,
            "picture": path.name if path else None,
            "photo": photo.name if photo else None,
            "pose": r.pose.text() if r.pose else "",
            "people": [[round(x, 3), round(y, 3)] for x, y in r.people],
            "chosen": r.chosen,
        }
        for r, path, photo in zip(reports, paths, photos, strict=True)
    ]
    with replacing(folder / "report.json") as temporary:
        temporary.write_text(json.dumps({"photos": entries, "remarks": remarks}, indent=1), encoding="utf-8")
    return paths


def _written(picture: np.ndarray | None, path: Path) -> Path | None:
    if picture is None:
        return None
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG" if path.suffix == ".png" else "JPEG", quality=92)
    return path
