"""What the package asks for and what was locked agree."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    assert extras == {"prepare", "torch", "hub", "detection", "sweep", "colab", "cuda", "cuda12", "tpu", "test"}
