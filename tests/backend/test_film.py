# SPDX-License-Identifier: GPL-3.0-or-later
"""Films as photos: which frames are chosen, who is followed, and what cannot be used."""

from dataclasses import replace

import numpy as np
import pytest
from films import RATE, held_upright, turning_person, write_movie
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.cli import main
from lca_blender.backend.imaging import following, loading, movies
from lca_blender.backend.imaging.correspondence import Estimator, NoPersonError
from lca_blender.backend.imaging.film import read_film
from lca_blender.backend.imaging.frame_choice import (
    LEAST_SHARP,
    NEAR,
    choose_frames,
    describe,
    facing,
    relative_sharpness,
)
from lca_blender.backend.imaging.loading import load
from lca_blender.backend.imaging.movies import frames_at, raw_frames, upright
from lca_blender.backend.imaging.photos import PhotoError, photo_from_array
from lca_blender.backend.imaging.reading import read_photos
from lca_blender.backend.imaging.report import photo_reports, write_report
from lca_blender.backend.imaging.sampling import MOST_SAMPLES, sample_film
from lca_blender.backend.jobs import Cancelled
from sightings import known, observed
from skimage.data import astronaut, brick


def on_circle(degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def largest_gap(degrees):
    turned = np.sort(np.asarray(degrees) % 360)
    return np.diff([*turned, turned[0] + 360]).max()


# --- the choice -----------------------------------------------------------------------------------


def test_frames_of_a_turn_are_spread_over_it():
    """Half of the film stands still: an even choice in time leaves large gaps."""
    degrees = np.concatenate([np.zeros(36), np.arange(0, 360, 10), np.zeros(36)])
    chosen = choose_frames(on_circle(degrees), np.ones(108), np.ones(108), 16)
    assert len(chosen) == 16
    assert largest_gap(degrees[chosen]) <= 40
    assert largest_gap(degrees[np.linspace(0, 107, 16).round().astype(int)]) >= 70


def test_of_equal_frames_the_sharper_is_chosen():
    degrees = np.repeat(np.arange(0, 360, 30), 2)
    sharpness = np.tile([0.5, 1.0], 12)
    chosen = choose_frames(on_circle(degrees), sharpness, np.ones(24), 16)
    assert chosen == list(range(1, 24, 2))


def test_the_first_is_the_one_that_is_preferred():
    assert choose_frames(on_circle([0, 90, 180]), np.ones(3), np.array([0.1, 0.9, 0.3]), 1) == [1]
    assert choose_frames(np.zeros((0, 2)), np.zeros(0), np.zeros(0), 3) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 16))
def test_no_choice_is_blurred_or_a_double(seed, total, count):
    rng = np.random.default_rng(seed)
    descriptors, sharpness = on_circle(rng.uniform(0, 360, total)), rng.uniform(0, 1, total)
    chosen = choose_frames(descriptors, sharpness, rng.uniform(0, 1, total), count)
    assert 1 <= len(chosen) <= count
    assert chosen == sorted(set(chosen))
    assert sharpness[chosen].min() >= min(LEAST_SHARP, sharpness.max())
    apart = np.linalg.norm(descriptors[chosen][:, None] - descriptors[chosen][None], axis=-1)
    assert apart[~np.eye(len(chosen), dtype=bool)].min(initial=1) > NEAR


def test_sharpness_is_that_beside_the_neighbours_in_time():
    """A picture of less contrast is not blurred; blur along one axis alone is found."""
    energy = np.array([[9.0, 9], [8.1, 1], [9, 9], [0.1, 0.1], [0.05, 0.1]])
    seconds = np.array([0, 0.2, 0.4, 5.0, 5.2])
    np.testing.assert_allclose(relative_sharpness(energy, seconds), [1, 1 / 9, 1, 1, 0.5])


def test_a_turn_of_the_body_is_the_distance_of_its_descriptors():
    pose = observed(known(1)).pose
    first = describe(pose, 480)
    np.testing.assert_allclose(describe(replace(pose, world=pose.world + 1), 480), first, atol=1e-9)
    for degrees in (15, 90, 180):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turned = replace(pose, world=pose.world @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]))
        # The trunk's axes turn about the vertical, and limbs, which are described in the trunk's axes, stay.
        apart = np.linalg.norm(describe(turned, 480) - first)
        assert apart == pytest.approx(2 * np.sin(np.radians(degrees) / 2), rel=0.02)
    front, back = (
        facing(replace(observed(known(1, yaw)).pose, visibility=np.ones(33), presence=np.ones(33)))
        for yaw in (0, 180)
    )
    assert front > 0.8 > 0.2 > back


# --- reading --------------------------------------------------------------------------------------


def test_samples_are_few_and_spread_however_long_the_film_is(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(8)]
    path = write_movie(tmp_path / "long.mkv", [frames[n % 8] for n in range(3 * MOST_SAMPLES)], rate=60)
    samples = sample_film(path, [], lambda share: None)
    seconds = np.array([sample.seconds for sample in samples])
    assert MOST_SAMPLES / 2 <= len(samples) <= MOST_SAMPLES
    assert seconds[0] == 0
    assert seconds[-1] > 0.98 * (3 * MOST_SAMPLES - 1) / 60
    assert np.ptp(np.diff(seconds)) < 0.01
    few = write_movie(tmp_path / "few.mp4", frames, seconds=[0, 0.1, 0.15, 0.5, 1.5, 1.6, 2.5, 2.6])
    np.testing.assert_allclose(
        [sample.seconds for sample in sample_film(few, [], lambda share: None)],
        [0, 0.1, 0.15, 0.5, 1.5, 1.6, 2.5, 2.6],
        atol=2e-3,
    )


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mpg"])
def test_frames_are_found_again(tmp_path, suffix):
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(40)]
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    path = write_movie(tmp_path / f"film.{suffix}", frames, 25, codec)
    every = {at: upright(frame, 160).copy() for at, _, frame in raw_frames(path)}
    wanted = [*list(every)[::9], list(every)[-1]]
    again = dict(frames_at(path, wanted))
    assert sorted(again) == wanted
    for at in wanted:
        assert np.array_equal(upright(again[at], 160), every[at])


def test_a_film_of_a_phone_that_was_turned_is_upright(tmp_path):
    corner = np.zeros((96, 160, 3), np.uint8)
    corner[:48, :80] = 255
    path = held_upright(write_movie(tmp_path / "phone.mp4", [corner] * 3))
    for _, frame in frames_at(path, [0.0]):
        shown = upright(frame, 200)
        assert shown.shape == (160, 96, 3)
        assert shown[:70, 60:].min() > 200
        assert max(shown[90:].max(), shown[:70, :40].max()) < 50


# --- films of a person ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def turning():
    return turning_person()


@pytest.fixture(scope="module")
def turn(turning, tmp_path_factory):
    """A film: a still second, a turn in which every other frame is blurred, a still second; and the azimuth
    and blur of its frames.
    """
    order = [0] * RATE + [n // 2 for n in range(48)] + [0] * RATE
    blurs = [0 if n % 2 else 9 for n in range(len(order))]
    pictures = [turning.before_wall(n, blur) for n, blur in zip(order, blurs, strict=True)]
    path = write_movie(tmp_path_factory.mktemp("films") / "turn.mp4", pictures)
    return path, np.array(order) * 15.0, np.array(blurs)


def numbers(film):
    return [round(float(photo.name.split(" at ")[1].removesuffix(" s")) * RATE) for photo in film.photos]


def test_a_turn_is_covered_by_sharp_frames(turn):
    path, azimuths, blurs = turn
    film = read_film(path, 16)
    chosen = numbers(film)
    assert len(chosen) >= 14
    assert not blurs[chosen].any()
    evenly = np.linspace(0, len(azimuths) - 1, 16).round().astype(int)
    assert blurs[evenly].any()
    assert largest_gap(azimuths[chosen]) <= 45 < largest_gap(azimuths[evenly]) + 1
    assert len(set(azimuths[chosen])) > len(set(azimuths[evenly]))
    for photo, (x, y) in zip(film.photos, film.places, strict=True):
        assert photo.rgb.shape == (480, 270, 3)
        assert photo.name.startswith("turn.mp4 at ")
        assert abs(x - 0.5) < 0.1
        assert 0.4 < y < 0.65
    again = read_film(path, 16)
    assert [photo.sha256 for photo in again.photos] == [photo.sha256 for photo in film.photos]


def test_frames_are_read_like_photos(turn, tmp_path):
    told = []
    reading = read_photos(
        [turn[0]], Estimator(), progress=lambda done, text="": told.append((done, text)), frames=3
    )
    assert [photo.name for photo in reading.photos] == [photo.name for photo in sorted_by_hash(reading)]
    assert len(reading.photos) == 3
    assert all(np.array_equal(one.fit.betas, reading.found[0].fit.betas) for one in reading.found)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert "Reading turn.mp4" in {text for _, text in told}
    reports = {report.name: report for report in photo_reports(reading)}
    assert reports["turn.mp4"].used
    assert reports["turn.mp4"].text.startswith("3 frames were used: at ")
    assert len(reports["turn.mp4"].people) == 1
    paths = write_report(list(reports.values()), [], tmp_path)
    assert len({path.name for path in paths}) == 4


def sorted_by_hash(reading):
    return sorted(reading.photos, key=lambda photo: photo.sha256)


def test_one_of_several_people_is_meant_throughout(turning, tmp_path):
    left = [turning.before_wall(n) for n in range(0, 24, 2)]
    right = [turning.before_wall(24 - n)[..., ::-1] for n in range(0, 24, 2)]
    pictures = [np.concatenate(pair, 1) for pair in zip(left, right, strict=True)]
    path = write_movie(tmp_path / "two.mp4", pictures)
    for number in (1, 2):
        film = read_film(path, 6, number)
        assert film.chosen == number - 1
        assert len(film.people) == 2
        assert film.opening.shape[1] > film.opening.shape[0]
        assert all((x > 0.5) == (number == 2) for x, _ in film.places)
        assert any(f"number {number} of 2 from the left at " in remark for remark in film.remarks)
        seen = Estimator().see(film.photos[0].rgb, person=film.places[0])
        assert seen.chosen == number - 1
    (x, y), shown = film.places[0], film.photos[0].rgb
    on_side = Estimator().see(np.ascontiguousarray(np.rot90(shown, -1)), person=(1 - y, x))
    assert (on_side.turns, on_side.chosen) == (1, 1)
    with pytest.raises(NoPersonError, match=r"two\.mp4 shows 2 people; there is no number 3"):
        read_film(path, 6, 3)


def test_frames_without_the_person_are_left_out(turning, tmp_path):
    empty = np.ascontiguousarray(np.repeat(brick()[:480, :270, None], 3, -1))
    shown = [turning.before_wall(n) for n in range(6)]
    film = read_film(write_movie(tmp_path / "comes.mp4", [empty] * 12 + shown), 16)
    assert min(numbers(film)) >= 12


def test_a_still_second_gives_few_frames_and_says_so(tmp_path):
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(astronaut() + rng.normal(0, 3, (512, 512, 3)), 0, 255).astype(np.uint8) for _ in range(12)
    ]
    film = read_film(write_movie(tmp_path / "still.mp4", noisy), 16)
    assert 1 <= len(film.photos) < 4
    assert "frames were used, not 16" in film.remarks[0] or "in one pose only" in film.remarks[0]
    single = read_film(write_movie(tmp_path / "single.mp4", noisy[:1]), 16)
    assert [photo.name for photo in single.photos] == ["single.mp4 at 0.0 s"]
    assert single.remarks == (
        "single.mp4 shows the person in one pose only; 1 of its frames was used, not 16.",
    )


def test_what_is_no_film_of_a_person_is_said(tmp_path, monkeypatch, capsys):
    wall = np.ascontiguousarray(np.repeat(brick()[:240, :320, None], 3, -1))
    monkeypatch.setattr(following, "LOOKS", (1,))  # a wall is searched in every way
    path = write_movie(tmp_path / "wall.mp4", [wall] * 5)
    with pytest.raises(NoPersonError, match=r"^wall\.mp4 shows no person\. Use a film"):
        load([path])
    (tmp_path / "text.mp4").write_text("a film by nobody")
    with pytest.raises(PhotoError, match=r"text\.mp4 cannot be read as a movie"):
        load([tmp_path / "text.mp4"])
    with pytest.raises(PhotoError, match=r"no file gone\.mov"):
        load([tmp_path / "gone.mov"])
    with pytest.raises(PhotoError, match=r"None of the photos and films can be used.*text\.mp4.*wall\.mp4"):
        load([path, tmp_path / "text.mp4"])
    tiny = write_movie(tmp_path / "tiny.mp4", [np.zeros((32, 64, 3), np.uint8)])
    with pytest.raises(PhotoError, match="only 64 x 32 pixels"):
        load([tiny])
    monkeypatch.setattr(movies, "MOST_PIXELS", 320 * 240 - 1)
    with pytest.raises(PhotoError, match="320 x 240 pixels: too many"):
        load([path])
    for arguments, sentence in (
        ([], "No photo and no film"),
        (["--video", str(tmp_path / "gone.mp4")], "no file"),
        (["--video", str(path), "--frames", "17"], "--frames 17 is not valid"),
        (["--video", str(path), "--budget", "10"], "--budget 10 is not valid"),
    ):
        assert main(["create", *arguments, "--out", str(tmp_path / "a.lca")]) == 1
        assert sentence in capsys.readouterr().err


def test_photos_go_before_frames(turn, turning, tmp_path, monkeypatch):
    """Photos and frames together are as many as photos alone may be; two films share."""
    monkeypatch.setattr(loading, "KEEP", 5)
    photos = [photo_from_array(np.roll(astronaut(), n, 1), f"photo {n}") for n in range(5)]
    other = write_movie(tmp_path / "other.mp4", [turning.before_wall(n) for n in range(6, 12)])
    loaded = load([other, *photos[:2], turn[0]])
    assert [len(film.photos) for film in loaded.films] == [2, 1]
    assert sorted(loaded.places) == sorted(one.sha256 for film in loaded.films for one in film.photos)
    full = load([turn[0], *photos])
    assert len(full.photos) == 5
    assert full.refused[0][0] == "turn.mp4"
    assert "not read" in full.refused[0][1]


def test_reading_a_film_stops_when_told(turn):
    told = []
    with pytest.raises(Cancelled):
        read_film(turn[0], 4, progress=lambda *done: told.append(done), cancelled=lambda: len(told) == 20)
    assert len(told) == 20
