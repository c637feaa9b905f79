# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading photos: the choice of a person, orientation, correspondence, coverage and reports."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from lca_blender.backend.imaging.correspondence import Estimator, NoPersonError
from lca_blender.backend.imaging.coverage import unseen_parts, unseen_sentence
from lca_blender.backend.imaging.fit.photo_pose import PhotoPose
from lca_blender.backend.imaging.photos import photo_from_array
from lca_blender.backend.imaging.reading import read_photos
from lca_blender.backend.imaging.report import photo_reports, write_report
from lca_blender.backend.imaging.views import network_views, on_template
from lca_blender.backend.jobs import Cancelled
from lca_blender.backend.model.config import ModelConfig
from lca_blender.backend.training.people import poses
from lca_blender.backend.training.people.cameras import body_extent, frame
from lca_blender.backend.training.people.lights import direction, neutral_light
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import pose_person, render_posed
from PIL import Image
from skimage import data as pictures

from lca_blender.demo.photos import before_a_wall

ESTIMATOR = Estimator()
HEIGHT, WIDTH = 512, 384


@cache
def person(number: int, azimuth: float = 8.0, region: str = "body"):
    """Held-out person `number` standing before a wall: (rgb, alpha, template points)."""
    someone, rng = sample_person(1_000_000 + number), np.random.default_rng(number)
    pose = poses.standing(rng)
    posed = pose_person(someone, pose.rotations, root=pose.root)
    points = body_extent(posed.transforms, region)
    eye = points.mean(0) + (3.6 if region == "body" else 1.6) * direction(azimuth, 3.0)
    view = render_posed(someone, posed, frame(points, eye, WIDTH, HEIGHT, 0.86), neutral_light())
    rgb = before_a_wall(rng, view.rgba).astype(np.float32) / 255
    return rgb, view.rgba[..., 3] / 255, view.template_map


@cache
def read(number: int, azimuth: float = 8.0):
    return ESTIMATOR.estimate(person(number, azimuth)[0])


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("number", [24, 31, 43])
def test_people_are_found_cut_out_and_explained(number):
    _, alpha, truth = person(number)
    found = read(number)
    assert overlap(found.matte > 0.5, alpha > 0.5) > 0.95
    both = (found.matte > 0.5) & truth.any(-1)
    away = np.linalg.norm(found.points - truth, axis=-1)[both]
    assert np.median(away) < 0.04
    assert (away > 0.15).mean() < 0.1
    assert found.head is not None
    assert np.all(found.points[found.matte == 0] == 0)
    assert found.confidence.max() <= 1


def test_seen_from_behind_and_from_the_side():
    """Front and back, left and right are not exchanged."""
    for azimuth in (186.0, 90.0):
        truth, found = person(24, azimuth)[2], read(24, azimuth)
        both = (found.matte > 0.5) & truth.any(-1)
        away = np.linalg.norm(found.points - truth, axis=-1)[both]
        assert np.median(away) < 0.06, azimuth


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_photos_on_their_side_or_head_are_turned(turns):
    rgb = person(24)[0]
    seen = ESTIMATOR.see(np.ascontiguousarray(np.rot90(rgb, -turns)))
    assert seen.turns == turns
    assert np.array_equal(seen.rgb, rgb)
    assert any("rotated" in note for note in seen.remarks("photo.jpg"))
    assert overlap(seen.matte > 0.5, person(24)[1] > 0.5) > 0.9


@pytest.mark.parametrize("share", [0.3, 0.15])
def test_people_far_away_are_found(share):
    """A whole person on a small part of a wide picture."""
    rows = round(1200 * share / 0.86)
    small = np.asarray(
        Image.fromarray((person(24)[0] * 255).astype(np.uint8)).resize((round(rows * WIDTH / HEIGHT), rows))
    )
    top, left = int((1200 - rows) * 0.6), (1600 - small.shape[1]) // 2
    room = ((top, 1200 - top - rows), (left, 1600 - left - small.shape[1]), (0, 0))
    seen = ESTIMATOR.see(np.pad(small, room, "edge").astype(np.float32) / 255)
    y = np.nonzero(seen.matte > 0.5)[0]
    assert top - 5 < y.min() < y.max() < top + rows + 5
    assert np.ptp(y) > 0.7 * 1200 * share


def test_of_two_people_one_is_used_and_the_other_can_be_chosen():
    both = np.concatenate([person(24)[0], person(31)[0]], 1)
    seen = ESTIMATOR.see(both)
    assert len(seen.people) == 2
    (note,) = seen.remarks("two.jpg")
    assert "2 people" in note
    for number, side in ((1, slice(0, WIDTH)), (2, slice(WIDTH, 2 * WIDTH))):
        chosen = ESTIMATOR.see(both, person=number)
        assert (chosen.matte[:, side] > 0.5).sum() > 0.95 * (chosen.matte > 0.5).sum()
    with pytest.raises(NoPersonError, match="no number 3"):
        ESTIMATOR.see(both, person=3)


def test_the_users_alpha_is_the_matte():
    rgb, alpha, _ = person(24)
    own = np.where(np.arange(HEIGHT)[:, None] < 300, alpha, 0).astype(np.float32)
    assert np.array_equal(ESTIMATOR.see(rgb, own).matte, own)


@pytest.mark.parametrize("name", ["moon", "brick", "grass", "page", "coins"])
def test_pictures_of_nobody_are_refused(name):
    picture = np.asarray(getattr(pictures, name)(), np.float32) / 255
    with pytest.raises(NoPersonError, match="shows no person"):
        ESTIMATOR.see(np.repeat(picture[..., None], 3, -1))


def test_the_astronaut_is_found_with_her_face():
    rgb = pictures.astronaut().astype(np.float32) / 255
    found = ESTIMATOR.estimate(rgb)
    assert found.seen.face is not None
    assert found.head is not None
    assert 0.25 < (found.matte > 0.5).mean() < 0.6
    ahead = -(found.fit.frames().turn[0] @ (0, -1, 0))[2]
    assert ahead > 0.5
    missing = unseen_parts([(found.points, found.confidence)])
    assert "the back" in missing
    assert "the face" not in missing


def test_one_good_photo_from_the_front_shows_legs_and_arms():
    for number in (24, 31, 43):
        found = read(number)
        said = unseen_parts([(found.points, found.confidence)])
        assert not [part for part in said if "leg" in part or "arm" in part], said
        assert "the back" in said


def test_what_no_photo_shows_is_a_sentence_with_advice():
    assert unseen_sentence([]) == ""
    assert (
        unseen_sentence(["the back"]) == "Not visible in any photo; filled in: the back. Add a photo of it."
    )
    said = unseen_sentence(["the face", "the legs", "the feet"])
    assert said == "Not visible in any photo; filled in: the face, the legs and the feet. Add photos of them."


def test_photos_become_what_the_network_is_shown():
    shots = [photo_from_array(person(24, azimuth)[0], f"{azimuth:.0f}.png") for azimuth in (8.0, 186.0)]
    empty = photo_from_array(pictures.brick(), "wall.png")
    fractions = []
    reading = read_photos(
        [*shots, empty], ESTIMATOR, progress=lambda share, _text="": fractions.append(share)
    )
    assert fractions == sorted(fractions)
    assert reading.refused == (("wall.png", reading.refused[0][1]),)
    assert any("wall.png shows no person" in remark for remark in reading.remarks)
    config = ModelConfig()
    views = network_views(reading, config)
    assert views.body.shape == (2, *config.body_size, 4)
    assert len(views.photo_hashes) == 2
    for source in views.sources:
        solid = source.matte > 0
        assert solid.mean() > 0.05
        _, off = on_template(source.points[solid])
        assert off.max() < 0.02
    again = read_photos([empty, *shots[::-1]], ESTIMATOR)
    assert [photo.name for photo in again.photos] == [photo.name for photo in reading.photos]
    assert all(np.array_equal(a.points, b.points) for a, b in zip(again.found, reading.found, strict=True))


def test_nobody_in_any_photo_and_cancelling():
    walls = [photo_from_array(pictures.brick(), "a.png"), photo_from_array(pictures.grass(), "b.png")]
    with pytest.raises(NoPersonError, match="No photo shows a person"):
        read_photos(walls, ESTIMATOR)
    with pytest.raises(NoPersonError, match=r"a\.png shows no person"):
        read_photos(walls[:1], ESTIMATOR)
    with pytest.raises(Cancelled):
        read_photos(walls, ESTIMATOR, cancelled=lambda: True)


def test_the_report_says_what_became_of_every_photo(tmp_path):
    shots = [photo_from_array(person(24)[0], "front.png"), photo_from_array(pictures.brick(), "wall.png")]
    reading = read_photos(shots, ESTIMATOR)
    reports = photo_reports(reading)
    assert [report.used for report in reports] == [True, False]
    assert reports[0].text.startswith("Seen from the front: the face")
    assert "no person" in reports[1].text
    paths = write_report(reports, list(reading.remarks), tmp_path / "report")
    assert Image.open(paths[0]).size == (WIDTH, HEIGHT)
    assert paths[1] is None
    listed = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [entry["name"] for entry in listed["photos"]] == ["front.png", "wall.png"]
    assert listed["photos"][0]["people"] == [[pytest.approx(0.5, abs=0.1), pytest.approx(0.5, abs=0.1)]]
    photo = Image.open(tmp_path / "report" / listed["photos"][0]["photo"])
    assert np.abs(np.asarray(photo) / 255 - reading.found[0].seen.rgb).mean() < 0.02
    fit = PhotoPose.read(listed["photos"][0]["pose"]).fit(reading.found[0].seen.size)
    assert fit.joints() == pytest.approx(reading.found[0].fit.joints(), abs=1e-4)
    assert fit.focal == pytest.approx(reading.found[0].fit.focal, rel=1e-5)
    kept = replace(PhotoPose.of(fit), pelvis=fit.joints()[0] + (0.2, 0, 0))
    again = read_photos(shots[:1], ESTIMATOR, poses={"front.png": kept})
    assert again.found[0].fit.joints()[0] == pytest.approx(kept.pelvis, abs=1e-5)
    overlay = np.asarray(Image.open(paths[0])).astype(int)
    green = overlay[..., 1] - (overlay[..., 0] + overlay[..., 2]) / 2
    assert green[person(24)[1] > 0.5].mean() > 25
    assert green[person(24)[1] < 0.1].mean() < 5
