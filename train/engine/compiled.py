"""Compiled programs, kept on the disk for the next process."""

import contextlib
import os
from pathlib import Path

import jax


def keep_compiled_programs() -> None:
    """Turns on jax's cache on the disk, so that the next run starts at once; JAX_COMPILATION_CACHE_DIR goes before."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    with contextlib.suppress(RuntimeError):  # who has no home folder goes without
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lecture-vision-zoo" / "xla"
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
