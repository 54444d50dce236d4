"""Exact runs: the flag is set before jax looks for a GPU, the card keeps it, and comparisons say what to expect."""

import os
import subprocess
import sys
import warnings

import jax
import pytest

from tests.train.harness import ROOT, recipe, run
from train.engine import exact
from train.engine.console import Console
from train.store.files import write_json
from train.store.workdir import Workdir
from train.use.rerun import rerun

FLAG = "--xla_gpu_deterministic_ops"


@pytest.mark.parametrize(
    ("platforms", "plugins", "found"),
    [
        (None, [], False),
        (None, ["xla_cuda12"], True),
        ("", ["xla_rocm7"], True),
        ("cuda,cpu", ["xla_cuda13"], True),
        ("cpu", ["xla_cuda13"], False),
        ("tpu", ["xla_cuda13", "libtpu"], False),
        (None, ["libtpu"], False),
    ],
)
def test_a_gpu_is_found_where_jax_may_use_one_and_has_a_plugin_for_it(platforms, plugins, found):
    assert exact.may_find_gpu(platforms, plugins) is found


def test_what_a_person_has_set_stays():
    assert exact.with_flag("") == f"{FLAG}=true"
    assert exact.with_flag(f"--a=b {FLAG}=false") == f"--a=b {FLAG}=false"
    assert exact.with_flag(f"{FLAG}_of_another=1") == f"{FLAG}_of_another=1 {FLAG}=true"


def fit(folder, data, *options):
    """A step of the tiny model in a process that has a plugin for a GPU and finds none; XLA's flags at its end."""
    (folder / "no_gpu.py").write_text("def initialize():\n    pass\n")
    about = folder / "no_gpu-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: no_gpu\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[jax_plugins]\nxla_cuda13 = no_gpu\n")
    arguments = ["fit", "digits", "--model.name", "tiny", "--data.source", f"npz:{data}", "--steps", "1", *options]
    code = f"""
import os, zoo.catalog, train.cli, train.engine.finish
from tests.train import harness
zoo.catalog.CATALOG, train.engine.finish.write_report = harness.CATALOG, harness.write_no_report
print(train.cli.main({[*arguments, "--workdir", str(folder / "run")]}), os.environ.get("XLA_FLAGS"))
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("JAX_PLATFORMS", "XLA_FLAGS")}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "repeat bit for bit" not in done.stderr
    return done.stdout.splitlines()[-1]


def test_the_command_line_asks_xla_for_exact_kernels(tmp_path, data):
    assert fit(tmp_path, data) == f"0 {FLAG}=true"
    assert Workdir(tmp_path / "run").read_card()["exact"] is True


@pytest.mark.slow  # another start of a program
def test_a_recipe_gives_exactness_up(tmp_path, data):
    assert fit(tmp_path, data, "--no-exact") == "0 None"


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As on a GPU where jax was at work before the flag was set."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.delenv("XLA_FLAGS", raising=False)


@pytest.mark.usefixtures("on_a_gpu")
def test_where_jax_is_at_work_already_it_says_what_to_set(monkeypatch):
    assert jax.devices()
    with pytest.warns(UserWarning, match=rf"need not repeat bit for bit: .* before XLA_FLAGS={FLAG}=true was set"):
        exact.ask(True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact.ask(False)
        monkeypatch.setenv("XLA_FLAGS", f"--a=b {FLAG}")
        exact.ask(True)


def test_cards_say_whether_bits_repeat_and_silent_ones_are_judged_by_their_devices():
    assert exact.was_exact({"devices": ["cpu:0 (cpu)"]})
    assert exact.was_exact({"devices": ["tpu:0 (TPU v2)"]})
    assert not exact.was_exact({"devices": ["cuda:0 (NVIDIA H100)"]})
    assert exact.was_exact({"exact": True, "devices": ["gpu:0 (NVIDIA H100)"]})
    assert not exact.was_exact({"exact": False, "devices": ["gpu:0 (NVIDIA H100)"]})


@pytest.mark.usefixtures("runs")
def test_rerun_and_resume_say_when_a_comparison_is_not_expected_to_hold(data, tmp_path, capsys):
    path = tmp_path / "run"
    run(recipe(data, epochs=1), path)
    files = Workdir(path)
    assert files.read_card()["exact"] is True
    write_json(files.fingerprint, {"fingerprint": "other"})
    assert rerun(path, Console()) == 1
    assert "which says nothing" not in capsys.readouterr().out
    write_json(files.card, {**files.read_card(), "exact": False})
    assert rerun(path, Console()) == 1
    assert "which says nothing: on a GPU without exact kernels two runs need not be the same" in capsys.readouterr().out
    files.fingerprint.unlink()
    with pytest.warns(UserWarning, match="need not repeat bit for bit"):
        run(recipe(data, epochs=1), path, resume=True)
