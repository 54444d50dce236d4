"""Fixtures for the tests of whole runs: the tiny model, no report, and runs that many tests read."""

import contextlib

import pytest

from tests.train import harness
from train.config import Optimizer
from train.config.tasks.regression import Regression


@pytest.fixture(scope="session")
def engine():
    """A context in which runs of `harness.recipe` work and are quick."""

    @contextlib.contextmanager
    def installed():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("zoo.catalog.CATALOG", harness.CATALOG)
            patch.setattr("train.engine.finish.write_report", harness.write_no_report)
            yield

    return installed


@pytest.fixture
def runs(engine):
    """The context of `engine`, for one test."""
    with engine():
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The tiny data set."""
    return harness.write_data(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture(scope="session")
def whole(engine, data, tmp_path_factory):
    """The folder and the outcome of a run of `harness.recipe` that nothing disturbed; tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    with engine():
        outcome = harness.run(harness.recipe(data), path)
    left = sorted(path.rglob("*"))
    yield path, outcome
    assert sorted(path.rglob("*")) == left, "a test changed the run that all share"


@pytest.fixture(scope="session")
def regression(engine, data, tmp_path_factory):
    """The folder of a regression run, which keeps no moving average."""
    path = tmp_path_factory.mktemp("regression") / "run"
    with engine():
        harness.run(harness.recipe(data, task=Regression(), optimizer=Optimizer("adam", learning_rate=3e-3)), path)
    return path
