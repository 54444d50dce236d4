"""Batches of an evaluation, on the host and on the devices, where those of a small split stay."""

from collections.abc import Callable, Iterable, Iterator

from jaxtyping import Array, PyTree

from train.data.source import Arrays


class HeldOut:
    """The same batches at each evaluation.

    Args:
      read: reads them, in their order.
      send: puts one on the devices.
      stays: whether they stay there, once all of them were sent; otherwise there are only those in use.
    """

    def __init__(
        self, read: Callable[[], Iterable[Arrays]], send: Callable[[Arrays], PyTree[Array]], stays: bool
    ) -> None:
        self._read, self._send, self._stays = read, send, stays
        self._sent: list[PyTree[Array]] = []

    def pairs(self) -> Iterator[tuple[Arrays, PyTree[Array]]]:
        """Each batch, as it was read and on the devices."""
        if self._sent:
            yield from zip(self._read(), self._sent, strict=True)
            return
        sent = []
        for batch in self._read():
            arrays = self._send(batch)
            if self._stays:
                sent.append(arrays)
            yield batch, arrays
        self._sent = sent  # not of an evaluation that was given up

    def on_devices(self) -> Iterator[PyTree[Array]]:
        """Each batch on the devices; those that stayed are not read again."""
        yield from self._sent or (arrays for _, arrays in self.pairs())
