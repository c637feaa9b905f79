# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses by hand, and training on a few small people: it learns, and a killed run goes on."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lca_blender.backend.avatar import Avatar
from lca_blender.backend.body.expression import expression_code
from lca_blender.backend.body.pose import pose_features
from lca_blender.backend.errors import UserError
from lca_blender.backend.imaging.correspondence import Correspondence, NoPersonError
from lca_blender.backend.imaging.crops import Box
from lca_blender.backend.jobs import Cancelled
from lca_blender.backend.model.checkpoint import load_model
from lca_blender.backend.model.create import create_avatar, rest_signal
from lca_blender.backend.model.lca import drive
from lca_blender.backend.training.common import Average, learning_rate
from lca_blender.backend.training.dataset.estimates import estimate_record
from lca_blender.backend.training.dataset.prepare import prepare, write_arrays
from lca_blender.backend.training.dataset.prepared import PreparedPeople, estimate_path, prepared
from lca_blender.backend.training.dataset.signals import signal_of, square
from lca_blender.backend.training.dataset.sites import make_sites
from lca_blender.backend.training.evaluation.evaluate import (
    compare,
    mean_avatar,
    picture,
    target_signal,
    true_views,
    truth,
)
from lca_blender.backend.training.network import train as training
from lca_blender.backend.training.network.batches import choose_views, cut_camera, cut_target, make_batch
from lca_blender.backend.training.network.check import check, encode_batch
from lca_blender.backend.training.network.config import BatchRecipe, TrainingConfig
from lca_blender.backend.training.people.dataset import PeopleDataset, write_shards
from model_fixtures import SMALL, fused_changes
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

RECIPE = BatchRecipe(people=2, photos=(1, 4), most_faces=2, target_size=(64, 48))
CONFIG = TrainingConfig(
    steps=4, recipe=RECIPE, warmup_steps=2, pool_size=3, log_every=2, bf16=False, lr=2e-3, check_people=2
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_shards(folder, range(4), 1, lambda text: None, height=128, width=96, regime="both")
    prepare(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    torch.manual_seed(0)
    return training.start([data], tmp_path_factory.mktemp("none"), CONFIG, training.LCA(SMALL))


def test_learning_rate_warms_up_and_falls():
    assert learning_rate(1.0, 0, 10, 0.0) == pytest.approx(0.1)
    assert learning_rate(1.0, 50, 10, 0.5) == pytest.approx(0.51)
    assert learning_rate(1.0, 100, 10, 1.0) == pytest.approx(0.02)


def test_the_average_of_the_weights_is_that_of_torch():
    """From the step at which the short memory of the start has grown to the decay."""
    model = torch.nn.Linear(3, 2)
    model.trainable = model.named_parameters
    average, decay = Average(model, 0.6), 0.6
    for _ in range(13):  # (1 + 14) / (10 + 14) > 0.6
        average.update(model)
    expected = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    expected.update_parameters(model)  # the first call copies
    for step in range(5):
        with torch.no_grad():
            model.weight += step
        average.update(model)
        expected.update_parameters(model)
    torch.testing.assert_close(average.weights["weight"], expected.module.weight.detach())


def test_a_cut_target_is_what_its_camera_sees(run):
    """A point projects to the same place in the whole view and in a cut or reduced one."""
    rng = np.random.default_rng(0)
    view = (rng.random((128, 96, 5)) * 255).astype(np.uint8)
    view[..., 4] = 255
    viewmat, k = np.eye(4), np.array([[100.0, 0, 48], [0, 100, 64], [0, 0, 1]])
    for place in ((0, 0, 2), (30, 40, 1)):
        camera = cut_camera(viewmat, k, place, (64, 48))
        assert (camera.height, camera.width) == (64, 48)
        point = camera.K @ (0.1, -0.05, 2.0) / 2.0
        whole = k @ (0.1, -0.05, 2.0) / 2.0
        assert np.allclose(point[:2] * place[2] + place[:2], whole[:2])
    one = cut_target(view, (30, 40, 1), (64, 48))
    assert np.allclose(one[5, 7, 3], view[45, 37, 3] / 255)
    assert cut_target(view, (0, 0, 2), (64, 48)).shape == (64, 48, 5)


def test_a_batch_depends_on_the_step_alone(run):
    a, background = training.draw_batch(run, 3, False)
    b, again = training.draw_batch(run, 3, False)
    c, _ = training.draw_batch(run, 4, False)
    assert torch.equal(a.body, b.body)
    assert torch.equal(a.targets, b.targets)
    assert torch.equal(background, again)
    assert not torch.equal(a.targets, c.targets)


def test_training_drives_as_the_avatar_does(run):
    """The batch's way from pose to Gaussians and the avatar file's way agree."""
    torch.manual_seed(1)
    model = run.model
    with torch.no_grad():
        for p in model.pose_head.last.parameters():
            p.add_(0.3 * torch.randn_like(p))
    model.eval()
    record = PeopleDataset(run.people.files[0].parents[1]).load(0)
    avatar = create_avatar(true_views(record, SMALL), model)
    batch = make_batch(
        run.people.part(lambda seed, regime: seed == 0),
        run.final,
        SMALL,
        replace(RECIPE, people=1),
        np.random.default_rng(0),
        None,
    )
    with torch.no_grad():
        people = encode_batch(model, batch)
        view = int(np.argmax([np.allclose(batch.expression[0, 0], e) for e in record["expression"]]))
        signal = target_signal(record, view)
        assert torch.allclose(
            pose_features(signal.transforms).flatten(), batch.signals[0, 0, : 57 * 3], atol=1e-5
        )
        gaussians = avatar.drive(signal)
        decoded = fused_changes(avatar.token_bias, avatar.decoder, batch.signals[0, 0])
        own = drive(
            replace(people.canonical, **_avatar_as_batch(avatar)),
            decoded[None, None],
            batch.expression[:, :1],
            batch.transforms[:, :1],
            run.final.anchors,
        )
    model.train()
    assert decoded.abs().max() > 1e-3
    assert torch.allclose(own.means[0, 0], gaussians.means, atol=2e-3)
    assert torch.allclose(own.covariances[0, 0], gaussians.covariances, atol=2e-6, rtol=2e-2)
    assert torch.allclose(own.colors[0, 0].clamp(0, 1), gaussians.colors, atol=2e-3)
    with torch.no_grad():
        for p in model.pose_head.last.parameters():
            p.zero_()


def _avatar_as_batch(avatar: Avatar) -> dict:
    return {
        "means": avatar.means[None],
        "quats": avatar.quats.float()[None],
        "log_scales": avatar.scales.float().log()[None],
        "opacities": avatar.opacities.float()[None],
        "colors": avatar.colors.float()[None],
    }


def test_one_batch_can_be_learnt(run):
    torch.manual_seed(0)
    model = training.LCA(SMALL)
    config = replace(CONFIG, canonical_every=1)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    batch, background = training.draw_batch(run, 0, True)
    values = []
    for _ in range(12):
        loss = training.losses(model, batch, config, 0, background)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.9 * values[0]
    unused = {k for k, p in model.named_parameters() if p.grad is None}
    assert not unused


def test_a_killed_run_goes_on_as_if_nothing_had_happened(data, tmp_path):
    def train(out, cancelled=None, config=SMALL):
        torch.manual_seed(0)
        return training.train(
            [data], tmp_path / out, CONFIG, training.LCA(config), lambda text: None, cancelled
        )

    whole = train("a")
    calls = iter(range(100))
    train("b", lambda: next(calls) >= 2)
    rest = train("b")
    assert rest.progress.step == whole.progress.step == 4
    rows = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    other = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    losses = lambda lines: [row["loss"] for row in lines if "loss" in row]  # noqa: E731
    assert losses(rows) == pytest.approx(losses(other), rel=1e-4)
    assert {"psnr", "psnr_swapped", "psnr_mean_avatar", "retrieval", "iou"} <= set(rows[-1]["check"])
    assert load_model(tmp_path / "b" / "model.safetensors").notes["steps"] == 4
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(UserError, match="another configuration"):
        train("b", config=SMALL.with_(layers=1))


def test_the_check_tells_people_apart(run):
    """Even an untrained network colours Gaussians from the photos: the right person must win."""
    result, pictures = check(run.model.eval(), run.people, run.final, RECIPE)
    run.model.train()
    assert result["psnr"] > result["psnr_swapped"] + 1
    assert math.isfinite(result["psnr_mean_avatar"])
    assert len(pictures) == 2 * len(run.people)


def test_an_avatar_is_created_saved_and_driven(run, data, tmp_path):
    record = PeopleDataset(data).load(1)
    views = true_views(record, SMALL)
    seen = []
    avatar = create_avatar(
        views, run.model.eval(), progress=lambda f, m: seen.append(f), name="Ada", consent="yes"
    )
    run.model.train()
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(avatar) == 64 * 4
    avatar.save(tmp_path / "a.lca")
    again = Avatar.load(tmp_path / "a.lca")
    assert again.hash == avatar.hash
    assert again.header["name"] == "Ada"
    assert avatar.thumbnails[0].shape == (256, 192, 3)
    rest = again.drive(rest_signal())
    assert torch.allclose(rest.means, again.means, atol=0.2)
    psnr, iou = compare(picture(again, record, 4), truth(record, 4))
    assert psnr > 8
    assert iou > 0.3


def test_photo_order_does_not_change_the_avatar(run, data):
    views = true_views(PeopleDataset(data).load(2), SMALL)
    turned = replace(views, body=views.body[::-1], face=views.face[::-1], sources=views.sources[::-1])
    a, b = (create_avatar(v, run.model.eval()) for v in (views, turned))
    run.model.train()
    assert torch.allclose(a.means, b.means, atol=1e-4)
    assert torch.allclose(a.colors.float(), b.colors.float(), atol=2e-3)


def test_creation_can_be_cancelled(run, data):
    with pytest.raises(Cancelled):
        create_avatar(true_views(PeopleDataset(data).load(0), SMALL), run.model, cancelled=lambda: True)


def test_the_average_of_one_person_is_that_person(run, data):
    avatar = create_avatar(true_views(PeopleDataset(data).load(0), SMALL), run.model)
    mean = mean_avatar([avatar, avatar])
    assert torch.allclose(mean.means, avatar.means, atol=1e-6)
    assert torch.allclose(mean.scales.float(), avatar.scales.float(), rtol=1e-2)
    mean.verify()


def test_signals_have_the_length_of_the_configuration(data):
    record = PeopleDataset(data).load(0)
    signals = signal_of(square(record["transforms"]), expression_code(record["expression"]), record["gaze"])
    assert signals.shape == (10, SMALL.signal_width)
    assert np.isfinite(signals).all()


class Truthful:
    """Explains photos by the truth: what a perfect estimator would say."""

    def __init__(self, record):
        self.record, self.turn = record, 0

    def see(self, rgb):
        if (turn := self.turn) == 1:
            self.turn += 1
            raise NoPersonError("No person.", "")
        self.turn += 1
        return SimpleNamespace(rgb=rgb, view=turn)

    def explain(self, sightings):
        found = []
        for seen in sightings:
            matte = self.record["rgba"][seen.view, ..., 3].astype(np.float32) / 255
            points = self.record["template_map"][seen.view].astype(np.float32)
            confidence = matte * points.any(-1)
            none = np.zeros_like(matte)
            found.append(
                Correspondence(matte, points, none, confidence, Box.of_mask(matte > 0.5), None, None, seen)
            )
        return found


def test_a_perfect_estimators_maps_are_the_true_ones(run, data):
    """What is stored of an estimator's answer says the same as what is stored of the truth."""
    record = PeopleDataset(data).load(0)
    arrays = estimate_record(record, Truthful(record), SMALL, make_sites(SMALL))
    assert arrays["found"].tolist() == [True, False, *[True] * 8]
    file = run.people.files[0]
    write_arrays(estimate_path(file), arrays)
    try:
        with PreparedPeople([file], ["studio"]).open(0) as person:
            for view in (0, 4):
                own, true = person.source(view, True), person.source(view, False)
                assert own.estimated
                assert not true.estimated
                near = (true.distance < 30) & (own.distance < 30)  # 1.8 cm
                assert near.sum() > 30
                apart = np.abs(own.rgb[near].astype(int) - true.rgb[near])
                assert np.median(apart) <= 4
            assert not person.source(1, True).estimated
            own, true = person.crop("body", 0, True), person.crop("body", 0, False)
            assert own[1]
            assert not true[1]
            both = (own[0][..., 3] > 250) & (true[0][..., 3] > 250)
            assert both.mean() > 0.05
            apart = np.abs(own[0][both][:, :3].astype(int) - true[0][both][:, :3])
            assert np.median(apart) <= 4
    finally:
        estimate_path(file).unlink()


def test_photos_and_targets_never_share_a_view():
    is_face = np.array([False] * 6 + [True] * 4)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        photos, faces = int(rng.integers(1, 9)), int(rng.integers(0, 5))
        choice = choose_views(rng, is_face, rng.random(10) < 0.4, photos, faces, 2)
        assert (len(choice.photos), len(choice.faces), len(choice.targets)) == (photos, faces, 2)
        assert not set(choice.targets) & (set(choice.photos) | set(choice.faces))
        assert not is_face[choice.photos[0]]
        assert len(set(choice.photos)) == photos  # ten views, eight photos at most


def test_covered_pixels_teach_nothing(run):
    batch, background = training.draw_batch(run, 0, True)
    image = torch.rand_like(batch.targets)
    hidden = torch.zeros_like(batch.visible)
    parts = training.picture_parts(image, batch.targets * hidden, hidden, background, CONFIG)
    assert float(parts["image"]) == pytest.approx(0, abs=1e-6)


def test_only_the_stages_people_are_seen(data):
    people = prepared([data], SMALL)
    assert people.regimes == ["studio", "wild", "studio", "wild"]
    train, held = training.split(people, replace(CONFIG, regimes=("wild", "studio")))
    assert (train.regimes, held.regimes) == (["studio"] * 2, ["wild"] * 2)
    with pytest.raises(UserError, match="mixed"):
        training.split(people, replace(CONFIG, regimes=("mixed",)))


def test_layers_far_from_the_decoders_learn_more_slowly():
    model = training.LCA(SMALL)
    optimizer = training.make_optimizer(model, replace(CONFIG, layer_decay=0.5))
    scale = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    of = {name: scale[id(p)] for name, p in model.trainable()}
    assert of["canonical_head.last.weight"] == of["pose_head.signal.weight"] == of["norm.weight"] == 1
    assert of["layers.1.geometry.norm1.weight"] == 0.5
    assert of["layers.0.geometry.norm1.weight"] == 0.25
    assert of["encoder.patches.weight"] == of["project.weight"] == 0.125
