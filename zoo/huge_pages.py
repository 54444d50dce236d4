"""Memory in huge pages, for which a program has to ask before it starts.

On a CPU, XLA takes the memory for its results anew at every call. Of large ones glibc asks the kernel each time, which
clears them in pages of 4 KiB, one fault a page: with pages of 2 MiB a training step of ResNet-18 takes a tenth less, of
MobileNetV2 a quarter. glibc reads this setting once, when a process begins; so a command starts itself anew with it:
the same process, with its standard streams, signals and exit code. In a notebook or a program of your own, start Python
with GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in its environment.
"""

import contextlib
import os
import platform
import sys
from pathlib import Path

OPTION = "--no-huge-pages"
"""Of every command: leaves memory as it is, and starts nothing anew."""

_NAME = "glibc.malloc.hugetlb"
_MARK = "huge_pages"
"""An option -X that Python ignores: who has it was started anew, even if the variable was lost on the way."""
_FIRST = (2, 35)  # version of glibc that has it
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/accel0", "/dev/vfio/0")


def start_with_huge_pages() -> None:
    """Starts this command anew, once, where that makes it faster; takes `OPTION` out of `sys.argv`.

    To be called first in a `__main__`, before anything is read, printed or imported that takes time.
    """
    if OPTION in sys.argv:
        sys.argv = [argument for argument in sys.argv if argument != OPTION]
        return
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if _MARK in sys._xoptions or _NAME in tunables or not _are_of_use():
        return
    environment = {**os.environ, "GLIBC_TUNABLES": ":".join(filter(None, (tunables, f"{_NAME}=1")))}
    with contextlib.suppress(OSError):  # then without
        os.execve(sys.executable, [sys.executable, "-X", _MARK, *sys.orig_argv[1:]], environment)


def could_be_had() -> bool:
    """Whether this process would be faster with them, had it been started so."""
    return _NAME not in os.environ.get("GLIBC_TUNABLES", "") and _are_of_use()


def _are_of_use() -> bool:
    """Whether this machine computes on its CPU, and glibc and the kernel have them."""
    if sys.platform != "linux":
        return False
    if os.environ.get("JAX_PLATFORMS") != "cpu" and any(map(os.path.exists, _ACCELERATORS)):
        return False
    library, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if library != "glibc" or numbers < _FIRST or not sys.executable:
        return False
    with contextlib.suppress(OSError):
        return "[never]" not in _SETTING.read_text()
    return False
