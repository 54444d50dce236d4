"""The same bits each time, on a GPU too: there some kernels add in an order that changes, unless XLA is told not to.

XLA reads its flags once, when jax first looks for devices; `ask` comes before. CPUs and TPUs need no flag.
"""

import importlib.metadata
import os
import warnings
from collections.abc import Iterable
from typing import Any

import jax
from jax._src.xla_bridge import backends_are_initialized  # nothing public says it without starting them

FLAG = "--xla_gpu_deterministic_ops"
_GPU = ("gpu", "cuda", "rocm")


def ask(exact: bool) -> None:
    """Asks XLA for kernels that give the same bits each time, where there may be a GPU.

    Where jax runs on one already, without, it warns and says what to set.
    """
    if not exact:
        return
    if not backends_are_initialized():
        if may_find_gpu(jax.config.jax_platforms, _plugins()):
            os.environ["XLA_FLAGS"] = with_flag(os.environ.get("XLA_FLAGS", ""))
    elif not in_force():
        warnings.warn(
            f"runs on this GPU need not repeat bit for bit: jax was at work before XLA_FLAGS={FLAG}=true was set. Set "
            "it first, in a notebook in the first cell after a restart; or give exactness up for speed: exact=False",
            stacklevel=3,
        )


def in_force() -> bool:
    """Whether programs of this process give the same bits each time; starts jax's devices."""
    return jax.default_backend() not in _GPU or _is_set(os.environ.get("XLA_FLAGS", ""))


def may_find_gpu(platforms: str | None, plugins: Iterable[str]) -> bool:
    """Whether jax will look for a GPU, by what it may use (None: all) and the plugins that are installed.

    >>> may_find_gpu(None, ["xla_cuda13"]), may_find_gpu("cpu", ["xla_cuda13"]), may_find_gpu(None, [])
    (True, False, False)
    """
    allowed = not platforms or any(name in _GPU for name in platforms.split(","))
    return allowed and any(kind in plugin for plugin in plugins for kind in _GPU)


def with_flag(flags: str) -> str:
    """XLA's flags with the one for exactness, unless it is there, on or off.

    >>> with_flag("--xla_dump_to=there")
    '--xla_dump_to=there --xla_gpu_deterministic_ops=true'
    """
    named = any(flag.partition("=")[0] == FLAG for flag in flags.split())
    return flags if named else f"{flags} {FLAG}=true".strip()


def was_exact(card: dict[str, Any]) -> bool:
    """Whether a run's card says that its bits repeat; one that is silent was written when GPUs were not asked to."""
    on_gpu = any(str(device).partition(":")[0] in _GPU for device in card.get("devices", ()))
    return bool(card.get("exact", not on_gpu))


def _is_set(flags: str) -> bool:
    said = [flag.partition("=")[2] for flag in flags.split() if flag.partition("=")[0] == FLAG]
    return bool(said) and said[-1].lower() in ("", "true", "1")  # the last one counts


def _plugins() -> list[str]:
    return [entry.name for entry in importlib.metadata.entry_points(group="jax_plugins")]
