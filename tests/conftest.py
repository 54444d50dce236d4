"""Compiling and tracing are most of what the tests take: programs are compiled once, and little optimised.

Both workers, and the processes that tests start, share one cache; where `JAX_COMPILATION_CACHE_DIR` is set, as in
`.ci/run`, that is used. `JAX_DISABLE_MOST_OPTIMIZATIONS=0 pytest` tests the programs that users run.
"""

import gc
import importlib.metadata
import os
import shutil
import tempfile

import pytest

_CACHE = "JAX_COMPILATION_CACHE_DIR"

# Before jax is imported, by the next conftest say: it looks at its environment only then. Workers inherit this one's.
_MADE = None if _CACHE in os.environ else tempfile.mkdtemp(prefix="zoo-tests-")
if _MADE is not None:
    os.environ[_CACHE] = _MADE
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
_QUICK = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1"
# Programs that are optimised little compile in half the time by XLA's older way to write loops. XLA ends a process at
# a flag that it does not know, as jaxlib 0.12 does at this one.
_KNOWN = tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) <= (0, 10)
if _QUICK and _KNOWN:
    # Two workers keep two processors busy: none is helped by threads of its own to compile.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1")

# A GPU's products of float32 are of TF32 unless asked otherwise: facts are held in float32.
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")

# A trace makes many objects that stay: looking through all of them, over and over, was a seventh of the time.
gc.set_threshold(200_000, 50, 1000)


@pytest.fixture(scope="module")
def optimised():
    """Programs are optimised as users' are: for tests that compute for longer than they compile."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def pytest_unconfigure(config):
    """Takes the cache away again."""
    if _MADE is not None:
        shutil.rmtree(_MADE, ignore_errors=True)
