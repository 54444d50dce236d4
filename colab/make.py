"""Keeps the notebooks in step: NN_name.py is what a person edits, NN_name.ipynb what Colab and Jupyter open.

    python colab/make.py                 # badges and install cells where they belong, and the .ipynb files anew
    python colab/make.py --check         # only says what is not in step; exit code 1 if anything is not
    python colab/make.py --run 02 05     # runs notebooks, and keeps the picture of each for colab/README.md

jupytext reads and writes both forms. Needs `pip install -e ".[colab]"`.
"""

import argparse
import base64
import hashlib
import os
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode, v4

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
"""The address of the repository, which stands nowhere else: a fork changes it in pyproject.toml and runs this."""

[_jax] = [name for name in PROJECT["dependencies"] if name.startswith("jax>=")]
OLDEST_JAX = tuple(map(int, _jax.removeprefix("jax>=").split(".")))
"""What is installed has to be as new as this: Colab has a jax of its own."""

BADGE = "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
"""What a badge begins with."""

INSTALL = f"""\
# In Colab this installs the library. In a clone, and where it is installed, it does nothing.
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys

clone = os.path.exists("../zoo/__init__.py") and os.path.exists("../pyproject.toml")
if clone:
    sys.path.insert(0, os.path.abspath(".."))
needed = ("zoo", "train", "jax", "flax", "optax", "orbax", "grain", "tyro")
there = all(map(importlib.util.find_spec, needed))
if not there or tuple(map(int, importlib.metadata.version("jax").split(".")[:2])) < {OLDEST_JAX}:
    extra = "[tpu]" if os.path.exists("/dev/accel0") or os.path.exists("/dev/vfio/0") else ""
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True)
        driver = answer.stdout.split(".")[0]
        if answer.returncode == 0 and driver.isdigit():  # otherwise there is the command and no GPU
            older = int(driver) < 580 or importlib.util.find_spec("jax_cuda12_plugin")
            extra = "[cuda12]" if older else "[cuda]"  # CUDA 13 wants driver 580, and no CUDA 12 beside it
    address = "git+{REPOSITORY}"
    source = f"..{{extra}}" if clone else f"{PROJECT["name"]}{{extra}} @ {{address}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)"""
"""The cell that installs, the same in every notebook."""

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WARNINGS_ARE_ERRORS = """\
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module="ipykernel")"""


def sources() -> list[Path]:
    """The notebooks that a person edits, in the lecture's order."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def badge(name: str) -> str:
    """The line with which a notebook is opened in Colab, in Markdown."""
    path = REPOSITORY.removeprefix("https://github.com/")
    return f"{BADGE}(https://colab.research.google.com/github/{path}/blob/main/colab/{name}.ipynb)"


def notebook(source: Path) -> NotebookNode:
    """The notebook of a .py file, with its badge and the install cell as they should be, and no outputs.

    Raises:
      ValueError: it does not begin with a title and an install cell.
    """
    node = jupytext.read(source, fmt="py:percent")
    first = node.cells[0]
    lines = first.source.splitlines()
    if first.cell_type != "markdown" or not lines or not lines[0].startswith("# "):
        raise ValueError(f"{source.name}: expected a first cell of Markdown that begins with '# ' and a title")
    rest = "\n".join(line for line in lines[1:] if not line.startswith(BADGE)).strip("\n")
    first.source = f"{lines[0]}\n\n{badge(source.stem)}\n\n{rest}".rstrip("\n")
    install = [cell for cell in node.cells if "install" in cell.metadata.get("tags", ())]
    if len(install) != 1:
        raise ValueError(f"{source.name}: expected one cell with the tag install, got {len(install)}")
    install[0].source = INSTALL
    node.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    seen: dict[str, int] = {}
    for cell in node.cells:  # an id that changes only with its cell
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = f"{digest}-{seen[digest]}"
    return node


def forms(source: Path) -> dict[Path, str]:
    """What the .py file and the .ipynb file of a notebook should hold."""
    node = notebook(source)
    plain = NotebookNode({**node, "metadata": {"jupytext": {"notebook_metadata_filter": "-all"}}})
    text = jupytext.writes(plain, fmt="py:percent")
    for cell in node.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # of the .py file
    return {
        source: text,
        source.with_suffix(".ipynb"): jupytext.writes(node, fmt="ipynb").rstrip("\n") + "\n",
    }


def wanted() -> dict[Path, str]:
    """What every file should hold: both forms of each notebook, and the badges of the table in README.md."""
    files = {path: content for source in sources() for path, content in forms(source).items()}
    readme = HERE / "README.md"
    if readme.exists():
        badges = re.compile(re.escape(BADGE) + r"\([^)]*/(\w+)\.ipynb\)")
        files[readme] = badges.sub(lambda match: badge(match[1]), readme.read_text(encoding="utf-8"))
    return files


def out_of_step(files: Mapping[Path, str]) -> list[Path]:
    """Which are not what they should be, `files`: missing, changed, or a notebook of no .py file."""
    strangers = sorted(set(HERE.glob("*.ipynb")) - files.keys())
    return [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text] + strangers


def executed(source: Path, seconds: int = 600, folder: Path | None = None, **environment: str) -> NotebookNode:
    """The notebook with its outputs, run from top to bottom in a kernel of its own, where warnings are errors.

    Args:
      source: its .py file.
      seconds: the longest that all of it may take.
      folder: where it runs and leaves its runs; by default one that is removed.
      **environment: variables of the kernel, such as NOTEBOOK_SCALE="quick".

    Raises:
      CellExecutionError: a cell failed.
      CellTimeoutError: it was not done by then.
    """
    node = notebook(source)
    node.cells.insert(0, v4.new_code_cell(WARNINGS_ARE_ERRORS))
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    end = time.monotonic() + seconds

    def left(_: NotebookNode) -> float:
        return max(end - time.monotonic(), 0.1)

    with tempfile.TemporaryDirectory() as temporary:
        where = {"metadata": {"path": str(folder or temporary)}}
        NotebookClient(node, timeout_func=left, kernel_name=KERNEL["name"], resources=where).execute(env=variables)
    del node.cells[0]
    return node


def picture(node: NotebookNode) -> bytes:
    """The last figure of the cell that is tagged picture, as PNG.

    Raises:
      ValueError: there is none.
    """
    cells = [cell for cell in node.cells if "picture" in cell.metadata.get("tags", ())]
    found = [
        output.data["image/png"] for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    if not found:
        raise ValueError(f"expected a cell with the tag picture that shows a figure, got {len(cells)} such cells")
    return base64.b64decode(found[-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--run", nargs="+", metavar="NAME", help="run notebooks, by the beginning of their names")
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="with --run: where to keep them with their outputs")
    chosen = parser.parse_args(arguments)
    if chosen.run:
        return _run(chosen.run, chosen.keep)
    files = wanted()
    stale = out_of_step(files)
    if chosen.check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not in step: python colab/make.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        if path in files:
            path.write_text(files[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


def _run(names: Sequence[str], keep: Path | None) -> int:
    """Runs the notebooks whose names begin so, and keeps their pictures."""
    for name in names:
        matching = [source for source in sources() if source.stem.startswith(name)]
        if not matching:
            print(f"no notebook {name!r}; known: {', '.join(path.stem for path in sources())}", file=sys.stderr)
            return 2
        for source in matching:
            node = executed(source)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{source.stem}.ipynb").write_text(jupytext.writes(node, fmt="ipynb"), encoding="utf-8")
            path = HERE / "pictures" / f"{source.stem}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(picture(node))
            print(f"ran {source.name}; wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
