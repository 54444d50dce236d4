"""Turns SIGTERM and SIGINT into a wish that the loop honours between two steps."""

import signal
from types import FrameType


class Interrupt:
    """A context in which the first signal is only noted, and a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
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

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """0 after SIGTERM, which asks politely; 130 after SIGINT, as shells expect."""
        return 130 if self.signal == signal.SIGINT else 0
