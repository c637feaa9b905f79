# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar shards of people: what is read is what was written, and whatever is wrong is said in one line."""

import io
import json
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lca_blender.backend.body.expression import expression_code
from lca_blender.backend.body.template import load_template
from lca_blender.backend.cli import main as lca
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.config import ModelConfig
from lca_blender.backend.training.dataset.check import check_folder
from lca_blender.backend.training.dataset.shards import ShardFolder, open_people, read_shard
from lca_blender.backend.training.dataset.signals import signal_of, square
from lca_blender.backend.training.evaluation.evaluate import target_signal
from lca_blender.backend.training.people import records, synth
from lca_blender.backend.training.people.dataset import make_person_record
from lca_blender.backend.training.people.surroundings import Backgrounds
from PIL import EpsImagePlugin, Image

SEED, NAME = 12, "00000012"
SIZE = {"height": 96, "width": 72, "body_views": 2, "face_views": 1}


@pytest.fixture(scope="module")
def files():
    return synth.make_sample(SEED, "studio", **SIZE)


def _write(folder, files, shard="people-a.tar"):
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / shard, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return folder


def _with_facts(files, change):
    facts = json.loads(files[f"{NAME}.json"])
    change(facts)
    return {**files, f"{NAME}.json": json.dumps(facts).encode()}


def _png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_record_is_what_the_person_was_made_as(files, tmp_path):
    people = open_people(_write(tmp_path, files))
    assert (len(people), people.seeds) == (1, [SEED])
    read, made = people.load(0), make_person_record(SEED, regime="studio", **SIZE)
    inside = made["rgba"][..., 3] == 255
    assert np.array_equal(read["rgba"][..., 3], made["rgba"][..., 3])
    assert np.array_equal(read["rgba"][inside], made["rgba"][inside])
    points = records.restore_map(made["template_map"])
    assert np.abs(read["template_map"] - points)[inside].max() < 2e-3
    for key in ("viewmats", "transforms", "expression", "gaze", "joint_heads"):
        assert np.allclose(read[key], made[key], atol=2e-6), key
    assert np.allclose(read["Ks"], made["Ks"], atol=1e-3)
    assert np.array_equal(read["instant"], made["instant"])
    assert np.array_equal(read["is_face"], made["is_face"])
    assert (read["regime"], read["domain"]) == ("studio", "synthetic")
    some = people.load(0, views=[2], maps=False)
    assert np.array_equal(some["rgba"][0], read["rgba"][2])
    assert "template_map" not in some


def test_names_decide_the_order_of_joints_and_expressions(files, tmp_path):
    """Another order and fewer joints: fingers go with the hand, unknown expressions are 0."""

    def change(facts):
        kept = [i for i, n in enumerate(facts["joint_names"]) if not n.startswith("thumb")][::-1]
        facts["joint_names"] = [facts["joint_names"][i] for i in kept]
        facts["expression_names"] = facts["expression_names"][5::-1]
        del facts["joint_heads"], facts["seed"]
        for view in facts["views"]:
            view["transforms"] = [view["transforms"][i] for i in kept]
            view["expression"] = view["expression"][5::-1]
            del view["gaze"]

    plain = ShardFolder(_write(tmp_path / "a", files)).load(0)
    folder = _write(tmp_path / "b", _with_facts(files, change))
    other = ShardFolder(folder).load(0)
    names = load_template().joint_names
    hand = names.index("hand.L")
    for j, name in enumerate(names):
        source = hand if name.startswith("thumb") and name.endswith(".L") else j
        if not (name.startswith("thumb") and name.endswith(".R")):
            assert np.array_equal(other["transforms"][:, j], plain["transforms"][:, source]), name
    assert np.array_equal(other["expression"][:, :6], plain["expression"][:, :6])
    assert not other["expression"][:, 6:].any()
    assert not other["gaze"].any()
    assert other["seed"] >= 1 << 40
    assert list(check_folder(folder)) == []


@pytest.mark.parametrize(("first", "step"), [(0.0, 0.033), (100.0, 0.033), (1_700_000_000_033, 33), (-2, 1)])
def test_moments_stay_apart_however_they_are_counted(files, tmp_path, first, step):
    """Seconds within a clip, and milliseconds since 1970."""

    def change(facts):
        for view, moment in zip(facts["views"], (1, 0, 1), strict=True):
            view["instant"] = first + moment * step

    folder = _write(tmp_path, _with_facts(files, change))
    assert ShardFolder(folder).load(0)["instant"].tolist() == [1, 0, 1]


def test_a_code_drives_the_decoder_and_the_sliders_follow(files, tmp_path):
    arkit = np.random.default_rng(1).random(52).astype(np.float32)
    code = expression_code(arkit)

    def coded(facts):
        view = facts["views"][0]
        del view["expression"]
        view["code"] = code.tolist()

    record = ShardFolder(_write(tmp_path, _with_facts(files, coded))).load(0)
    np.testing.assert_allclose(record["code"][0], code, atol=1e-5)
    np.testing.assert_allclose(record["expression"][0], arkit, atol=1e-4)
    np.testing.assert_allclose(record["code"][1], expression_code(record["expression"][1]), atol=1e-5)
    signals = signal_of(square(record["transforms"]), record["code"], record["gaze"])
    np.testing.assert_allclose(signals[0, ModelConfig().code_place], code, atol=1e-5)
    np.testing.assert_allclose(target_signal(record, 0).features(), signals[0], atol=1e-5)


def test_covered_pixels_are_the_person_without_a_place(files, tmp_path):
    covered = np.zeros((96, 72), np.uint8)
    covered[40:50] = 255
    record = ShardFolder(_write(tmp_path, {**files, f"{NAME}.000.covered.png": _png(covered)})).load(0)
    assert (record["rgba"][0, 40:50, :, 3] == 255).all()
    assert not record["template_map"][0, 40:50].any()


def test_a_missing_map_is_drawn_from_the_fit(files, tmp_path):
    plain = ShardFolder(_write(tmp_path / "a", files)).load(0)["template_map"]
    without = {name: data for name, data in files.items() if not name.endswith(".map.npz")}
    folder = _write(tmp_path / "b", without)
    drawn = ShardFolder(folder).load(0)["template_map"]
    seen = plain.any(-1)
    assert not drawn[~seen].any()
    assert drawn[seen].any(-1).mean() > 0.95
    assert np.median(np.linalg.norm(drawn - plain, axis=-1)[seen]) < 0.05
    assert list(check_folder(folder)) == []


def test_whole_shards_pass_and_the_command_says_so(tmp_path, capsys):
    synth.write_synth(tmp_path, 2, 20, "both", 3, 96, progress=lambda line: None)
    assert lca(["data", "check", str(tmp_path)]) == 0
    assert "No faults found" in capsys.readouterr().err


def _flip(view):
    """OpenGL's camera axes."""
    view["viewmat"] = (np.diag([1, -1, -1, 1]) @ np.array(view["viewmat"])).tolist()


def _inches(view):
    """Another unit in the translation only."""
    moved = np.array(view["viewmat"])
    moved[:3, 3] *= 39.37
    view["viewmat"] = moved.tolist()


FAULTS = {
    "viewmat mirrors": lambda f: f["views"][1].update(
        viewmat=(np.diag([-1, 1, 1, 1]) @ np.array(f["views"][1]["viewmat"])).tolist()
    ),
    "behind the camera": lambda f: _flip(f["views"][1]),
    "land": lambda f: _inches(f["views"][1]),
    "rotation and translation": lambda f: f["views"][1]["viewmat"].__setitem__(0, [2, 0, 0, 0]),
    "K has the shape": lambda f: f["views"][1].update(K=[1, 2, 3]),
    "K is no matrix of pixels": lambda f: f["views"][1].update(K=np.eye(3).T.tolist()[::-1]),
    "has no K": lambda f: f["views"][1].pop("K"),
    "no transforms": lambda f: f["views"][1].pop("transforms"),
    "contains NaN or infinity": lambda f: f["views"][1]["gaze"].__setitem__(0, [float("nan"), 0]),
    "no array of numbers": lambda f: f["views"][1].update(gaze="left"),
    "expression weights": lambda f: f["views"][1]["expression"].__setitem__(3, 40),
    "there twice": lambda f: f["views"][1].update(view="000"),
    "names no view": lambda f: f["views"].__setitem__(1, 7),
    "version": lambda f: f.update(version=9),
    "regime": lambda f: f.update(regime="holiday"),
    "joint_names is no list of different names": lambda f: f.update(joint_names="pelvis"),
    "expression_names is no list of different names": lambda f: f["expression_names"].__setitem__(3, []),
    "has no expression": lambda f: f["views"][1].pop("expression"),
    "code has the shape": lambda f: f["views"][1].update(code=f["views"][1].pop("expression")),
    "fewer than 3 views": lambda f: f["views"].pop(),
    "or none of the body": lambda f: [view.update(is_face=True) for view in f["views"]],
    "joint_heads has the shape": lambda f: f.update(joint_heads=[[0, 0, 0]]),
    "list `views`": lambda f: f.update(views=[]),
}


@pytest.mark.parametrize("said", FAULTS)
def test_faults_in_the_facts(files, tmp_path, said):
    lines = list(check_folder(_write(tmp_path, _with_facts(files, FAULTS[said]))))
    assert any(said in line for line in lines), lines
    for line in lines:
        assert line.startswith(f"people-a.tar: {NAME}")
        assert "\n" not in line


def test_faults_in_the_files(files, tmp_path):
    key = f"{NAME}.001"
    other = np.load(io.BytesIO(files[f"{NAME}.000.map.npz"]))["points"]
    far = io.BytesIO()
    np.savez(far, points=other + np.float16(5))
    small = Image.open(io.BytesIO(files[f"{key}.mask.png"])).resize((36, 48))
    cases = {
        "has no frame": {f"{key}.png": None},
        "mask.png is missing": {f"{key}.mask.png": None},
        "the mask is 36 x 48, the frame 72 x 96": {f"{key}.mask.png": _png(np.asarray(small))},
        "the mask is empty": {f"{key}.mask.png": _png(np.zeros((96, 72), np.uint8))},
        "cannot be read as a picture": {f"{key}.png": files[f"{key}.png"][:300]},
        "map.npz cannot be read": {f"{key}.map.npz": b"PK"},
        "off the template": {f"{key}.map.npz": far.getvalue()},
        "no such view": {f"{NAME}.009.png": files[f"{key}.png"]},
        "json is missing": {f"{NAME}.json": None},
        "is no JSON": {f"{NAME}.json": b"[" * 99999},
    }
    for number, (said, change) in enumerate(cases.items()):
        changed = {name: data for name, data in {**files, **change}.items() if data is not None}
        lines = list(check_folder(_write(tmp_path / str(number), changed)))
        assert any(said in line for line in lines), (said, lines)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 72 96\n%%EndComments\nshowpage\n%%EOF\n"


def test_a_picture_that_is_a_program_is_not_run(files, tmp_path, monkeypatch):
    """Pillow hands PostScript to Ghostscript."""
    ran = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **options: ran.append(arguments))
    for number, key in enumerate((f"{NAME}.000.png", f"{NAME}.000.mask.png")):
        lines = list(check_folder(_write(tmp_path / str(number), {**files, key: EPS})))
        assert any("cannot be read as a picture" in line for line in lines)
    with pytest.raises(UserError, match="damaged"):
        records.unpack_picture(EPS)
    (tmp_path / "wall.png").write_bytes(EPS)
    with pytest.raises(UserError, match=r"wall\.png"):
        Backgrounds(tmp_path)
    assert not ran


def test_a_map_is_no_larger_than_its_frame(files, tmp_path):
    """An archive of megabytes that unpacks to gigabytes is refused by its shape."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("points.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f4", "fortran_order": False, "shape": (20_000, 20_000, 3)}
        )
        for _ in range(8):
            member.write(bytes(1 << 23))
    folder = _write(tmp_path, {**files, f"{NAME}.001.map.npz": packed.getvalue()})
    tracemalloc.start()
    lines = list(check_folder(folder))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()
    assert any("the map is 20000 x 20000, the frame 72 x 96" in line for line in lines), lines


@pytest.mark.parametrize(
    "points", [np.zeros((96, 72, 3), "O"), np.zeros((96, 72, 3), int), np.zeros((96, 72))]
)
def test_a_map_of_other_values_is_said(files, tmp_path, points):
    packed = io.BytesIO()
    np.savez(packed, points=points)
    lines = list(check_folder(_write(tmp_path, {**files, f"{NAME}.001.map.npz": packed.getvalue()})))
    assert any("not float[H, W, 3]" in line for line in lines), lines


def test_names_are_printed_without_what_a_terminal_obeys(files, tmp_path):
    named = {name.replace(NAME, "\x1b]0;x\x07\u202e"): data for name, data in files.items()}
    folder = _write(tmp_path, {**named, "\x1b[2J.json": b"{"})
    _write(folder, named, "people-b.tar")
    lines = list(check_folder(folder))
    assert len(lines) > 1
    assert all(line.isprintable() for line in lines), lines
    assert any(r"\x1b[2J" in line for line in lines)


def test_a_folder_without_shards_and_a_command_that_finds_faults(files, tmp_path, capsys):
    assert lca(["data", "check", str(tmp_path)]) == 1
    assert "no shards" in capsys.readouterr().err
    _write(tmp_path, _with_facts(files, FAULTS["regime"]))
    assert lca(["data", "check", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "1 fault in" in printed.err
    assert printed.out.count("\n") == 1


def test_the_same_person_twice_is_said(files, tmp_path):
    _write(_write(tmp_path, files), files, "people-b.tar")
    assert list(check_folder(tmp_path)) == [f"people-b.tar: {NAME} is in people-a.tar too."]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_a_shard_is_more_than_a_line(files, tmp_path, data):
    """Cut off anywhere, some bytes different: lines or nothing, and reading raises UserError or nothing."""
    folder = _write(tmp_path, files)
    path = folder / "people-a.tar"
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    for _ in range(data.draw(st.integers(0, 6))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    lines = list(check_folder(folder))
    assert all(line.startswith("people-a.tar") and "\n" not in line for line in lines)
    try:
        for sample in read_shard(path):
            sample.load()
    except UserError:
        assert lines


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=2),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_json_is_more_than_a_line(files, tmp_path, data):
    """Any value anywhere in the facts, in place of a name too."""
    facts = json.loads(files[f"{NAME}.json"])
    names = [facts["joint_names"], facts["expression_names"]]
    where = data.draw(st.sampled_from([facts, *facts["views"], *names]))
    places = sorted(where) if isinstance(where, dict) else range(len(where))
    where[data.draw(st.sampled_from(places))] = data.draw(JUNK)
    folder = _write(tmp_path, {**files, f"{NAME}.json": json.dumps(facts).encode()})
    lines = list(check_folder(folder))
    assert all(line.startswith("people-a.tar") and "\n" not in line for line in lines)
    try:
        ShardFolder(folder).load(0)
    except UserError:
        assert lines
