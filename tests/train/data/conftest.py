"""Fixtures for the tests of the data."""

import jax
import pytest


@pytest.fixture(scope="module")
def quick_compiling():
    """Compiles with few optimisations: most of the time of these tests goes into programs that run once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
