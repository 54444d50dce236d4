"""What the package says of itself, asks for, and what was locked agree; its commands start as `python -m` does."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zoo
from zoo import huge_pages

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = re.findall(r"^([\w.-]+)==([\w.+]+)(.*?)(?=^\S|\Z)", (ROOT / "requirements.lock").read_text(), re.M | re.S)


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
def test_every_dependency_is_locked_at_a_version_that_fits(line):
    wanted, versions = Requirement(line), {canonicalize_name(name): version for name, version, _ in LOCKED}
    assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)])


def test_every_locked_version_has_its_hashes_and_the_lock_names_no_index():
    assert len(LOCKED) > 50
    for name, _, rest in LOCKED:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name
    assert "http" not in (ROOT / "requirements.lock").read_text()


def test_the_extras_are_there():
    extras = set(PROJECT["optional-dependencies"])
    assert extras == {
        "prepare",
        "torch",
        "hub",
        "detection",
        "sweep",
        "colab",
        "docs",
        "cuda",
        "cuda12",
        "tpu",
        "video",
        "captions",
        "graphs",
        "test",
    }


def test_the_commands_are_those_of_python_m():
    assert set(PROJECT["scripts"]) == {"zoo", "zoo-train"}
    for place in PROJECT["scripts"].values():
        module, _, name = place.partition(":")
        assert importlib.import_module(module).run.__name__ == name


@pytest.mark.skipif(not huge_pages._are_of_use(), reason="no huge pages on this machine, or an accelerator")
@pytest.mark.parametrize("command", ["zoo", "zoo-train"])
@pytest.mark.parametrize("option", [(), ("--no-huge-pages",)])
def test_an_installed_command_starts_anew_as_itself_with_huge_pages(command, option, tmp_path):
    module, _, name = PROJECT["scripts"][command].partition(":")
    script = tmp_path / command  # as pip writes it, but for what it prints
    script.write_text(
        f"#!{sys.executable}\nimport os, sys\nfrom {module} import {name}\n"
        "if __name__ == '__main__':\n"
        "    print(os.getpid(), os.environ.get('GLIBC_TUNABLES'), flush=True)\n"
        f"    sys.exit({name}())\n"
    )
    script.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "GLIBC_TUNABLES"}
    environment["PYTHONPATH"] = os.fspath(ROOT)
    done = subprocess.run(
        [script, *option, "--help"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    starts = re.findall(r"^(\d+) (None|glibc.malloc.hugetlb=1)$", done.stdout, re.M)
    assert len({pid for pid, _ in starts}) == 1
    assert [setting for _, setting in starts] == (["None"] if option else ["None", "glibc.malloc.hugetlb=1"])
    assert "usage: python -m" in done.stdout


def test_the_citation_says_what_the_package_says():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    said = dict(line.split(": ", 1) for line in lines if re.match(r"[\w-]+: ", line))
    assert said["cff-version"] == "1.2.0"
    assert said["version"] == PROJECT["version"] == zoo.__version__
    assert said["license"] == PROJECT["license"]
    assert {"title", "message", "type"} <= set(said)
    assert '  - name: "The contributors"' in lines
    assert f"\n## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
