# SPDX-License-Identifier: GPL-3.0-or-later
"""Time lines of speech, of the programs that write them, and their keys."""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lca_blender.backend.errors import UserError
from lca_blender.backend.face.channels import MOUTH
from lca_blender.backend.face.presets import VISEMES, both, viseme
from lca_blender.backend.face.visemes import Shape, keyed, parse_timeline, read_timeline

RHUBARB = "0.00\tX\n0.05\tD\n0.27\tC\n0.31\tB\n0.43\tE\n0.59\tX\n"
MOHO = "MohoSwitch1\n1 rest\n7 MBP\n13 AI\n25 WQ\n31 rest\n"


def test_files_of_other_programs_are_read():
    assert parse_timeline(RHUBARB, 24) == [
        *(Shape(0.0, "sil"), Shape(0.05, "aa"), Shape(0.27, "E"), Shape(0.31, "SS")),
        *(Shape(0.43, "O"), Shape(0.59, "sil")),
    ]
    read = parse_timeline(MOHO, 24)
    assert [shape.viseme for shape in read] == ["sil", "PP", "aa", "U", "sil"]
    assert [shape.seconds for shape in read] == pytest.approx([1 / 24, 7 / 24, 13 / 24, 25 / 24, 31 / 24])


def test_own_names_weights_titles_and_comments():
    text = "time,viseme,weight\n# hello\n\n0.5, aa, 0.5\n0.25; PP\n 1.0  sil\n"
    wanted = [Shape(0.25, "PP"), Shape(0.5, "aa", 0.5), Shape(1.0, "sil")]
    assert parse_timeline(text, 24) == wanted
    assert [s.seconds for s in parse_timeline("12 aa\n24 sil", 24, in_frames=True)] == [0.5, 1.0]
    assert [s.viseme for s in parse_timeline("\n".join(f"{i} {n}" for i, n in enumerate(VISEMES)), 24)] == [
        *VISEMES
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no visemes"),
        ("time,viseme\n", "holds no visemes"),
        ("0.1 aa\n0.2", "Line 2 .* is not a time and a viseme"),
        ("0.1 aa\nsoon PP", "Line 2"),
        ("0.1 aa\nnan PP", "Line 2"),
        ("0.1 aa\n0.2 ZZ", "names “ZZ”, which is no viseme"),
        ("0.1 aa strong", "Line 1"),
        ("1e300 aa", "Line 1"),
    ],
)
def test_what_is_no_time_line_is_said(text, said):
    with pytest.raises(UserError, match=said):
        parse_timeline(text, 24)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with suppress(UserError):
        assert parse_timeline(text, 24)


def test_a_file_that_is_no_text_is_said(tmp_path):
    path = tmp_path / "speech.csv"
    path.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UserError, match="not UTF-8"):
        read_timeline(path, 24)
    with pytest.raises(UserError, match="cannot be read"):
        read_timeline(tmp_path / "none.csv", 24)


def test_shapes_are_held_between_transitions():
    times, values = keyed([Shape(1.0, "aa"), Shape(2.0, "PP", 0.5), Shape(3.0, "sil")], 0.2)
    assert (np.diff(times) > 0).all()
    jaw, press = values[:, MOUTH.index("jawOpen")], values[:, MOUTH.index("mouthPressLeft")]
    at = lambda moment, column: np.interp(moment, times, column)  # noqa: E731
    assert at(0.7, jaw) == 0
    assert at([1.1, 1.5, 1.9], jaw) == pytest.approx(viseme("aa")["jawOpen"])
    assert at(2.0, jaw) == pytest.approx(viseme("aa")["jawOpen"] / 2)  # half way at the change
    assert at([2.1, 2.9], press) == pytest.approx(viseme("PP")["mouthPressLeft"] / 2)
    assert not values[-1].any()


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from(sorted(VISEMES)), st.floats(0, 1)),
        min_size=1,
        max_size=30,
    ),
    st.floats(0, 1),
)
def test_keys_ascend_and_stay_in_range(entries, transition):
    times, values = keyed(sorted(Shape(*entry) for entry in entries), transition)
    assert (np.diff(times) > 0).all()
    assert ((values >= 0) & (values <= 1)).all()
    assert not values[0].any()
    assert not values[-1].any()


def test_the_manual_lists_the_weights_that_are_used():
    text = Path(__file__).parents[2].joinpath("docs/manual/act_a_face.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", text, re.MULTILINE))
    assert list(rows) == list(VISEMES)
    for name, (_, units) in VISEMES.items():
        told = re.findall(r"(\w+) ([\d.]+)", rows[name].replace("all 0", ""))
        assert units == both(**{unit: float(weight) for unit, weight in told})
