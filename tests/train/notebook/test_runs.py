"""`train.fit`, `train.resume` and their outcome, in this process; `test_kernel.py` has what only a notebook does."""

import html
import json
import logging
import re
import shutil
import signal
import threading
from pathlib import Path

import pytest

import train
from tests.train import harness
from train.config import RunError
from train.engine.feed import MemoryFeed
from train.notebook import runs

pytestmark = pytest.mark.usefixtures("runs")


def test_runs_of_one_recipe_take_the_next_free_folder_and_have_the_same_bits(data, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), logging.getLogger("absl").level
    recipe = harness.recipe(data)
    outcomes = [train.fit(recipe), train.fit(recipe)]
    assert [outcome.workdir for outcome in outcomes] == [Path("runs/tiny").absolute(), Path("runs/tiny-2").absolute()]
    assert {outcome.fingerprint for outcome in outcomes} == {whole[1].fingerprint}
    assert outcomes[0].metrics == whole[1].metrics
    assert all(outcome.finished and not outcome.interrupted for outcome in outcomes)
    assert before == (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        logging.getLogger("absl").level,
    )


def test_a_run_in_another_thread_is_the_same(data, whole, tmp_path):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(train.fit(harness.recipe(data), tmp_path / "run")))
    thread.start()
    thread.join()
    assert outcomes[0].fingerprint == whole[1].fingerprint


def test_an_interrupted_run_goes_on_to_the_same_bits(data, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        harness.signal_at(patch, MemoryFeed, "advance", signal.SIGINT, call=4)
        stopped = train.fit(harness.recipe(data), tmp_path / "run")
    assert stopped.interrupted
    assert not stopped.finished
    assert 0 < stopped.step < whole[1].step
    remedy = f"train.resume('{tmp_path}/run')"
    assert remedy in repr(stopped)
    assert html.escape(remedy) in stopped._repr_html_()
    with pytest.raises(RunError, match=r"has no report yet: train.resume"):
        stopped.report()
    ended = train.resume(stopped.workdir)
    assert (ended.finished, ended.fingerprint) == (True, whole[1].fingerprint)
    assert train.resume(str(stopped.workdir)) == ended  # nothing is left to do


def test_what_cannot_go_on_says_why(data, tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        train.resume(tmp_path / "none")
    outcome = train.fit(harness.recipe(data), tmp_path / "run")
    (tmp_path / "run" / "fingerprint.json").write_text("{}")
    with pytest.raises(RunError, match=r"fingerprint.json is damaged"):
        train.resume(outcome.workdir)


def test_an_outcome_outlives_its_folder(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    outcome = train.resume(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    assert str(tmp_path / "run") in repr(outcome)
    assert "<iframe" not in outcome._repr_html_()


def test_an_outcome_has_the_history_of_its_run(whole):
    outcome = train.resume(whole[0])
    assert [line["step"] for line in outcome.history("eval")] == [8, 16, 24]
    assert outcome.history()[-1]["step"] == outcome.step == 24
    assert outcome.history("eval") == harness.lines(whole[0], "eval")


def test_a_notebook_shows_the_numbers_and_the_report_in_a_frame_of_its_own(whole):
    outcome = train.resume(whole[0])
    shown = outcome._repr_html_()
    assert f"{outcome.metrics['accuracy']:.2%}".replace("%", " %") in shown
    [source] = re.findall(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts"', shown)
    assert html.unescape(source) == (whole[0] / "report.html").read_text()
    assert 'height="300"' in outcome.report(300)._repr_html_()


def test_a_name_will_do_for_a_recipe(tmp_path):
    with pytest.raises(KeyError, match="nearest: digits_mlp"):
        train.fit("digits_ml", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert json.dumps(sorted(train.__all__)) == json.dumps(sorted(dir(train)))


def test_orbax_may_speak_again_only_after_the_last_of_several_threads_runs():
    logger = logging.getLogger("absl")
    before = logger.level
    first, second = runs._silence, runs._silence
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert logger.level == logging.CRITICAL
    second.__exit__(None, None, None)
    assert logger.level == before
