# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured faces: CSV files of Live Link Face and JSON lines, read and written."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.arkit import ARKIT_INDEX, ARKIT_NAMES
from lca_blender.backend.errors import UserError
from lca_blender.backend.face.lines import face_lines, parse_lines, read_face
from lca_blender.backend.face.live_link import EYES, HEAD, LOOK, live_link_csv, parse_live_link
from lca_blender.backend.face.performance import FacePerformance

CAPITALS = [name[0].upper() + name[1:] for name in ARKIT_NAMES]
HEADER = ",".join(["Timecode", "BlendShapeCount", *CAPITALS, *HEAD, *EYES])


def row(timecode, head=(0, 0, 0), eyes=(0,) * 6, **units):
    """A row as the app writes it."""
    numbers = [units.get(name, 0.0) for name in ARKIT_NAMES]
    return ",".join([timecode, "61", *(f"{value:.8f}" for value in [*numbers, *head, *eyes])])


def read(*rows, rate=0.0):
    return parse_live_link([HEADER, *rows], "take.csv", rate)


def performance(count, seed=0):
    random = np.random.default_rng(seed)
    gaze, head = random.uniform(-0.4, 0.4, (count, 2, 2)), random.uniform(-0.6, 0.6, (count, 3))
    return FacePerformance(np.arange(count) / 24, random.uniform(0, 1, (count, 52)), gaze, head)


def test_capital_names_and_an_uneven_clock():
    take = read(
        row("10:00:00:58.500", jawOpen=0.1),
        row("10:00:00:59.250", jawOpen=0.2),
        row("10:00:01:02.000", jawOpen=0.5, browInnerUp=0.25),
    )
    assert take.seconds == pytest.approx([0, 0.75 / 60, 3.5 / 60])
    assert take.arkit[:, ARKIT_INDEX["jawOpen"]] == pytest.approx([0.1, 0.2, 0.5])
    assert take.arkit[2, ARKIT_INDEX["browInnerUp"]] == pytest.approx(0.25)
    even = take.at_rate(120)
    assert even.arkit[:, ARKIT_INDEX["jawOpen"]] == pytest.approx(
        np.interp(np.arange(8) / 120, take.seconds, [0.1, 0.2, 0.5])
    )


def test_the_rate_is_found_from_the_frame_numbers_or_given():
    seconds = read(*(row(f"00:00:00:{f:02}.0") for f in range(30)), row("00:00:01:00.0")).seconds
    assert seconds[15] == pytest.approx(0.5)
    assert read(row("00:00:00:00.0"), row("00:00:00:06.0"), rate=24).seconds[1] == pytest.approx(0.25)
    assert read(row("00:00:00:00.0"), row("00:00:00:06.0")).seconds[1] == pytest.approx(0.1)


def test_midnight_lost_faces_and_rows_out_of_order():
    take = read(
        row("23:59:59:30.0", jawOpen=0.2),
        "23:59:59:45.0,0",  # as written while no face is seen
        "",
        row("00:00:00:00.0", jawOpen=0.4),
        row("00:00:00:00.0", jawOpen=0.9),
        row("00:00:00:59.0", jawOpen=0.6),
    )
    assert take.seconds == pytest.approx([0, 0.5, 0.5 + 59 / 60])
    assert take.arkit[:, ARKIT_INDEX["jawOpen"]] == pytest.approx([0.2, 0.4, 0.6])
    assert take.missed == 2


def test_missing_columns_are_neutral_and_said():
    take = parse_live_link(["jawopen, BROWINNERUP", "0.5,0.25", "0.7,0.3"], "few.csv")
    assert take.seconds == pytest.approx([0, 1 / 60])
    assert take.arkit[0, ARKIT_INDEX["jawOpen"]] == 0.5
    assert take.arkit.sum() == pytest.approx(1.75)
    assert take.head is None
    assert "and 44 more" in take.remarks[0]


def test_eyes_go_where_their_units_do_whatever_sign_the_file_has():
    for sign in (1, -1):
        left = row(
            "0:0:0:0", eyes=(0.3 * sign, 0, 0, 0.3 * sign, 0, 0), eyeLookOutLeft=0.5, eyeLookInRight=0.5
        )
        up = row("0:0:0:1", eyes=(0, 0.2 * sign, 0, 0, 0.2 * sign, 0), eyeLookUpLeft=0.4, eyeLookUpRight=0.4)
        gaze = read(left, up).gaze
        assert gaze[0] == pytest.approx(np.array([[0.3, 0], [0.3, 0]]))
        assert gaze[1] == pytest.approx(np.array([[0, 0.2], [0, 0.2]]))
    units_alone = read(row("0:0:0:0", eyeLookInLeft=1.0, eyeLookDownLeft=0.5)).gaze[0]
    assert units_alone[0] == pytest.approx([-LOOK[0], -LOOK[1] / 2])
    assert not units_alone[1].any()


def test_a_written_csv_is_read_as_it_was():
    wanted = performance(50)
    wanted.arkit[:, [i for n, i in ARKIT_INDEX.items() if n.startswith("eyeLook")]] = 0
    found = parse_live_link(live_link_csv(wanted, 24).splitlines(), "own.csv", 24)
    assert found.seconds == pytest.approx(wanted.seconds, abs=1e-4)
    assert found.gaze == pytest.approx(wanted.gaze, abs=1e-5)
    assert found.head == pytest.approx(wanted.head, abs=1e-5)
    plain = [i for n, i in ARKIT_INDEX.items() if not n.startswith("eyeLook")]
    assert found.arkit[:, plain] == pytest.approx(wanted.arkit[:, plain], abs=1e-5)
    out = found.arkit[:, ARKIT_INDEX["eyeLookOutLeft"]]
    assert out == pytest.approx((wanted.gaze[:, 0, 0] / LOOK[0]).clip(0, 1), abs=1e-5)


def test_json_lines_lose_nothing():
    wanted = performance(20)
    found = parse_lines(face_lines(wanted).splitlines(), "own.jsonl")
    for name in ("seconds", "arkit", "gaze", "head"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=2e-6)


def test_either_file_is_known_by_its_content(tmp_path):
    take = performance(3)
    for content in (live_link_csv(take, 24), face_lines(take)):
        path = tmp_path / "take.txt"
        path.write_text("\ufeff" + content, encoding="utf-8")
        assert read_face(path, 24).arkit.shape == (3, 52)


def test_gain_offset_smoothing_and_rest():
    take = performance(40)
    assert take.stronger(2.0, -0.25).arkit == pytest.approx(((take.arkit - 0.25) * 2).clip(0, 1))
    smooth = take.smoothed(0.2)
    assert np.abs(np.diff(smooth.head, axis=0)).max() < np.abs(np.diff(take.head, axis=0)).max() / 3
    assert smooth.arkit.mean(0) == pytest.approx(take.arkit.mean(0), abs=0.1)
    rest = take.from_rest()
    assert not rest.arkit[0].any()
    assert not rest.head[0].any()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column named after an ARKit unit"),
        ("a,b\n1,2\n", "no column named after an ARKit unit"),
        ("Timecode,JawOpen\nnever,0.5\n", "no row with all its numbers"),
        ("Timecode,JawOpen\n00:00:00:00,nan\n", "no row with all its numbers"),
        ("{}\n", "does not begin with the line"),
        ('{"format": "lca-face", "version": 1}\n', "holds no moment"),
        ('{"format": "lca-face", "version": 1}\n[1]\n', "Line 2 .* is no moment"),
        ('{"format": "lca-face", "version": 1}\n{"seconds": 0, "units": {"nose": 1}}\n', "Line 2"),
        ('{"format": "lca-face", "version": 1}\n{"seconds": 0, "gaze": [[1, 2], [3]]}\n', "Line 2"),
        ('{"format": "lca-face", "version": 1}\n{"seconds": 1}\n{"seconds": 1}\n', "Line 3 .* not later"),
        ('{"format": "lca-face", "version": 1}\n{"seconds": 0}\nnothing\n', "Line 3 .* is not JSON"),
    ],
)
def test_what_is_no_take_is_said(tmp_path, content, said):
    path = tmp_path / "take.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        read_face(path)


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("takes") / "take.csv"
    path.write_bytes(HEADER.encode() + b"\n" + content)
    with suppress(UserError):
        assert len(read_face(path).seconds)
