# SPDX-License-Identifier: GPL-3.0-or-later
"""How well are people found, fitted and shown? `lca eval-photos`: on held-out synthetic people, whose truth
is known, and on any folder of photos, each by itself or all of one person.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...avatar import Avatar
from ...body.skeleton import INDEX
from ...body.template import load_template
from ...errors import UserError
from ...from_photos import avatar_from_reading
from ...imaging.correspondence import Correspondence, Estimator, NoPersonError
from ...imaging.landmarks.face import LEFT_EYE, LIDS, LIPS, RIGHT_EYE
from ...imaging.photos import load_photo
from ...imaging.reading import read_photos
from ...likeness.photo import FittedPhoto
from ...model.create import place_anchors
from .identity import SMALL_FACE, Identity, descriptor_distance
from .measures import box_measures, mean_of, person_measures
from .photo_sheets import head_renders, over_grey, own_pose, photo_sheet

BODY_VIEWS, HEAD_VIEWS, SIZE = 3, 2, (512, 384)  # pictures of each synthetic person
LIMBS = ("upper_arm", "forearm", "hand", "thigh", "shin", "foot")
FACE_ROWS = [*LIPS, *RIGHT_EYE[:LIDS], *LEFT_EYE[:LIDS]]


# --- synthetic people ----------------------------------------------------------------------------


def evaluate_synthetic(people: int, estimator: Estimator, say: Callable[[str], None] = print) -> dict:
    """Held-out people over random backgrounds, every photo by itself.

    found, asked: photos of bodies; joints_median_cm, joints_mean_cm: of shoulders, elbows, wrists, hips,
    knees and ankles inside the photo, in the picture, at the pelvis' depth; points_median_mm: median over
    photos of the median error of the template's points; face_median_mm: the same at lids and lips, of photos
    whose face was found, heads too; matte_iou_median: over body photos, 0 where nobody was found;
    seconds_a_photo: their median.
    """
    from ..people.backgrounds import compose_background
    from ..people.dataset import HELD_OUT, make_person_record
    from ..people.records import restore_map

    joints, points, faces, mattes, seconds, found = [], [], [], [], [], 0
    for number in range(people):
        say(f"Person {number + 1} of {people}")
        record = make_person_record(HELD_OUT + number, *SIZE, BODY_VIEWS, HEAD_VIEWS)
        maps, rng = restore_map(record["template_map"]), np.random.default_rng([7, number])
        for view in range(BODY_VIEWS + HEAD_VIEWS):
            rgba, body = record["rgba"][view], view < BODY_VIEWS
            rgb = np.asarray(compose_background(rng, rgba))[..., :3].astype(np.float32) / 255
            start = time.perf_counter()
            try:
                answer = estimator.estimate(rgb)
            except NoPersonError:
                mattes += [0.0] if body else []
                continue
            if body:
                seconds.append(time.perf_counter() - start)
                found += 1
                joints += joint_errors(answer, record, view)
                points.append(float(np.median(_point_errors(answer, maps[view]))))
                mattes.append(_overlap(answer.matte > 0.5, rgba[..., 3] > 127))
            if answer.seen.face is not None and (off := _face_errors(answer, maps[view])):
                faces.append(float(np.median(off)))
    if not found:
        raise UserError("Nobody was found in any photo; there is nothing to measure.")
    median = lambda values, digits: round(float(np.median(values)), digits)  # noqa: E731
    return {
        "found": found,
        "asked": BODY_VIEWS * people,
        "joints_median_cm": median(joints, 2),
        "joints_mean_cm": round(float(np.mean(joints)), 2),
        "points_median_mm": median(1000 * np.array(points), 1),
        "face_median_mm": median(1000 * np.array(faces), 1) if faces else None,
        "matte_iou_median": median(mattes, 3),
        "seconds_a_photo": median(seconds, 2),
    }


def joint_errors(answer: Correspondence, record: dict, view: int) -> list[float]:
    """Centimetres by which the joints of the limbs inside the picture are off, at the pelvis' depth."""
    heads = np.concatenate([load_template().joint_heads, np.ones((len(INDEX), 1))], 1)
    world = np.einsum("jab,jb->ja", record["transforms"][view][:, :3], heads)
    viewmat, K = record["viewmats"][view], record["Ks"][view]
    camera = world @ viewmat[:3, :3].T + viewmat[:3, 3]
    truth = (camera @ K.T)[:, :2] / camera[:, 2:]
    rows = [INDEX[f"{name}.{side}"] for side in "LR" for name in LIMBS]
    height, width = answer.matte.shape
    inside = ((truth[rows] > 0) & (truth[rows] < (width, height))).all(1)
    own = answer.fit.project(answer.fit.joints())
    apart = np.linalg.norm(own - truth, axis=1)[rows][inside]
    return (100 * apart * camera[0, 2] / K[0, 0]).tolist()


def _point_errors(answer: Correspondence, truth: np.ndarray) -> np.ndarray:
    """Metres at the pixels that answer and truth [H,W,3] call the person's."""
    both = (answer.matte > 0.5) & truth.any(-1)
    return np.linalg.norm(answer.points - truth, axis=-1)[both] if both.any() else np.ones(1)


def _face_errors(answer: Correspondence, truth: np.ndarray) -> list[float]:
    """Metres at the pixels of lids and lips."""
    height, width = truth.shape[:2]
    pixels = answer.seen.face.points[FACE_ROWS, :2].round().astype(int)
    inside = ((pixels >= 0) & (pixels < (width, height))).all(1)
    x, y = pixels[inside].T
    known = truth[y, x].any(-1) & answer.points[y, x].any(-1)
    return np.linalg.norm(answer.points[y, x] - truth[y, x], axis=-1)[known].tolist()


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


# --- photos without a truth ----------------------------------------------------------------------


def evaluate_photos(
    paths: Sequence[Path],
    model,
    estimator: Estimator,
    together: bool = False,
    identity: Identity | None = None,
    say: Callable[[str], None] = print,
    sheets: Path | None = None,
    refine: bool = True,
) -> tuple[dict, list[tuple[Path, dict]]]:
    """Means over photos, and each photo's numbers; a photo's avatar is made of it alone, or of all
    (`together`). sheets: a folder for a picture of each avatar (`photo_sheets.photo_sheet`); refine: whether
    avatars are refined.

    used, asked: photos; own_pose_psnr_body, own_pose_psnr_face: decibels of the avatar in the photo's own
    fitted pose, on the matte's pixels, over grey; own_pose_perceptual: `perceptual_distance` there, over the
    person's bounding box; sharpness_body, sharpness_face: gradient energy of the render over the photo's;
    identity_front, identity_side: medians of the distance of face descriptors between the photo and renders
    at 0 and at +-35 degrees (below 0.6: the same person to dlib), of photos whose face has 60 pixels and is
    found by dlib; identity_found: share of these renders in which dlib finds a face. None where nothing was
    measured.
    """
    anchors = place_anchors(model.config, attributes=False)
    rows: list[tuple[Path, dict]] = []
    groups = [list(paths)] if together else [[path] for path in paths]
    for number, group in enumerate(groups):
        say(f"Avatar {number + 1} of {len(groups)}")
        try:
            loaded = [load_photo(path) for path in group]
            reading = read_photos(loaded, estimator)
        except UserError as error:
            say(str(error))
            continue
        avatar, fitted = avatar_from_reading(reading, model, anchors=anchors, refine=refine)
        names = {photo.sha256: path for photo, path in zip(loaded, group, strict=True)}
        if sheets is not None:
            photo_sheet(sheets / f"{number + 1:02d}_{group[0].stem}.png", avatar, reading.found)
        renders = head_renders(avatar) if identity else []
        for photo, one in zip(reading.photos, fitted, strict=True):
            rows.append((names[photo.sha256], _scores(avatar, one, identity, renders)))
    return _summary([row for _, row in rows], len(paths)), rows


def _scores(avatar: Avatar, photo: FittedPhoto, identity: Identity | None, renders: list[np.ndarray]) -> dict:
    image, target = own_pose(avatar, photo), over_grey(photo)
    row = person_measures(image, target, photo)
    row["perceptual"] = box_measures(image, target, photo.seen.matte > 0.5)["perceptual"]
    face = photo.seen.face
    if identity is not None and face is not None and face.size >= SMALL_FACE:
        own = identity.describe((photo.seen.rgb * 255).astype(np.uint8))
        if own is not None:
            row["identity"] = [descriptor_distance(own, identity.describe(render)) for render in renders]
    return row


def _summary(rows: list[dict], asked: int) -> dict:
    result = {"used": len(rows), "asked": asked}
    for key in ("psnr_body", "psnr_face", "perceptual", "sharpness_body", "sharpness_face"):
        result[key if key.startswith("sharpness") else f"own_pose_{key}"] = mean_of(rows, key)
    distances = np.array([row["identity"] for row in rows if "identity" in row]).reshape(-1, 3)
    known = len(distances) > 0
    result["identity_front"] = round(float(np.nanmedian(distances[:, 0])), 3) if known else None
    result["identity_side"] = round(float(np.nanmedian(distances[:, 1:])), 3) if known else None
    result["identity_found"] = round(float(np.isfinite(distances).mean()), 3) if known else None
    return result
