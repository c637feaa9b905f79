# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of `lca ablate`: what their variants share, how they read, and one made at toy size."""

import json

import pytest
from lca_blender.backend.errors import UserError
from lca_blender.backend.model.config import preset
from lca_blender.backend.training.dataset.prepare import prepare
from lca_blender.backend.training.evaluation.ablate import (
    TABLES,
    Scale,
    Variant,
    ablate,
    markdown,
    put_section,
    run_folder,
    scores_path,
    stage_configs,
)
from lca_blender.backend.training.people.dataset import write_shards

SCORES = {"l1": 0.05, "ssim": 0.5, "psnr": 20.0}


def test_first_stages_last_alike_and_post_training_comes_on_top():
    for table in TABLES.values():
        for variant in table.rows:
            minutes = [config.minutes for config in stage_configs(variant, Scale(minutes=10))]
            steps = [config.steps for config in stage_configs(variant, Scale(steps=200))]
            assert minutes == [10, 5][: 1 + bool(variant.post)]
            assert steps == [200, 100][: 1 + bool(variant.post)]


def test_variants_that_begin_alike_share_their_beginning(tmp_path):
    scale = Scale(steps=100)
    first = {
        (table, row.name): run_folder(tmp_path, stage_configs(row, scale)[0], row.dual, None, [tmp_path])
        for table in TABLES
        for row in TABLES[table].rows
    }
    assert len({first["decay", row.name] for row in TABLES["decay"].rows}) == 1
    assert first["data", "wild, then studio"] == first["people", "100 %"] == first["decay", "0.65"]
    assert first["branches", "one branch"] != first["branches", "two branches"]
    assert len({first["people", row.name] for row in TABLES["people"].rows}) == 3
    assert first["data", "wild only"] == first["data", "wild, then studio"]
    assert len({first["data", row.name] for row in TABLES["data"].rows}) == 3


def test_another_setup_has_other_results(tmp_path, monkeypatch):
    config, scale = stage_configs(Variant("x"), Scale())[0], Scale()
    runs = lambda *folders: run_folder(tmp_path, config, True, None, folders)  # noqa: E731
    monkeypatch.chdir(tmp_path)
    assert runs("a") == runs(tmp_path / "a")
    assert len({runs("a"), runs("b"), runs("a", "b")}) == 3
    scores = [
        scores_path(tmp_path, tmp_path / "held out", scale, "one"),
        scores_path(tmp_path, tmp_path / "held out", scale, ""),
        scores_path(tmp_path, tmp_path / "others", scale, "one"),
        scores_path(tmp_path, tmp_path / "held out", Scale(tokens=64), "one"),
        scores_path(tmp_path, tmp_path / "held out", Scale(views=1), "one"),
    ]
    assert len(set(scores)) == len(scores)
    assert scores_path(tmp_path, "held out", scale, "one") == scores[0]


def test_the_best_of_a_column_is_bold_and_a_section_is_replaced():
    table = TABLES["branches"]
    better = {"l1": 0.04, "ssim": 0.4, "psnr": 21.0}
    section = markdown(
        table, [{"studio": SCORES, "wild": SCORES}, {"studio": better, "wild": better}], Scale()
    )
    rows = [line for line in section.splitlines() if line.startswith(("| one", "| two"))]
    assert rows[0] == "| one branch | 0.0500 | **0.5000** | 20.00 | 0.0500 | **0.5000** | 20.00 |"
    assert rows[1] == "| two branches | **0.0400** | 0.4000 | **21.00** | **0.0400** | 0.4000 | **21.00** |"
    document = "# Measurements\n\n## Never run\nMuch.\n"
    once = put_section(document, section)
    assert once.index(table.title) < once.index("## Never run")
    assert put_section(once, section) == once


def test_a_toy_table_is_made_once(tmp_path):
    data, document, told = tmp_path / "people", tmp_path / "table.md", []
    write_shards(data, range(6), 1, lambda text: None, height=128, width=96, regime="both")
    prepare(data, preset("starter"))
    document.write_text("# Measurements\n")
    small = tmp_path / "small.json"
    small.write_text(
        json.dumps({"model": "starter", "tokens": [32, 64], "finish_tokens": 64, "pool_size": 2})
    )
    scale = Scale(str(small), steps=4, people=1, views=1, tokens=64, batch=2)
    arguments = (["branches"], [data], tmp_path / "runs", tmp_path / "held out", scale, document)
    made = ablate(*arguments, say=told.append)
    assert [line.split(" | ")[0] for line in made.splitlines()[-2:]] == ["| one branch", "| two branches"]
    assert made in document.read_text()
    assert sum(": pretrain in" in line or ": posttrain in" in line for line in told) == 4
    told.clear()
    assert ablate(*arguments, say=told.append) == made
    assert not told
    with pytest.raises(UserError, match="no table"):
        ablate(["colours"], *arguments[1:])
    with pytest.raises(UserError, match="Sapiens"):
        ablate(["branches"], [data], tmp_path / "runs", tmp_path / "held out", Scale("paper"))
    assert Variant("x").post == ("studio",)
