"""READMEs, pages and notebooks: links lead somewhere, names exist, and the lecture is all accounted for."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.public import ROOT, modules, resolves
from train.cli import COMMANDS
from train.experiments import EXPERIMENTS
from train.recipes import all_recipes

PAGES = sorted(
    path
    for pattern in ("*.md", "zoo/**/*.md", "train/**/*.md", "colab/**/*.md", "docs/pages/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
NOTEBOOKS = sorted(ROOT.glob("colab/*.ipynb"))
CHAPTERS = sorted(ROOT.glob("zoo/*/README.md"))
LECTURE = ROOT / "docs/pages/lecture.md"
ROWS = range(1, 101)

GENERATED = {"docs/pages/recipes.md"}
"""Pages that are there only in the site."""


def by_place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def whole_text(page: Path) -> str:
    """Of a notebook its cells of Markdown."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def text_of(page: Path) -> str:
    """Without blocks of code, in which brackets mean something else."""
    return re.sub(r"^```.*?^```", "", whole_text(page), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """What headings are called in a link, as GitHub and MkDocs have it."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    wrong = []
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page))):
        if ":" in target:
            continue
        there = (page.parent / target).resolve() if target else page
        generated = there.is_relative_to(ROOT) and by_place(there) in GENERATED
        if not (there.exists() or generated) or (anchor and anchor not in anchors(there)):
            wrong.append(f"{target}#{anchor}")
    return wrong


def unknown_names(page: Path) -> list[str]:
    """The names of ours in a page that do not exist: zoo.x and train.x, and places such as train/tasks/."""
    mentioned = re.findall(r"`([^`\n]+)`", text_of(page))
    dotted = [name for code in mentioned for name in re.findall(r"^((?:zoo|train)(?:\.[A-Za-z_]\w*)+)", code)]
    places = [code for code in mentioned if re.fullmatch(r"(?:zoo|train|tests|docs|colab|\.ci)/[\w./-]+", code)]
    places = [code for code in places if not re.search(r"\b[A-Z]{4,}\b", code) or (ROOT / code).exists()]  # NAME
    return [name for name in dotted if not resolves(name)] + [code for code in places if not (ROOT / code).exists()]


def unknown_commands(page: Path) -> list[str]:
    """What a page has people train that there is not: recipes, experiments, and commands of `python -m train`."""
    commands = re.findall(r"python -m train +([a-z][\w-]*)(?: +([a-z][\w-]*)(?![\w/:.-]))?", whole_text(page))
    names = {"fit": all_recipes(), "experiment": EXPERIMENTS}
    wrong = [command for command, _ in commands if command not in COMMANDS]
    return wrong + [name for command, name in commands if name and command in names and name not in names[command]]


def test_there_are_pages_and_chapters():
    assert {"README.md", "zoo/convnets/README.md", "docs/pages/lecture.md"} <= set(map(by_place, PAGES))
    assert len(CHAPTERS) >= 7


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=by_place)
def test_links_lead_to_files_and_headings(page):
    assert broken_links(page) == []


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=by_place)
def test_names_exist(page):
    assert unknown_names(page) == []


@pytest.mark.parametrize("page", PAGES, ids=by_place)
def test_no_page_holds_both_sides_of_a_merge(page):
    assert not re.search(r"^(<{7}|={7}|>{7})", page.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=by_place)
def test_commands_name_recipes_and_experiments_that_there_are(page):
    assert unknown_commands(page) == []


def test_what_is_wrong_is_found(tmp_path):
    (tmp_path / "there.md").write_text("# A heading, `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#a-heading-code) [c](gone.md) [d](there.md#gone) [e](https://example.org)\n"
        "`zoo.create` `zoo.nn.Conv(3)` `zoo.crate` `train/tasks/` `train/tasks/NAME.py` `train/gone.py`\n"
        "```\n[f](gone.md) `zoo.crate`\n```\n"
    )
    assert broken_links(page) == ["gone.md#", "there.md#gone"]
    assert unknown_names(page) == ["zoo.crate", "train/gone.py"]
    page.write_text("`python -m train fit digits`, `python -m train fit digist`, `python -m train prepare NAME`\n")
    assert unknown_commands(page) == ["digist"]
    cells = [{"cell_type": "markdown", "source": ["[a](gone.md)\n", "`python -m train fti digits`"]}]
    notebook = tmp_path / "notebook.ipynb"
    notebook.write_text(json.dumps({"cells": [*cells, {"cell_type": "code", "source": ["f[0](1)"]}]}))
    assert broken_links(notebook) == ["gone.md#"]
    assert unknown_commands(notebook) == ["fti"]


def numbers(text: str) -> set[int]:
    """The rows that a text names, as L3, L4-L6."""
    found = re.findall(r"\bL(\d+)(?:-L(\d+))?\b", text)
    return {row for first, last in found for row in range(int(first), int(last or first) + 1)}


def lecture_table() -> list[tuple[set[int], str]]:
    """Of each line of the page's table the rows of the lecture, and where they are."""
    lines = [line.split("|")[1:-1] for line in LECTURE.read_text().splitlines() if line.startswith("| L")]
    return [(numbers(rows), where.strip()) for rows, _, where in lines]


def rows_of(readme: Path) -> set[int]:
    """The rows that a chapter's own table has a line for."""
    lines = [line for line in readme.read_text().splitlines() if line.startswith("| L")]
    return set().union(*(numbers(line.split("|")[1]) for line in lines))


def test_every_row_of_the_lecture_is_in_a_chapter_or_listed_as_not_yet_there():
    listed = [row for rows, _ in lecture_table() for row in sorted(rows)]
    assert listed == list(ROWS)
    for rows, where in lecture_table():
        readmes = [LECTURE.parent / target for target in re.findall(r"\]\(([^)]+)\)", where)]
        if not where.startswith("not yet there"):
            assert rows <= set().union(*map(rows_of, readmes)), where


def test_what_is_listed_as_not_yet_there_is_in_no_chapter():
    missing = set().union(*(rows for rows, where in lecture_table() if where.startswith("not yet there")))
    assert missing & set().union(*map(rows_of, CHAPTERS)) == set()


def test_every_errata_that_a_chapter_names_is_one_of_the_lecture():
    named = {int(number) for readme in CHAPTERS for number in re.findall(r"\bE(\d+)\b", readme.read_text())}
    assert named <= set(range(1, 26))
    assert len(named) > 15


def test_the_site_shows_every_chapter_and_every_module_that_a_user_imports():
    navigation = (ROOT / "docs/mkdocs.yml").read_text()
    assert [by_place(readme) for readme in CHAPTERS if by_place(readme) not in navigation] == []
    pages = "\n".join(page.read_text() for page in (ROOT / "docs/pages/api").glob("*.md"))
    shown = set(re.findall(r"^::: (\S+)$", pages, re.M))
    assert shown <= set(modules())
    assert {readme.parent.relative_to(ROOT).as_posix().replace("/", ".") for readme in CHAPTERS} <= shown
