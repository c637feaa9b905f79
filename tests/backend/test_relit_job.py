# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files of relit sequences: what they say and lack, and the pictures that they ask for."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.relit.films import write_mp4
from lca_blender.backend.relit.finish import light_sheet
from lca_blender.backend.relit.job import JobError, file_name, frames_of, frames_text, read_job
from lca_blender.backend.relit.log import Log
from lca_blender.backend.relit.pictures import is_whole, shown
from lca_blender.backend.relit.plan import Facts, plan
from lca_blender.backend.relit.run import check_maps, run_job
from PIL import Image
from test_exr import written

FACTS = Facts(["Ann", "Bob"], ["Near", "Wide"], "Near", [1, 2, 3], {"Walk": [5, 6]}, ["Key"], [64, 48], 24.0)


@pytest.fixture
def folder(tmp_path):
    """A folder with what a job names: scene.blend, and three environment maps in maps/."""
    (tmp_path / "scene.blend").touch()
    (tmp_path / "maps").mkdir()
    for name in ("sunset.exr", "forest.exr", "studio.png"):
        (tmp_path / "maps" / name).touch()
    (tmp_path / "maps" / "readme.txt").touch()
    return tmp_path


def job_in(folder, **fields):
    job = {"blend": "scene.blend", "lights": ["maps"], **fields}
    (folder / "job.json").write_text(json.dumps({k: v for k, v in job.items() if v is not None}))
    return read_job(folder / "job.json")


def test_a_folder_of_maps_is_its_maps_in_the_order_of_names(folder):
    assert [light.name for light in job_in(folder).lights] == ["forest", "studio", "sunset"]


def test_rotations_and_rigs_are_lights_of_their_own(folder):
    lights = [{"map": "maps/sunset.exr", "rotation": [0, 90], "strength": 2}, {"rig": "Key"}]
    made = job_in(folder, lights=lights).lights
    assert [(one.name, one.rotation, one.strength, one.rig) for one in made] == [
        ("sunset_000", 0, 2, ""), ("sunset_090", 90, 2, ""), ("Key", 0, 1, "Key"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"blend": None}, "no 'blend'"),
        ({"blend": "other.blend"}, "other.blend is missing"),
        ({"lights": None}, "light must be a path"),
        ({"lights": []}, "no 'lights'"),
        ({"lights": ["maps/moon.exr"]}, "moon.exr is missing"),
        ({"lights": ["maps", "maps/sunset.exr"]}, "Two lights are called sunset"),
        ({"lights": [{"map": "maps/sunset.exr", "rotation": "left"}]}, "rotation in degrees"),
        ({"lights": [{"map": "maps/sunset.exr", "strength": -1}]}, "strength of 0 or more"),
        ({"lights": [{"map": "maps", "rig": "Key"}]}, "a 'map' or a 'rig'"),
        ({"frames": "3-1"}, "'frames' are not valid"),
        ({"frames": "1-99999999"}, "'frames' are not valid"),
        ({"output": "a/{light}.exr"}, "no {frame}"),
        ({"output": "a/{frame:04}.jpg"}, "must end in .exr or .png"),
        ({"output": "a/{take}/{frame}.exr"}, "{take}, which is not known"),
        ({"output": "a/{frame.__class__}.exr"}, "is not known"),
        ({"output": "a/{frame:>900000000}.exr"}, "is not known"),
        ({"output": "a/{frame.exr"}, "no pattern"),
        ({"size": [0, 10]}, "[width, height]"),
        ({"workers": 0}, "'workers' must be 1 to 256"),
        ({"workers": True}, "'workers'"),
        ({"depth": 24}, "16 or 32"),
        ({"passes": ["Shadow"]}, "'passes' must be a list"),
        ({"movie": "yes"}, "'movie' must be true or false"),
        ({"cameras": ["Near", "Near"]}, "'cameras' must be a list of names"),
        ({"camera": "Near"}, "'camera' is not known"),
    ],
)
def test_every_fault_is_a_sentence(folder, fields, said):
    with pytest.raises(JobError) as error:
        job_in(folder, **fields)
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_all_faults_are_said_at_once(folder):
    with pytest.raises(JobError) as error:
        job_in(folder, blend="none.blend", frames="x", size=3)
    assert len(str(error.value).splitlines()) == 3


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_other_files_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    with pytest.raises(JobError):
        read_job(path)


@given(st.sets(st.integers(0, 400)))
def test_frames_are_read_as_they_are_written(frames):
    text = frames_text(frames)
    assert frames_of(text) == (sorted(frames) if frames else None)


def test_frames_may_skip_and_be_negative():
    assert frames_of("-2 - 1, 10-20x5") == [-2, -1, 0, 1, 10, 15, 20]


@given(st.text(max_size=30))
def test_a_name_is_one_part_of_a_path(name):
    assert not set('/\\:*?"<>|\0') & set(file_name(name))
    assert file_name(name) not in ("", ".", "..")


def test_the_plan_is_the_product(folder):
    job = job_in(folder, cameras=["Near", "Wide"], output="out/{avatar}/{light}/{camera}/{frame:04}.exr")
    made = plan(job, FACTS)
    assert len(made.shots) == 2 * 3
    assert all(len(shot.pictures) == 3 * 2 for shot in made.shots)
    assert folder / "out/Bob/sunset/Wide/0003.exr" in made.files()
    assert made.folder == folder / "out"
    films = {one.film for one in made.sequences()}
    assert len(films) == 2 * 3 * 2
    assert folder / "out/Ann/forest/Near.mp4" in films


def test_actions_bring_their_own_frames(folder):
    made = plan(job_in(folder, actions=["Walk"], output="{avatar}/{action}_{light}_{frame}.exr"), FACTS)
    assert {shot.frame for shot in made.shots} == {5, 6}
    assert made.sequences()[0].film == folder / "Ann/Walk_forest.mp4"


def test_a_part_of_a_job_is_that_part(folder):
    made = plan(job_in(folder), FACTS, frames=[2, 9], lights=[3])
    assert {(shot.frame, one.light) for shot in made.shots for one in shot.pictures} == {(2, "sunset")}
    with pytest.raises(JobError, match="1 to 3"):
        plan(job_in(folder), FACTS, lights=[4])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"avatars": ["Eve"]}, "no avatar \u201cEve\u201d"),
        ({"cameras": ["Far"]}, "no camera \u201cFar\u201d"),
        ({"actions": ["Run"]}, "no action \u201cRun\u201d"),
        ({"lights": [{"rig": "Rim"}]}, "no collection \u201cRim\u201d"),
        ({"output": "{light}/{frame}.exr"}, "needs {avatar}"),
    ],
)
def test_what_the_scene_lacks_is_said(folder, fields, said):
    with pytest.raises(JobError) as error:
        plan(job_in(folder, **fields), FACTS)
    assert said in str(error.value)


def test_maps_that_cannot_be_read_end_the_job_before_any_worker(folder):
    good = written(folder / "maps" / "sunset.exr", pixels=np.ones((4, 8, 4), np.float32))
    (folder / "maps" / "forest.exr").write_bytes(good.read_bytes()[:-40])
    Image.new("RGB", (8, 4)).save(folder / "maps" / "studio.png")
    with pytest.raises(JobError, match="is damaged") as error:
        run_job(job_in(folder), ["no such program"])
    assert str(error.value).startswith("forest.exr")
    written(folder / "maps" / "forest.exr", pixels=np.ones((4, 7, 4), np.float32))
    remarks = check_maps(job_in(folder).lights)
    assert any("forest.exr" in one and "7 x 4" in one for one in remarks)
    assert any("studio.png" in one and "no HDR" in one for one in remarks)


def test_an_output_that_is_no_folder_ends_the_job(folder):
    (folder / "out").touch()
    with pytest.raises(Exception, match=r"could not be written|does not exist"):
        run_job(job_in(folder, output="out/{avatar}/{light}/{frame}.exr"), ["no such program"])


def test_pictures_are_whole_or_not(tmp_path):
    picture = written(tmp_path / "a.exr")
    assert is_whole(picture, (23, 37))
    assert not is_whole(picture, (24, 37))
    assert not is_whole(tmp_path / "none.exr", (23, 37))
    Image.new("RGBA", (5, 4)).save(tmp_path / "a.png")
    assert is_whole(tmp_path / "a.png", (5, 4))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    assert not is_whole(tmp_path / "b.png", (5, 4))


def test_a_picture_is_shown_on_grey(tmp_path):
    pixels = np.zeros((4, 6, 4), np.float32)
    pixels[:, :3] = (0.5, 0.25, 0, 1)
    seen = np.asarray(shown(written(tmp_path / "a.exr", pixels=pixels)))
    assert seen[0, 0].tolist() == [188, 137, 0]  # by the table of IEC 61966-2-1
    assert seen[0, 5].tolist() == [118, 118, 118]


def test_the_sheet_holds_every_light(folder, tmp_path):
    made = plan(job_in(folder, output="o/{avatar}_{light}_{frame}.png"), FACTS)
    for number, file in enumerate(made.files()):
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48), (40 + number * 10, 9, 9)).save(file)
    sheet = np.asarray(light_sheet(made.sequences()))
    middle = {40 + 10 * made.files().index(file) for file in made.files() if file.stem.endswith("_2")}
    assert middle <= set(np.unique(sheet[..., 0]))


def test_a_film_has_every_picture(tmp_path):
    import av

    write_mp4((Image.new("RGB", (33, 21), (50 * n, 0, 0)) for n in range(4)), tmp_path / "a.part", 23.976)
    with av.open(str(tmp_path / "a.part")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert float(film.streams.video[0].average_rate) == pytest.approx(23.976, abs=1e-3)
    assert [one.shape for one in frames] == [(20, 32, 3)] * 4
    assert np.all(np.diff([one[..., 0].mean() for one in frames]) > 20)


def test_lines_of_two_logs_do_not_mix(tmp_path):
    for number in range(50):
        for log in (Log(tmp_path), Log(tmp_path)):
            log.write("made", number=number)
    lines = (tmp_path / "relit_log.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["number"] for line in lines) == sorted([*range(50)] * 2)
