# SPDX-License-Identifier: GPL-3.0-or-later
"""What `lca eval` measures: pictures whose numbers are known, who is shown what, a run on a tiny network."""

import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lca_blender.backend.cli import main
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.lca import LCA
from lca_blender.backend.training.dataset.shards import ShardFolder
from lca_blender.backend.training.evaluation.evaluate import (
    evaluate,
    held_out_people,
    make_subjects,
    score_subject,
    scores,
    split_views,
    true_views,
    truth,
)
from lca_blender.backend.training.evaluation.figures import people_figure
from lca_blender.backend.training.people import synth
from model_fixtures import SMALL
from PIL import Image


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Three people in eight views of the body and five of the head, as `lca eval` has them but smaller."""
    folder = tmp_path_factory.mktemp("people")
    for seed, regime in ((1, "studio"), (2, "studio"), (3, "wild")):
        with tarfile.open(folder / f"{seed}.tar", "w") as tar:
            for name, data in synth.make_sample(seed, regime, 128, 96, 8, 5, clean=(2, 5, 7, 10, 12)).items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return ShardFolder(folder)


def _random(seed, alpha=1.0):
    colour = torch.rand(48, 40, 3, generator=torch.Generator().manual_seed(seed))
    return torch.cat([colour * alpha, torch.full((48, 40, 1), alpha)], -1)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 0.3), st.integers(0, 9))
def test_a_constant_error_gives_its_known_numbers(error, seed):
    target = _random(seed) * torch.tensor([0.5, 0.5, 0.5, 1])
    image = target + torch.tensor([error, error, error, 0])
    mask = torch.zeros(48, 40, dtype=torch.bool)
    mask[8:30, 5:35] = True
    image[~mask] = 7.0  # what lies beside the person does not count for l1 and psnr
    got = scores(image, target, mask, mask & False)
    assert got["l1"] == pytest.approx(error, rel=1e-4)
    assert got["psnr"] == pytest.approx(-20 * np.log10(error), abs=0.01)
    assert np.isnan(got["psnr_face"])
    assert np.isnan(got["lpips"])


def test_the_truth_is_perfect_and_the_perceptual_measure_sees_the_person_only():
    target = _random(3)
    mask = torch.zeros(48, 40, dtype=torch.bool)
    mask[8:30, 5:35] = True
    given = []
    got = scores(target, target, mask, mask, lambda a, b: given.append((a, b)) or (a - b).abs().sum())
    assert (got["l1"], got["lpips"], got["iou"]) == (0, 0, 1)
    assert got["ssim"] == pytest.approx(1, abs=1e-6)
    assert got["psnr"] == got["psnr_face"] > 70
    assert all((picture[0][~mask] == 0.5).all() for picture in given[0])


def test_photos_and_targets_share_no_view_and_targets_are_new(people):
    for n in range(3):
        record = people.load(n)
        photos, targets = split_views(record)
        assert sorted([*photos, *targets]) == list(range(13))
        assert sorted(targets) == [2, 5, 7, 10, 12]
        assert not record["is_face"][photos[0]]
        assert record["is_face"][photos].sum() == 3
        assert record["is_face"][photos[:4]].sum() == 1
        shown = set(record["instant"][photos])
        new = [v for v in targets if record["instant"][v] not in shown]
        assert (
            new == [v for v in targets if v not in (7, 12)] if record["regime"] == "studio" else len(new) == 5
        )


def test_the_first_photo_is_from_the_front_and_the_next_of_the_body_from_behind(people):
    """The first shows the most skin of the face, by the true points; the next body shows its back."""
    record = people.load(0)
    photos, _ = split_views(record)
    bodies = [v for v in photos if not record["is_face"][v]]

    def forward(view):  # which way the seen surface points lie: the template faces -Y
        points = record["template_map"][view]
        return -points[points.any(-1)][:, 1].mean()

    values = [forward(v) for v in bodies]
    assert values[0] == max(values)
    assert values[1] < np.median(values)


def test_targets_in_the_wild_are_clean(people):
    """No wear: PNG frames without things before the person."""
    sample = people.samples[2]
    assert {k for k in sample.members if k.startswith(("002", "000")) and "." not in k[4:]} == {
        "002.png",
        "000.jpg",
    }
    assert sample.covered("002") is None


def test_a_tiny_network_is_scored_whole(people, tmp_path):
    torch.manual_seed(0)
    model, subjects = LCA(SMALL).eval(), []
    result = evaluate(model, people, 4, subjects=subjects)
    json.dumps(result, allow_nan=False)
    assert (result["people"], result["failed"], result["views"]) == (3, 0, 4)
    assert result["lpips"] is None
    rows = [row for subject in subjects for row in score_subject(subject)]
    assert len(rows) == 15
    assert result["psnr"] == pytest.approx(np.mean([row["psnr"] for row in rows]), abs=1e-4)
    assert result["psnr_new_view"] == pytest.approx(
        np.mean([row["psnr"] for row in rows if not row["new_pose"]]), abs=1e-4
    )
    assert 0 <= result["retrieval_top1"] <= 1
    people_figure(tmp_path / "sheet.png", subjects, 2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * (96 + 4), 2 * (128 + 20))


def test_held_out_people_of_another_generator_are_refused(tmp_path):
    folder = tmp_path / "studio"
    assert len(held_out_people(tmp_path, "studio", 1, lambda text: None)) == 1
    path = next(folder.glob("*.tar"))
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    name = next(name for name in members if name.endswith(".json"))
    told = json.loads(members[name])
    told["joint_heads"][0][2] += 0.01
    members[name] = json.dumps(told).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with pytest.raises(UserError, match="another version of the generator"):
        held_out_people(tmp_path, "studio", 1, lambda text: None)


def test_alone_there_is_nobody_to_compare_with(people):
    one = ShardFolder(people.folder)
    one.samples = one.samples[:1]
    result = evaluate(LCA(SMALL).eval(), one, 1)
    assert result["psnr_swapped"] is result["psnr_mean_avatar"] is result["retrieval_top1"] is None


def test_the_score_of_covered_pixels_is_left_out(people):
    """Whatever an avatar shows where something hides the person."""
    subject = make_subjects(LCA(SMALL).eval(), people, 1)[0][0]
    record = {**subject.record, "template_map": subject.record["template_map"].copy()}
    view = int(subject.targets[0])
    rows = np.flatnonzero((truth(record, view)[..., 3] > 0.5).any(-1).numpy())
    record["template_map"][view, rows[0] : rows[len(rows) // 2]] = 0
    record["rgba"] = record["rgba"].copy()
    base = score_subject(replace(subject, record=record))[0]
    record["rgba"][view, rows[0] : rows[len(rows) // 2], :, :3] = 255
    assert score_subject(replace(subject, record=record))[0]["psnr"] == base["psnr"]


def test_a_person_in_too_few_views_is_told_in_one_sentence(people):
    record = people.load(0)
    keys = ("rgba", "template_map", "is_face", "transforms", "viewmats", "instant")
    one = record | {key: record[key][:1] for key in keys}
    with pytest.raises(UserError, match="No view is left"):
        split_views(one)
    heads = [v for v in split_views(record)[0] if record["is_face"][v]]
    with pytest.raises(UserError, match="shows the person's body"):
        true_views(record, SMALL, heads)

    class One:
        __len__, load = lambda self: 1, lambda self, n: one

    with pytest.raises(UserError, match="nothing to compare"):
        evaluate(LCA(SMALL).eval(), One())


def test_pictures_that_cannot_be_written_are_refused_at_once(tmp_path, capsys):
    target, model = tmp_path / "gone" / "x.png", tmp_path / "gone.safetensors"
    assert main(["eval", "--true-maps", "--model", str(model), "--pictures", str(target)]) == 1
    assert f"{tmp_path / 'gone'} does not exist" in capsys.readouterr().err


def test_true_views_take_the_photos_asked_for(people):
    record = people.load(0)
    photos, _ = split_views(record)
    views = true_views(record, SMALL, photos[:4])
    assert (len(views.body), len(views.sources)) == (3, 4)
    views.check()
