# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of training runs: what a file changes, and what makes no sense."""

import json
from dataclasses import fields, replace

import pytest
from lca_blender.backend.cli import main as lca
from lca_blender.backend.errors import UserError
from lca_blender.backend.training.evaluation.ablate import TABLES, Scale, stage_configs
from lca_blender.backend.training.network.config import PRESETS, BatchRecipe, TrainingConfig, training_config


def test_a_configuration_is_a_json_file(tmp_path):
    for (name, stage), config in PRESETS.items():
        assert training_config(name, stage) == config
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(config.to_json()))
        assert training_config(file, stage) == config
    file.write_text('{"lr": 1e-3, "recipe": {"people": 3}}')
    config = training_config(file, "posttrain")
    assert (config.lr, config.recipe.people, config.stage) == (1e-3, 3, "posttrain")
    file.write_text('{"learning_rate": 1}')
    with pytest.raises(UserError, match="learning_rate"):
        training_config(file, "pretrain")
    file.write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        training_config(file, "pretrain")
    file.write_text("[" * 200_000)
    with pytest.raises(UserError, match="no JSON"):
        training_config(file, "pretrain")
    with pytest.raises(UserError, match="no configuration"):
        training_config("tiny", "pretrain")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "steps must be a whole number above 0"),
        ({"steps": True}, "steps must be a whole number above 0"),
        ({"warmup_steps": 0}, "warmup_steps must be a whole number above 0"),
        ({"check_people": 1}, "check_people must be a whole number above 1"),
        ({"lr": "fast"}, "lr must be a number above 0"),
        ({"lr": float("nan")}, "lr must be a number above 0"),
        ({"minutes": 0}, "minutes must be a number above 0"),
        ({"people_share": 1.5}, "people_share must be a number above 0, at most 1"),
        ({"tokens": [64]}, "tokens must be two whole numbers"),
        ({"recipe": {"photos": [8, 1]}}, "photos must be two whole numbers above 0, the larger one last"),
        ({"recipe": {"people": 0}}, "people must be a whole number above 0"),
        ({"recipe": 8}, "a JSON object"),
        ({"regimes": "mixed"}, "regimes must be a list of names"),
        ({"bf16": 1}, "bf16 must be true or false"),
        ({"model": "tiny"}, "there is no model 'tiny'"),
        ({"model": ["starter"]}, "there is no model"),
        ([], "a JSON object"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(tmp_path, changes, said):
    file = tmp_path / "training.json"
    file.write_text(json.dumps(changes))
    with pytest.raises(UserError, match=said):
        training_config(file, "pretrain")


@pytest.mark.parametrize("start", [TrainingConfig(), BatchRecipe()])
def test_no_field_is_left_unchecked(start):
    for field in fields(start):
        if field.name != "recipe":
            with pytest.raises(UserError, match=r"must be|There is no"):
                replace(start, **{field.name: {}})


@pytest.mark.parametrize("stage", ["pretrain", "posttrain"])
def test_a_file_changes_the_preset_of_its_model_and_stage(tmp_path, stage):
    file = tmp_path / "training.json"
    for model in ("starter", "small", "paper"):
        file.write_text(json.dumps({"model": model, "seed": 3, "recipe": {"jitter": 0.5}}))
        preset = PRESETS[model, stage]
        changed = replace(preset, seed=3, recipe=replace(preset.recipe, jitter=0.5))
        assert training_config(file, stage) == changed
    file.write_text("{}")
    assert training_config(file, stage) == PRESETS["starter", stage]


def test_zero_on_the_command_line_is_refused_too(tmp_path, capsys):
    for changes in ({"batch": 0}, {"steps": 0}):
        with pytest.raises(UserError, match="must be a whole number above 0"):
            stage_configs(TABLES["branches"].rows[0], Scale(**changes))
    arguments = ["train", "pretrain", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--batch", "0"]
    assert lca(arguments) == 1
    assert "people must be a whole number above 0" in capsys.readouterr().err
