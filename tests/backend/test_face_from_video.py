# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies and picture sequences of faces: what is decoded, how a performance is timed, and what is read."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lca_blender.backend.body.arkit import ARKIT_INDEX
from lca_blender.backend.body.skeleton import INDEX
from lca_blender.backend.errors import UserError
from lca_blender.backend.face_from_video import FIRST_PASS, FacePerformance, face_from_video
from lca_blender.backend.imaging.accepted import SUFFIXES, is_movie
from lca_blender.backend.imaging.movies import LONGEST, movie_frames
from lca_blender.backend.imaging.photos import PhotoError
from lca_blender.backend.jobs import Cancelled
from lca_blender.backend.raster.camera import Camera, look_at
from lca_blender.backend.training.people.person import sample_person
from lca_blender.backend.training.people.render import render_person
from PIL import Image

RATE = 12


def write_movie(path, frames, rate=RATE, codec="libx264"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_movie_comes_as_its_frames(tmp_path):
    values = [40, 90, 140, 190]
    path = write_movie(tmp_path / "grey.mp4", [np.full((96, 160, 3), v, np.uint8) for v in values])
    assert is_movie(path)
    assert not is_movie("face.png")
    seconds, shares, photos = zip(*movie_frames(path), strict=True)
    np.testing.assert_allclose(seconds, np.arange(4) / RATE, atol=1e-3)
    assert shares[0] == 0
    assert list(shares) == sorted(shares)
    assert all(photo.rgb.shape == (96, 160, 3) for photo in photos)
    np.testing.assert_allclose([photo.rgb.mean() * 255 for photo in photos], values, atol=3)
    large = write_movie(tmp_path / "large.mov", [np.zeros((1080, 1920, 3), np.uint8)])
    assert max(next(movie_frames(large))[2].rgb.shape) == LONGEST


def noise_movie(path, frames=40, codec="libx264"):
    rng = np.random.default_rng(0)
    return write_movie(
        path, [rng.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(frames)], codec=codec
    )


def test_a_movie_that_breaks_off_gives_what_it_has_and_says_so(tmp_path):
    path = noise_movie(tmp_path / "cut.mkv")
    assert not sentences_on(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert 5 < len(list(movie_frames(path))) < 40
    assert sentences_on(path) == ["cut.mkv is damaged; parts of it could not be read."]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_damaged_piece_costs_no_more_than_itself(tmp_path, suffix):
    path = noise_movie(tmp_path / f"scratched.{suffix}", 72)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    seconds, shares, _ = zip(*movie_frames(path), strict=True)
    assert len(seconds) > 48
    assert seconds[-1] == pytest.approx(71 / RATE, abs=0.01)
    assert shares[-1] > 0.9


def test_frames_too_near_to_the_one_before_are_left_out(tmp_path):
    path = noise_movie(tmp_path / "fast.webm.mkv", 24)
    seconds = [at for at, _, _ in movie_frames(path, apart=2.5 / RATE)]
    np.testing.assert_allclose(seconds, np.arange(0, 24, 3) / RATE, atol=2e-3)


def sentences_on(path):
    remarks = []
    list(movie_frames(path, remarks=remarks))
    return remarks


def test_what_is_no_movie_is_said(tmp_path):
    with pytest.raises(PhotoError, match=r"no file lost\.mp4"):
        next(movie_frames(tmp_path / "lost.mp4"))
    (tmp_path / "text.mp4").write_text("a film by nobody")
    with pytest.raises(PhotoError, match="cannot be read as a movie"):
        next(movie_frames(tmp_path / "text.mp4"))
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(PhotoError, match="no pictures"):
        next(movie_frames(tmp_path / "sound.mp4"))
    with pytest.raises(UserError, match="one movie can be read at a time"):
        face_from_video([tmp_path / "text.mp4", tmp_path / "sound.mp4"], RATE)
    with pytest.raises(UserError, match="No movie"):
        face_from_video([], RATE)


def test_a_movie_opens_no_other_file(tmp_path):
    """Lists of films, which FFmpeg would follow, are no movies, whatever they are called."""
    film = noise_movie(tmp_path / "film.mp4", 4)
    lists = {
        "list.mp4": f"ffconcat version 1.0\nfile {film.name}\n",
        "stream.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{film.name}\n#EXT-X-ENDLIST\n",
        "session.mov": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(PhotoError, match="cannot be read as a movie"):
            next(movie_frames(tmp_path / name))
    for suffix in SUFFIXES:
        kept = noise_movie(
            tmp_path / f"film{suffix}", 4, "libvpx" if suffix in (".webm", ".ogv") else "libx264"
        )
        assert len(list(movie_frames(kept))) == 4, suffix


def test_a_pause_between_two_frames_makes_no_frames(tmp_path):
    path = tmp_path / "pause.mkv"
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 160, 3), np.uint8), "rgb24")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        for seconds in (0, 1, 2_000_000):
            frame.pts, frame.time_base = seconds * 1000, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert [at for at, _, _ in movie_frames(path)] == [0, 1]
    assert sentences_on(path) == ["pause.mkv is damaged; parts of it could not be read."]


values = arrays(np.float64, (9, 52), elements=st.floats(0, 1))


@settings(max_examples=25, deadline=None)
@given(values, st.floats(0.01, 0.4))
def test_timing_and_smoothing_keep_what_they_should(arkit, seconds):
    read = FacePerformance(np.arange(9) / RATE, arkit, np.zeros((9, 2)))
    np.testing.assert_allclose(read.at_rate(RATE).arkit, arkit, atol=1e-9)
    twice = read.at_rate(2 * RATE)
    assert len(twice.seconds) == 17
    np.testing.assert_allclose(twice.arkit[1::2], (arkit[1:] + arkit[:-1]) / 2, atol=1e-9)
    calm = read.smoothed(seconds)
    assert calm.arkit.min() >= arkit.min() - 1e-9
    assert calm.arkit.max() <= arkit.max() + 1e-9
    assert np.abs(np.diff(calm.arkit, axis=0)).max() <= np.abs(np.diff(arkit, axis=0)).max() + 1e-9
    rest = read.from_rest().arkit
    assert not rest[0].any()
    np.testing.assert_allclose(rest, np.clip(arkit - arkit[:1], 0, 1))
    np.testing.assert_allclose(read.stronger(1.5).arkit, np.minimum(1.5 * arkit, 1))


@pytest.fixture(scope="module")
def acted(tmp_path_factory):
    """Pictures of an unseen person whose mouth opens and closes, and how far it is open."""
    person, folder = sample_person(1_000_002), tmp_path_factory.mktemp("acting")
    height = float(person.joint_heads[INDEX["head"], 2]) + 0.08
    opening = np.sin(np.linspace(0, np.pi, 7)) ** 2 * 0.9
    camera = Camera(
        look_at((0, -1.4, height), (0, 0, height)), [[1000, 0, 150], [0, 1000, 200], [0, 0, 1]], 300, 400
    )
    still = np.zeros((len(INDEX), 3))
    paths = []
    for n, value in enumerate(opening):
        expression = np.zeros(52)
        expression[ARKIT_INDEX["jawOpen"]] = value
        rgba = render_person(person, still, camera, expression).rgba.astype(np.float64)
        share = rgba[..., 3:] / 255
        paths.append(folder / f"shot_{n:02d}.png")
        Image.fromarray((rgba[..., :3] * share + 120 * (1 - share)).astype(np.uint8)).save(paths[-1])
    return paths, opening


def test_an_opening_mouth_is_read(acted, tmp_path):
    paths, opening = acted
    read = face_from_video(paths, RATE)
    np.testing.assert_allclose(read.seconds, np.arange(7) / RATE)
    assert read.missed == 0
    jaw = read.arkit[:, ARKIT_INDEX["jawOpen"]]
    assert np.corrcoef(jaw, opening)[0, 1] > 0.95
    assert np.ptp(jaw) > 0.35
    movie = write_movie(tmp_path / "acted.mp4", [np.asarray(Image.open(p)) for p in paths])
    filmed = face_from_video([movie], RATE).arkit[:, ARKIT_INDEX["jawOpen"]]
    np.testing.assert_allclose(filmed, jaw, atol=0.15)
    assert len(face_from_video([movie], RATE / 3).seconds) == 3


def test_pictures_without_a_face_take_their_neighbours(acted, tmp_path):
    paths = list(acted[0][2:5])
    Image.fromarray(np.full((400, 300, 3), 120, np.uint8)).save(tmp_path / "empty.png")
    paths[1] = tmp_path / "empty.png"
    read = face_from_video(paths, RATE)
    assert read.missed == 1
    np.testing.assert_allclose(read.arkit[1], (read.arkit[0] + read.arkit[2]) / 2, atol=1e-6)
    with pytest.raises(UserError, match="No picture shows a face"):
        face_from_video([tmp_path / "empty.png"], RATE)


def test_reading_stops_when_told(acted):
    told = []
    with pytest.raises(Cancelled):
        face_from_video(acted[0], RATE, progress=lambda *a: told.append(a), cancelled=lambda: len(told) == 2)
    assert [fraction for fraction, _ in told] == [0, pytest.approx(FIRST_PASS / 7)]
