"""Fixtures for the tests of whole runs: the tiny model, no report, and compiled programs kept between runs."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests.train import harness


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A folder for compiled programs, and settings that make compilation quick rather than the program."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_disable_most_optimizations": True,
    }
    before = {name: getattr(jax.config, name, False) for name in settings}

    def switch(values):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # it looks at its folder only once

    return lambda: switch(settings), lambda: switch(before)


@pytest.fixture
def runs(compiled, monkeypatch):
    """Runs of `harness.recipe` work, and are quick."""
    on, off = compiled
    monkeypatch.setattr("zoo.catalog.CATALOG", harness.CATALOG)
    monkeypatch.setattr("train.report.write_report", harness.write_no_report)
    on()
    yield
    off()


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The tiny data set."""
    return harness.write_data(tmp_path_factory.mktemp("data") / "tiny.npz")
