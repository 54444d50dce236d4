"""Writes `recurrent.npz` beside it: what torch's recurrent layers make of the arrays and settings of `recurrent.py`.

    pip install torch==2.13.0 numpy
    python -m tests.sequences.goldens.write_recurrent

A file holds, for each name,
  <name>/outputs: (batch, time, outputs), zero where a sequence has ended; <name>/h, <name>/c: the last states;
  <name>/gradient/inputs, /h, /c and /<name in the state dict>: of the sum of outputs and last states times `slopes`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import rnn

from tests.sequences.goldens import recurrent as given


def golden(name: str) -> dict[str, np.ndarray]:
    settings = dict(given.LAYERS[name])
    kind, lengths = settings.pop("kind"), settings.pop("lengths", None)
    layer = getattr(nn, kind)(given.INPUTS, given.HIDDEN, batch_first=True, **settings)
    layer.load_state_dict({key: torch.from_numpy(given.weight(key, *a.shape)) for key, a in layer.state_dict().items()})
    x = torch.from_numpy(given.inputs(name)).requires_grad_()
    first = [torch.from_numpy(state).requires_grad_() for state in given.states(name)]
    state = tuple(first) if kind == "LSTM" else first[0]
    if lengths is None:
        outputs, last = layer(x, state)
    else:
        packed = rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        outputs, last = layer(packed, state)
        outputs, _ = rnn.pad_packed_sequence(outputs, batch_first=True, total_length=given.STEPS)
    last = last if kind == "LSTM" else (last,)
    value = (outputs * torch.from_numpy(given.slopes(f"outputs of {name}", *outputs.shape))).sum()
    for part, each in zip("hc", last, strict=False):
        value = value + (each * torch.from_numpy(given.slopes(f"{part} of {name}", *each.shape))).sum()
    value.backward()
    found = {"outputs": outputs, "gradient/inputs": x.grad}
    found |= dict(zip("hc", last, strict=False))
    found |= {f"gradient/{part}": each.grad for part, each in zip("hc", first, strict=False)}
    found |= {f"gradient/{key}": parameter.grad for key, parameter in layer.named_parameters()}
    return {f"{name}/{key}": tensor.detach().numpy() for key, tensor in found.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {key: array for each in given.LAYERS for key, array in golden(each).items()}
    np.savez_compressed(Path(__file__).with_name("recurrent.npz"), **found)
