"""How a notebook begins: which devices there are, how much to compute on them, programs compiled once."""

import dataclasses
import os
from typing import TypeVar

import jax

from train.engine import exact as kernels
from train.engine.compiled import keep_compiled_programs
from zoo.huge_pages import could_be_had

T = TypeVar("T")

VARIABLE = "NOTEBOOK_SCALE"
"""In the environment: quick or full, in place of what the device suggests."""

_SCALES = ("quick", "full")


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much a notebook computes: what two CPU cores do in two minutes, or an accelerator in ten."""

    device: str
    """cpu, gpu or tpu."""
    full: bool
    """Whether the notebook takes its time."""

    def pick(self, quick: T, full: T) -> T:
        """One of two values, such as numbers of epochs.

        >>> Scale("cpu", full=False).pick(2, 40)
        2
        """
        return full if self.full else quick


def start(devices: int | None = None, exact: bool = True) -> Scale:
    """Prepares this process for a notebook, says what it runs on, and chooses the scale.

    The environment variable NOTEBOOK_SCALE, quick or full, is what counts where it is set; else an accelerator has the
    full scale and a CPU the quick one. Compiled programs are kept for the next start.

    Args:
      devices: how many devices a CPU is to be taken for, to try what many devices do; None leaves it.
      exact: ask a GPU for kernels that give the same bits each time, which recipes expect unless they say otherwise.

    Raises:
      ValueError: NOTEBOOK_SCALE is neither, or jax was at work before with another number of CPU devices.
    """
    asked = os.environ.get(VARIABLE) or None
    if asked not in (None, *_SCALES):
        raise ValueError(f"{VARIABLE}: expected quick or full, got {asked!r}")
    keep_compiled_programs()
    if devices is not None:
        _take_cpu_for(devices)
    kernels.ask(exact)
    device = "gpu" if jax.default_backend() in ("cuda", "rocm") else jax.default_backend()
    if devices is not None and device == "cpu" and jax.device_count() != devices:
        raise ValueError(
            f"expected {devices} CPU devices, got {jax.device_count()}: jax was at work before; restart the kernel and "
            "run this cell first"
        )
    scale = Scale(device, full=(asked == "full") if asked else device != "cpu")
    print(_line(scale, asked))
    if device == "cpu" and could_be_had():
        print("Convolutions are faster here with memory in huge pages: zoo/nn/README.md says how.")
    return scale


def _take_cpu_for(devices: int) -> None:
    """Asks for this many CPU devices, where jax has not looked for devices yet."""
    if not kernels.backends_are_initialized():
        jax.config.update("jax_num_cpu_devices", devices)


def _line(scale: Scale, asked: str | None) -> str:
    """Such as "1 x Tesla T4 (gpu); scale full: takes its time. NOTEBOOK_SCALE=quick in the environment is shorter."."""
    count, kind = jax.device_count(), jax.devices()[0].device_kind
    named = scale.device.upper() if kind.lower() == scale.device else f"{kind} ({scale.device.upper()})"
    name = "full" if scale.full else "quick"
    why = f"as {VARIABLE} says" if asked else f"{VARIABLE}=quick|full in the environment chooses another"
    return f"{count} x {named}, jax {jax.__version__}; scale: {name} ({why})"
