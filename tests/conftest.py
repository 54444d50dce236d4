"""Programs are compiled once for a whole run of the tests: both workers, and what they start, share one cache.

Compiling is most of what the tests take. Where `JAX_COMPILATION_CACHE_DIR` is set, as in `.ci/run`, that is used.
"""

import os
import shutil
import tempfile

_CACHE = "JAX_COMPILATION_CACHE_DIR"
_made = None


def pytest_configure(config):
    """Before jax is imported, which looks at its environment only then; workers inherit this one's."""
    global _made
    if not hasattr(config, "workerinput") and _CACHE not in os.environ:
        _made = os.environ[_CACHE] = tempfile.mkdtemp(prefix="zoo-tests-")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_unconfigure(config):
    """Takes the cache away again."""
    if _made is not None:
        shutil.rmtree(_made, ignore_errors=True)
