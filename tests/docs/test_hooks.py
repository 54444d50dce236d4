"""What the site is made of beside its pages: links turned to its places, recipes from their table, examples as code."""

import importlib.util
import types

import pytest

from tests.docs.public import ROOT
from train.recipes import all_recipes


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def turned(hooks, monkeypatch):
    """The text of a page with its links turned, in a site of a few pages."""
    there = {"README.md", "lecture.md", "guides/data.md", "zoo/nn/README.md", "zoo/hyperspheres/globe.png"}
    files = types.SimpleNamespace(get_file_from_path=lambda place: place if place in there else None)
    monkeypatch.setattr(hooks, "repository_address", lambda: "https://example.org/zoo")

    def turn(place, markdown):
        page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri=place))
        return hooks.on_page_markdown(markdown, page, None, files)

    return turn


def test_links_from_pages_of_the_site_lead_to_readmes_where_they_lie(turned):
    assert turned("guides/data.md", "[nn](../../../zoo/nn/README.md#x)") == "[nn](../zoo/nn/README.md#x)"
    assert turned("lecture.md", "[data](guides/data.md)") == "[data](guides/data.md)"


def test_links_from_readmes_lead_to_pages_and_pictures(turned):
    assert turned("README.md", "[it](docs/pages/lecture.md)") == "[it](lecture.md)"
    assert turned("zoo/nn/README.md", "![g](../hyperspheres/globe.png)") == "![g](../hyperspheres/globe.png)"
    assert turned("zoo/nn/README.md", "[it](../../docs/pages/lecture.md)") == "[it](../../lecture.md)"


def test_what_is_no_page_is_in_the_repository(turned, hooks, monkeypatch):
    assert turned("README.md", "[it](LICENSE) now") == "[it](https://example.org/zoo/blob/main/LICENSE) now"
    monkeypatch.setattr(hooks, "repository_address", lambda: "")
    assert turned("README.md", "[it](LICENSE) now") == "it now"


@pytest.mark.parametrize(
    "text",
    [
        "[gone](nowhere.md)",
        "[out](https://example.org/x)",
        "[down](#below)",
        "```\n[a](LICENSE)\n```",
        "    [a](LICENSE)",
    ],
)
def test_other_links_and_code_stay_as_they_are(turned, text):
    assert turned("README.md", text) == text


def test_the_page_of_recipes_has_every_recipe_and_what_was_measured(hooks):
    page = hooks.recipes_page()
    rows = [line for line in page.splitlines() if line.startswith("| `python -m train fit ")]
    assert [row.split("`")[1].split()[-1] for row in rows] == list(all_recipes())
    assert "99.42 %" in page
    assert page.count("\n## ") == len(list((ROOT / "train/recipes").glob("[!_]*.py")))
    assert page.count("```") % 2 == 0


def test_the_site_takes_readmes_and_pictures_but_no_code(hooks):
    shown = hooks.shown_files()
    assert {"README.md", "zoo/convnets/README.md", "zoo/MODELS.md", "train/recipes/digits.png"} <= set(shown)
    assert not [place for place in shown if place.endswith((".py", ".js", ".csv"))]
