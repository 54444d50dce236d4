"""The notebooks of `colab/`: in step with the files that a person edits, opened by their badges, and run."""

import ast
import re
import subprocess
import sys
import time

import nbformat
import pytest
from nbclient.exceptions import CellTimeoutError

from colab import make

SOURCES = make.sources()
NOTEBOOKS = {source.stem: nbformat.read(source.with_suffix(".ipynb"), 4) for source in SOURCES}
SECONDS = 300
"""The longest that a notebook may take beside another, where nothing is compiled yet; one alone, with programs compiled
before, aims at under two minutes on two cores."""
every_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def test_there_are_notebooks_in_the_order_of_the_lecture():
    assert [name[:2] for name in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]


def test_notebooks_are_in_step_with_their_sources():
    assert [str(path) for path in make.out_of_step(make.wanted())] == []


def test_what_is_out_of_step_is_found_and_mended(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make, "HERE", tmp_path)
    monkeypatch.setattr(make, "ROOT", tmp_path)
    source = tmp_path / "01_one.py"
    source.write_text('# %% [markdown]\n# # One\n#\n# Text.\n\n# %% tags=["install"]\n# nothing\n\n# %%\n1 + 1\n')
    (tmp_path / "02_of_no_source.ipynb").write_text("{}")
    assert make.main(["--check"]) == 1
    assert capsys.readouterr().err.count("is not in step: python colab/make.py") == 3
    assert make.main([]) == 0
    (tmp_path / "02_of_no_source.ipynb").unlink()
    assert make.main(["--check"]) == 0
    assert make.badge("01_one") in source.read_text()
    assert make.INSTALL in source.read_text()
    readme = tmp_path / "README.md"
    readme.write_text(f"| {make.BADGE}(https://elsewhere/colab/01_one.ipynb) |\n")
    assert make.main(["--check"]) == 1
    assert make.main([]) == 0
    assert readme.read_text() == f"| {make.badge('01_one')} |\n"
    before = source.with_suffix(".ipynb").read_text()
    source.write_text(source.read_text().replace("1 + 1", "1 + 2"))
    assert make.main(["--check"]) == 1
    assert make.main([]) == 0
    pairs = zip(before.splitlines(), source.with_suffix(".ipynb").read_text().splitlines(), strict=True)
    changed = [old for old, new in pairs if old != new]
    assert len(changed) == 2  # the cell, and its id


@every_notebook
def test_a_notebook_says_what_it_is_and_opens_in_colab(name):
    title, *_ = (cell for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown")
    assert title.source.startswith("# ")
    path = make.REPOSITORY.removeprefix("https://github.com/")
    address = f"https://colab.research.google.com/github/{path}/blob/main/colab/{name}.ipynb"
    assert title.source.count(f"]({address})") == 1
    assert re.search(r"\bL\d+", title.source), "the lecture's rows that it serves"


def test_the_address_of_the_repository_stands_in_one_place_and_is_what_the_notebooks_install():
    assert make.REPOSITORY.startswith("https://github.com/")
    [install] = {cell.source for notebook in NOTEBOOKS.values() for cell in tagged(notebook, "install")}
    assert f"git+{make.REPOSITORY}" in install
    owner = make.REPOSITORY.removeprefix("https://github.com/")
    for name, notebook in NOTEBOOKS.items():
        text = "".join(cell.source for cell in notebook.cells)
        assert owner in text, name
        assert "/lecture-vision-zoo" not in text.replace(owner, ""), name


@pytest.mark.parametrize(
    ("there", "driver", "source"),
    [
        ([], None, "lecture-vision-zoo @ git+{}"),
        (["/dev/accel0"], None, "lecture-vision-zoo[tpu] @ git+{}"),
        ([], "580.65.06", "lecture-vision-zoo[cuda] @ git+{}"),
        ([], "550.54.15", "lecture-vision-zoo[cuda12] @ git+{}"),
        (["jax_cuda12_plugin"], "580.65.06", "lecture-vision-zoo[cuda12] @ git+{}"),
        ([], "NVIDIA-SMI has failed because it could not communicate with the driver.", "lecture-vision-zoo @ git+{}"),
        (["../zoo/__init__.py", "../pyproject.toml"], None, ".."),
    ],
)
def test_the_install_cell_asks_for_what_the_machine_can_use(there, driver, source, monkeypatch):
    """`there` are the files and modules that the machine has."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 9 if driver and driver.startswith("NVIDIA") else 0, driver)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr("os.path.exists", lambda path: path in there)
    monkeypatch.setattr("shutil.which", lambda name: driver and f"/usr/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("sys.path", [])
    exec(make.INSTALL, {})
    assert commands[-1] == [sys.executable, "-m", "pip", "install", "--quiet", source.format(make.REPOSITORY)]
    assert len(commands) == (1 if driver is None else 2)


@pytest.mark.parametrize(("version", "count"), [("0.7.2", 1), ("0.10.0", 0), ("0.12.0.dev1", 0), ("1.0", 0)])
def test_the_install_cell_brings_a_jax_that_is_too_old_up_to_date(version, count, monkeypatch):
    commands = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command))
    monkeypatch.setattr("sys.path", [])
    exec(make.INSTALL, {})
    assert len(commands) == count


def test_the_install_cell_works_from_a_clone_and_installs_nothing_where_all_is_there():
    where = "import zoo, train\nprint(zoo.__file__, train.__file__)"
    code = f"import subprocess\nsubprocess.run = None\n{make.INSTALL}\n{where}"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=make.HERE, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(make.ROOT / "zoo" / "__init__.py"), str(make.ROOT / "train" / "__init__.py")]


@every_notebook
def test_packages_that_a_notebook_installs_itself_are_those_of_an_extra(name):
    extras = {package for some in make.PROJECT["optional-dependencies"].values() for package in some}
    for cell in NOTEBOOKS[name].cells:
        if "subprocess.run" in cell.source and "install" not in cell.metadata.get("tags", ()):
            assert set(re.findall(r'"([\w-]+>=[\w.]+)"', cell.source)) <= extras


@every_notebook
def test_a_notebook_is_kept_without_outputs_and_what_changes_by_itself(name):
    for cell in NOTEBOOKS[name].cells:
        assert cell.metadata.keys() <= {"tags", "cellView", "jupyter"}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert NOTEBOOKS[name].metadata.keys() == {"kernelspec", "language_info"}


@every_notebook
def test_every_exercise_has_a_solution_that_is_folded_and_checks_itself(name):
    cells = NOTEBOOKS[name].cells
    checked = {check for cell in cells for check in re.findall(r"^check_\w+", cell.source, re.MULTILINE)}
    solved = set()
    for cell in tagged(NOTEBOOKS[name], "solution"):
        assert cell.metadata["cellView"] == "form"
        assert cell.metadata["jupyter"] == {"source_hidden": True}
        assert re.match(r"# ?@title Solution", cell.source)
        asserted = [ast.unparse(node.test) for node in ast.parse(cell.source).body if isinstance(node, ast.Assert)]
        solved |= {check.partition("(")[0] for check in asserted}
    assert checked
    assert checked == solved


@every_notebook
def test_a_notebook_reads_no_command_line_and_ends_no_process(name):
    for cell in NOTEBOOKS[name].cells:
        if cell.cell_type == "code" and "install" not in cell.metadata.get("tags", ()):
            assert not re.search(r"sys\.(exit|argv)|argparse|tyro", cell.source), cell.source


@every_notebook
def test_the_readme_shows_the_notebook(name):
    readme = (make.HERE / "README.md").read_text(encoding="utf-8")
    assert make.badge(name) in readme
    assert f"](pictures/{name}.png)" in readme
    assert len(tagged(NOTEBOOKS[name], "picture")) == 1
    assert (make.HERE / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow  # a kernel
def test_a_notebook_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "INSTALL", "import time")
    source = tmp_path / "01_one.py"
    cells = ["# %% [markdown]\n# # One", '# %% tags=["install"]', *3 * ["# %%\ntime.sleep(1)"], "# %%\ntime.sleep(60)"]
    source.write_text("\n\n".join(cells))
    began = time.monotonic()
    with pytest.raises(CellTimeoutError):
        make.executed(source, seconds=5)
    assert time.monotonic() - began < 30


@pytest.mark.slow  # a minute each
@every_notebook
def test_a_notebook_runs_from_top_to_bottom_in_quick_scale(name):
    node = make.executed(make.HERE / f"{name}.py", SECONDS, NOTEBOOK_SCALE="quick", JAX_DISABLE_MOST_OPTIMIZATIONS="0")
    assert make.picture(node).startswith(b"\x89PNG")
    said = [output.text for cell in node.cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
    assert not re.search(r"Warning|Traceback|Exception ignored", "".join(said)), said
