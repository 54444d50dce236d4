"""What the golden files of RNN, LSTM and GRU were computed from: settings and arrays."""

import zlib
from typing import Any

import numpy as np

BATCH, STEPS, INPUTS, HIDDEN = 3, 6, 3, 4

LAYERS: dict[str, dict[str, Any]] = {
    "rnn": {"kind": "RNN"},
    "rnn relu": {"kind": "RNN", "nonlinearity": "relu", "num_layers": 2},
    "lstm": {"kind": "LSTM"},
    "lstm deep": {"kind": "LSTM", "num_layers": 2, "bidirectional": True, "lengths": (6, 2, 5)},
    "lstm without biases": {"kind": "LSTM", "bias": False, "lengths": (1, 6, 4)},
    "gru": {"kind": "GRU"},
    "gru deep": {"kind": "GRU", "num_layers": 2, "bidirectional": True, "lengths": (3, 6, 1)},
}
"""Options of torch's layers by name, and how many steps of each sequence are real."""


def drawn(name: str, *shape: int) -> np.ndarray:
    """Normal numbers, by the name."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)


def weight(name: str, *shape: int) -> np.ndarray:
    """The array of this name in the state dict."""
    return drawn(name, *shape) / 2


def states(name: str) -> tuple[np.ndarray, ...]:
    """h, and of an LSTM c, before the first step, as torch has them: (layers * directions, batch, hidden)."""
    settings = LAYERS[name]
    count = settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False))
    each = ("h", "c") if settings["kind"] == "LSTM" else ("h",)
    return tuple(drawn(f"{part} of {name}", count, BATCH, HIDDEN) for part in each)


def inputs(name: str) -> np.ndarray:
    """(batch, time, inputs); what is padding is drawn too."""
    return drawn(f"inputs of {name}", BATCH, STEPS, INPUTS)


def slopes(name: str, *shape: int) -> np.ndarray:
    """The gradient of what is differentiated in the outputs, (batch, time, outputs), or in a last state."""
    return drawn(f"slopes of {name}", *shape)
