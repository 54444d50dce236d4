"""Turns SIGTERM and SIGINT into a wish that the loop honours between two steps."""

import contextlib
import os
import signal
from types import FrameType


class Interrupt:
    """A context in which the first signal is only noted, and a SIGINT after it stops at once.

    Python runs handlers between two of its own instructions: a signal that comes while XLA compiles is noted
    when the compiler returns. At once means without another save; a checkpoint in writing is still completed.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The first signal that came."""
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interrupt":
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self._previous[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread: whoever runs it handles signals
                break
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        """Whether a signal came."""
        return self.signal is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signal = signal.Signals(number)
        again = "; again to stop at once" if number == signal.SIGINT else ""
        with contextlib.suppress(OSError):  # straight to the file: a print may be what was interrupted
            os.write(2, f"\n{self.signal.name}: stopping after this step{again}\n".encode())

    @property
    def exit_code(self) -> int:
        """0 after SIGTERM, which asks politely; 130 after SIGINT, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0
