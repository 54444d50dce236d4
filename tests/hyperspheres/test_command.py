"""`python -m zoo separate`: what it prints is what is in the file, and what it refuses is one line."""

import math
import re

import numpy as np
import pytest

from zoo.__main__ import main
from zoo.hyperspheres.storage import load_prototypes

NUMBER = r"(-?[\d.]+)"


def printed(out, label):
    (found,) = re.findall(rf"^ *{label} +{NUMBER}", out, re.MULTILINE)
    return float(found)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_it_prints_the_measures_of_the_prototypes_that_it_writes(tmp_path, capsys, suffix):
    path = tmp_path / f"p{suffix}"
    assert main(["separate", "5", "3", "--objective", "mean", "--save", str(path)]) == 0
    out = capsys.readouterr().out
    assert "5 prototypes in 3 dimensions, objective mean, seed 0\n" in out
    prototypes = np.asarray(load_prototypes(path)[0], np.float64)
    cosines = (prototypes @ prototypes.T)[~np.eye(5, dtype=bool)].reshape(5, 4)
    assert printed(out, "largest cosine") == pytest.approx(cosines.max(), abs=2e-6)
    assert printed(out, "smallest angle") == pytest.approx(math.degrees(math.acos(cosines.max())), abs=2e-4)
    assert printed(out, "mean of largest cosines") == pytest.approx(-1 / 80, abs=2e-6)
    assert printed(out, "Rankin's bound") == 0
    assert printed(out, "Levenshtein's bound") == pytest.approx(-1 / 9, abs=2e-6)
    assert printed(out, "seconds") >= 0
    assert out.endswith(f"written                  {path}\n")


def test_another_seed_is_another_turn_and_nothing_is_written_unasked(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in ("1", "2"):
        assert main(["separate", "7", "3", "--seed", seed, "--save", f"{seed}.npz"]) == 0
    assert np.abs(load_prototypes("1.npz")[0] - load_prototypes("2.npz")[0]).max() > 0.1
    assert main(["separate", "1", "3"]) == 0
    assert "written" not in capsys.readouterr().out.rpartition("1 prototypes")[2]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.npz", "2.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["5", "3", "--save", "there.npz"], "there.npz is there already"),
        (["5", "3", "--save", "p.txt"], "p.txt: expected a name in .npz or .safetensors"),
        (["5", "3", "--save", "absent/p.npz"], "no folder absent to write p.npz in"),
        (["5", "3", "--objective", "maxx"], "no objective 'maxx'; nearest: max"),
        (["5", "1"], "dims: expected at least 2, got 1"),
        (["0", "3"], "classes: expected at least 1, got 0"),
    ],
)
def test_what_it_refuses_is_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "there.npz"
    there.write_bytes(b"mine")
    assert main(["separate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {message}")
    assert captured.err.count("\n") == 1
    assert there.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [there]
