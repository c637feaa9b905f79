# SPDX-License-Identifier: GPL-3.0-or-later
"""How well are people found in photos who were never seen? `lca eval-estimator --people 16 --json`.

Held-out synthetic people over random backgrounds, every photo by itself, once with the network's answer alone
and once with the body that is fitted to it.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...body.skeleton import INDEX
from ...body.template import load_template
from ...errors import UserError
from ...people.backgrounds import compose_background
from ...people.dataset import HELD_OUT, PeopleDataset, make_person_record
from ...people.records import restore_map
from ...people.textures import TextureBank
from ..body_fit import BodyFit
from ..correspondence import Correspondence, Estimator, NoPersonError
from ..fusing import draw_in
from ..pose_prior import load_prior

VIEWS_BODY, VIEWS_FACE = 4, 2
WRONG = 0.15  # metres
EMPTY = 32  # pictures without a person


def evaluate(
    estimator: Estimator, people: int = 16, data: Path | None = None, say: Callable[[str], None] = print
) -> dict[str, float]:
    """Means over photos (four of the body and two of the head a person); lengths in centimetres.

    matte_iou; point_mean, point_median, point_wrong (share more than 15 cm off) of the pixels that estimate
    and truth call a person, and the same as network_* before the fit; joint_mean, joint_median: distance of
    the free joints of the body's photos, pelvis on pelvis; fit_iou: the fitted body's outline against the
    person's, clothes and hair included; fits: share of photos whose fit was believed; missed: photos in which
    nobody was found; refused: share of pictures without a person that are refused; seconds a photo.
    """
    rows, joints, missed, seconds = [], [], 0, []
    for number, record in enumerate(_records(range(HELD_OUT, HELD_OUT + people), data)):
        say(f"Person {number + 1} of {people}")
        rng = np.random.default_rng([7, number])
        is_face = record["is_face"].astype(bool)
        views = [*np.flatnonzero(~is_face)[:VIEWS_BODY], *np.flatnonzero(is_face)[:VIEWS_FACE]]
        for view in views:
            rgba, truth = record["rgba"][view], record["template_map"][view].astype(np.float32)
            rgb = np.asarray(compose_background(rng, rgba))[..., :3].astype(np.float32) / 255
            start = time.perf_counter()
            try:
                seen = estimator.see(rgb)
                found = estimator.explain([seen])[0]
            except NoPersonError:
                missed += 1
                continue
            seconds.append(time.perf_counter() - start)
            plain = estimator.explain([seen], fitted=False)[0]
            person = rgba[..., 3] > 127
            rows.append({**_pixels(found, truth, person), **_prefixed(_pixels(plain, truth, person))})
            rows[-1]["fits"] = float(found.fit is not None)
            if found.fit is not None:
                _, body = draw_in(found.fit, *person.shape)
                rows[-1]["fit_iou"] = _overlap(body, person)
                if not is_face[view]:
                    joints.append(_joint_error(found.fit, record, view))
    if not rows:
        raise UserError("Nobody was found in any photo; there is nothing to measure.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    result = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    if joints:
        result |= {"joint_mean": float(np.mean(joints)), "joint_median": float(np.median(joints))}
    result |= {"missed": missed, "refused": _refused(estimator), "seconds": float(np.median(seconds))}
    return {name: round(value, 4) for name, value in result.items()}


def _records(seeds: range, data: Path | None) -> Iterator[dict]:
    dataset = PeopleDataset(data) if data is not None else None
    place = {seed: n for n, seed in enumerate(dataset.seeds)} if dataset is not None else {}
    for seed in seeds:
        if seed in place:
            yield dataset.load(place[seed])
        else:
            record = make_person_record(seed)
            yield {**record, "template_map": restore_map(record["template_map"])}


def _pixels(found: Correspondence, truth: np.ndarray, person: np.ndarray) -> dict[str, float]:
    seen = found.matte > 0.5
    both = seen & person
    distance = np.linalg.norm(found.points - truth, axis=-1)[both] if both.any() else np.ones(1)
    return {
        "matte_iou": _overlap(seen, person),
        "point_mean": 100 * float(distance.mean()),
        "point_median": 100 * float(np.median(distance)),
        "point_wrong": float((distance > WRONG).mean()),
    }


def _prefixed(row: dict[str, float]) -> dict[str, float]:
    return {f"network_{name}": value for name, value in row.items() if name != "matte_iou"}


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def _joint_error(fit: BodyFit, record: dict, view: int) -> float:
    """Mean distance in centimetres of the free joints from the truth in the camera's axes, the pelvis put on
    the pelvis.
    """
    heads = np.concatenate([load_template().joint_heads, np.ones((len(INDEX), 1))], 1)
    world = np.einsum("jab,jb->ja", record["transforms"][view][:, :3], heads)
    viewmat = record["viewmats"][view]
    truth = world @ viewmat[:3, :3].T + viewmat[:3, 3]
    found = fit.joints()
    apart = np.linalg.norm((found - found[0]) - (truth - truth[0]), axis=1)
    return 100 * float(apart[load_prior().joints].mean())


def _refused(estimator: Estimator) -> float:
    rng = np.random.default_rng(3)
    textures = TextureBank(np.random.default_rng(4), 24)
    refused = 0
    for _ in range(EMPTY):
        picture = textures.scene(rng, None, 384, 288).astype(np.float32) / 255
        try:
            estimator.see(picture)
        except NoPersonError:
            refused += 1
    return refused / EMPTY
