# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is an avatar the photographed person? `lca eval-likeness`: pictures that an avatar was not made of
beside the avatar in the same pose, of held-out synthetic people and of any photos of one person.

Everything is estimated from the photos as at creation. A held-out picture's camera, pose, expression and gaze
are fitted to it with the shape that the others decided (`Estimator.explain_further`). Of synthetic people
only the held-out picture itself is the truth, with its coverage.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...avatar import Avatar
from ...errors import UserError
from ...from_photos import avatar_from_reading
from ...imaging.correspondence import Estimator, NoPersonError
from ...imaging.crops import Box
from ...imaging.landmarks.face import LEFT_CORNER, RIGHT_CORNER, Face, find_face
from ...imaging.photos import Photo, PhotoError, load_photo, photo_from_array
from ...imaging.reading import Reading
from ...imaging.sighting import Sighting
from ...likeness.photo import FittedPhoto
from ...model.create import place_anchors
from ...model.lca import LCA
from .evaluate import split_views
from .holes import holes
from .identity import SMALL_FACE, Identity, crop_of_head, descriptor_distance
from .measures import box_measures, mean_of, person_measures
from .photo_sheets import head_renders, over_grey, own_pose, pairs_sheet

SAME = 0.6  # dlib's own threshold of one person
MEANS = ("psnr", "ssim", "perceptual", "sharpness_body", "sharpness_face", "akd_percent")


@dataclass(frozen=True)
class Tools:
    """What all avatars are made and measured with; refine: whether avatars are refined; sheets: a folder for
    a picture of each avatar, or None.
    """

    model: LCA
    estimator: Estimator
    identity: Identity | None = None
    say: Callable[[str], None] = print
    sheets: Path | None = None
    refine: bool = True


@dataclass(frozen=True)
class Seen:
    """A photo, the person in it, and the seconds that finding them took; coverage [H,W]: the true one of the
    photo as given, where it is known.
    """

    photo: Photo
    sighting: Sighting
    seconds: float
    coverage: np.ndarray | None = None

    @classmethod
    def of(cls, photo: Photo, estimator: Estimator, coverage: np.ndarray | None = None) -> "Seen":
        """Raises `NoPersonError`."""
        start = time.perf_counter()
        sighting = estimator.see(photo.rgb, photo.alpha, photo.name)
        return cls(photo, sighting, time.perf_counter() - start, coverage)

    def held_out(self, estimator: Estimator, betas: np.ndarray) -> FittedPhoto:
        """With the pose of a person of shape betas [S], and the matte the true one where it is known."""
        found = estimator.explain_further(self.sighting, betas)
        seen = found.seen
        if self.coverage is not None:
            matte = np.ascontiguousarray(np.rot90(self.coverage, seen.turns), np.float32)
            seen = replace(seen, matte=matte)
        return FittedPhoto.of(seen, found.fit, self.photo.name)


def evaluate_people(people, views: int, tools: Tools) -> dict:
    """Held-out synthetic people (`held_out_people`): each one's avatar of `views` photos, compared in the
    views that `split_views` keeps from every creation. The numbers: `_summary`. `UserError` where there is
    nothing to compare.
    """
    avatars, rows, missed = [], [], 0
    for number in range(len(people)):
        tools.say(f"Person {number + 1} of {len(people)}")
        record = people.load(number)
        shown, targets = split_views(record)
        photos, lost = _seen(record, shown[:views], tools)
        held, unseen = _seen(record, targets, tools, clean=True)
        missed += lost + unseen
        if photos and held:
            name = f"person_{number + 1:02d}"
            avatars.append(_measured(photos, held, tools, name, rows))
    return _summary(avatars, rows, missed)


def evaluate_photos_left_out(paths: Sequence[Path], tools: Tools) -> dict:
    """Photos of one person, each compared with the avatar of all others. The numbers: `_summary`. `UserError`
    where fewer than two photos show a person.
    """
    photos: list[Seen] = []
    for path in paths:
        tools.say(f"Looking for the person in {path.name}")
        try:
            photos.append(Seen.of(load_photo(path), tools.estimator))
        except (NoPersonError, PhotoError) as error:
            tools.say(str(error))
    if len(photos) < 2:
        raise UserError(
            "Fewer than two photos show a person; none can be left out.",
            "Give two photos of one person or more.",
        )
    avatars, rows = [], []
    for number, one in enumerate(photos):
        tools.say(f"Without photo {number + 1} of {len(photos)}")
        others = photos[:number] + photos[number + 1 :]
        avatars.append(_measured(others, [one], tools, f"without_{Path(one.photo.name).stem}", rows))
    return _summary(avatars, rows, len(paths) - len(photos))


def _seen(record: dict, views: Sequence[int], tools: Tools, clean: bool = False) -> tuple[list[Seen], int]:
    """Views of a record in which somebody is found, and the number of the others; clean: whose coverage is
    the truth that an avatar is compared with.
    """
    found = []
    for view in views:
        rgba = record["rgba"][view]
        photo = photo_from_array(rgba[..., :3], f"View {view + 1}")
        try:
            found.append(Seen.of(photo, tools.estimator, rgba[..., 3] / np.float32(255) if clean else None))
        except NoPersonError as error:
            tools.say(str(error))
    return found, len(views) - len(found)


def _measured(photos: list[Seen], held: list[Seen], tools: Tools, name: str, rows: list[dict]) -> dict:
    """The avatar of `photos` and its own numbers; those of every held-out picture are added to `rows`."""
    photos = sorted(photos, key=lambda one: one.photo.sha256)  # as `read_photos` has them
    start = time.perf_counter()
    found = tuple(tools.estimator.explain([one.sighting for one in photos]))
    reading = Reading(tuple(one.photo for one in photos), found, (), ())
    looking = sum(one.seconds for one in photos)
    anchors, drafts = place_anchors(tools.model.config, attributes=False), []

    def first(draft: Avatar) -> None:
        drafts.append((draft, time.perf_counter() - start + looking))

    avatar, own = avatar_from_reading(reading, tools.model, anchors=anchors, refine=tools.refine, first=first)
    seconds = time.perf_counter() - start + looking
    draft, sooner = drafts[0] if drafts else (avatar, seconds)
    shown = [person_measures(own_pose(avatar, photo), over_grey(photo), photo) for photo in own]
    compared = [one.held_out(tools.estimator, found[0].fit.betas) for one in held]
    renders = head_renders(avatar)[1:] if tools.identity else []
    for photo in compared:
        row = picture_scores(avatar, photo, tools.identity, renders)
        unrefined = box_measures(own_pose(draft, photo), over_grey(photo), photo.seen.matte > 0.5)
        rows.append(row | {"unrefined": unrefined})
    if tools.sheets is not None:
        pairs_sheet(tools.sheets / f"{name}.png", avatar, compared)
    numbers = {"seconds_first": sooner, "seconds_refined": seconds, "unrefined_holes": holes(draft)}
    return {"input_psnr": mean_of(shown, "psnr_body"), "holes": holes(avatar), **numbers}


def picture_scores(
    avatar: Avatar, photo: FittedPhoto, identity: Identity | None, renders: list[np.ndarray]
) -> dict:
    """One held-out picture beside the avatar in its pose. renders: uint8 pictures of the avatar's head from
    the sides. The keys are those of `_summary`, `distances` the descriptors' of the render and of `renders`.
    """
    image, target = own_pose(avatar, photo), over_grey(photo)
    row = person_measures(image, target, photo) | box_measures(image, target, photo.seen.matte > 0.5)
    face = photo.seen.face
    if face is not None:
        row["akd_percent"] = points_apart(image, photo)
        if identity is not None and face.size >= SMALL_FACE:
            row["distances"] = identity_distances(image, photo, identity, renders)
    return {key: value for key, value in row.items() if value is not None}


def points_apart(image: np.ndarray, photo: FittedPhoto) -> float:
    """Mean distance of the 478 landmarks of the face in an image from the photo's, in percent of the distance
    of the outer corners of the eyes (in space, so that it does not shrink as the head turns); NaN where no
    face is found in the image.
    """
    found, face = find_face(_bytes(image), photo.seen.pose), photo.seen.face
    if found is None:
        return np.nan
    corners = np.linalg.norm(face.points[LEFT_CORNER] - face.points[RIGHT_CORNER])
    return float(100 * np.linalg.norm((found.points - face.points)[:, :2], axis=1).mean() / corners)


def identity_distances(
    image: np.ndarray, photo: FittedPhoto, identity: Identity, renders: list[np.ndarray]
) -> list[float] | None:
    """Of the face's descriptors in the photo and in the image, then in `renders`; NaN where no face is found
    there, None where none is found in the photo.
    """
    rgb, head = _bytes(photo.seen.rgb), _head(photo.seen.face, image.shape[:2])
    own = identity.describe(rgb[head])
    if own is None:
        return None
    pictures = [_bytes(image)[head], *renders]
    return [descriptor_distance(own, identity.describe(picture)) for picture in pictures]


def _head(face: Face, size: tuple[int, int]) -> tuple[slice, slice]:
    """Where this person's head is in a photo, with room about it: others may be in it too."""
    box = Box.of_mask(crop_of_head(face, size, grow=1.2))
    return slice(box.top, box.bottom), slice(box.left, box.right)


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _summary(avatars: list[dict], rows: list[dict], missed: int) -> dict:
    """Means over avatars and over held-out pictures; None where nothing was measured.

    avatars, pictures: how many; missed: photos in which nobody was found. input_psnr: decibels on the person
    in the poses of the photos that an avatar was made of; psnr, ssim, perceptual: of held-out pictures
    (`measures.box_measures`); sharpness_body, sharpness_face: gradient energy of
    the render over the picture's. identity_front, identity_side: medians of the distance of dlib's face
    descriptors between the picture and the avatar, in its pose and at rest from +-35 degrees; identity_found:
    share of these renders in which dlib finds a face; same_person: share of all these renders below 0.6; only
    pictures count in which dlib finds a face of 60 pixels or more. akd_percent: `points_apart`, of pictures
    with a face; akd_found: share of these in whose render a face is found. holes: `holes.holes`;
    seconds_first, seconds_refined: from photos to the avatar before and after refinement (equal where it is
    not refined); unrefined: means of the former.
    """
    if not rows:
        raise UserError("Nobody's avatar could be made and compared; there is nothing to measure.")
    distances = np.array([row["distances"] for row in rows if "distances" in row]).reshape(-1, 3)
    known = len(distances) > 0
    unrefined = [row["unrefined"] for row in rows]
    faces = [np.isfinite(row["akd_percent"]) for row in rows if "akd_percent" in row]
    return {
        "avatars": len(avatars),
        "pictures": len(rows),
        "missed": missed,
        "input_psnr": mean_of(avatars, "input_psnr"),
        **{key: mean_of(rows, key) for key in MEANS},
        "akd_found": round(float(np.mean(faces)), 3) if faces else None,
        "identity_front": _median(distances[:, 0]),
        "identity_side": _median(distances[:, 1:]),
        "identity_found": round(float(np.isfinite(distances).mean()), 3) if known else None,
        "same_person": round(float((distances < SAME).mean()), 3) if known else None,
        "holes": round(float(np.mean([one["holes"] for one in avatars])), 5),
        "unrefined": {
            **{key: mean_of(unrefined, key) for key in ("psnr", "ssim", "perceptual")},
            "holes": round(float(np.mean([one["unrefined_holes"] for one in avatars])), 5),
        },
        "seconds_first": mean_of(avatars, "seconds_first"),
        "seconds_refined": mean_of(avatars, "seconds_refined"),
    }


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 3) if len(known) else None
