# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual's pages, and what Blender's Online Manual opens them for."""

from pathlib import Path

import bpy

from lca_blender.ui import manual, sidebar

SOURCE = Path(__file__).parents[2] / "docs" / "manual"


def test_every_page_and_every_operator_of_the_map_exists():
    prefix, pairs = manual.manual_map()
    assert prefix.startswith("file:///")
    assert prefix.endswith("/manual/")
    for name, page in pairs:
        assert (SOURCE / page).with_suffix(".md").is_file(), page
        if not name.endswith("*"):
            getattr(bpy.ops.lca, name.removeprefix("bpy.ops.lca.")).get_rna_type()


def test_every_page_is_in_the_table_of_contents():
    listed = (SOURCE.parent / "mkdocs.yml").read_text()
    assert all(f"- {page.name}" in listed for page in SOURCE.glob("*.md"))


def test_the_pictures_of_an_empty_list_are_there():
    assert all((sidebar.PICTURES / f"{view}.png").is_file() for view in sidebar.VIEWS)
