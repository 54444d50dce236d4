"""Programs are compiled once for a whole run of the tests: both workers, and what they start, share one cache.

Compiling is most of what the tests take. Where `JAX_COMPILATION_CACHE_DIR` is set, as in `.ci/run`, that is used.
"""

import os
import shutil
import tempfile

_CACHE = "JAX_COMPILATION_CACHE_DIR"

# Before jax is imported, by the next conftest say: it looks at its environment only then. Workers inherit this one's.
_MADE = None if _CACHE in os.environ else tempfile.mkdtemp(prefix="zoo-tests-")
if _MADE is not None:
    os.environ[_CACHE] = _MADE
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_unconfigure(config):
    """Takes the cache away again."""
    if _MADE is not None:
        shutil.rmtree(_MADE, ignore_errors=True)
