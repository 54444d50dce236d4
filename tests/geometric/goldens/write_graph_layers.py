"""Writes `graph_layers.npz` beside it: what torch_geometric makes of the arrays and settings of `graph_layers.py`.

    pip install torch==2.13.0 torch_geometric==2.8.1 numpy
    python -m tests.geometric.goldens.write_graph_layers

The file holds, for each name and graph,
  <name>/<graph>/outputs: (nodes, outputs);
  <name>/<graph>/gradient/nodes and /<name in the state dict>: of the sum of the outputs times `slopes`.
"""

from pathlib import Path

import numpy as np
import torch
from torch_geometric import nn

from tests.geometric.goldens import graph_layers as given


def golden(name: str, graph: str) -> dict[str, np.ndarray]:
    settings = dict(given.LAYERS[name])
    layer = getattr(nn, settings.pop("kind"))(given.INPUTS, given.FEATURES, **settings)
    layer.load_state_dict({key: torch.from_numpy(given.weight(key, *a.shape)) for key, a in layer.state_dict().items()})
    x = torch.from_numpy(given.nodes()).requires_grad_()
    outputs = layer(x, torch.from_numpy(given.GRAPHS[graph].T.astype(np.int64)))
    (outputs * torch.from_numpy(given.slopes(name, *outputs.shape))).sum().backward()
    found = {"outputs": outputs, "gradient/nodes": x.grad}
    found |= {f"gradient/{key}": parameter.grad for key, parameter in layer.named_parameters()}
    return {f"{name}/{graph}/{key}": tensor.detach().numpy() for key, tensor in found.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {key: array for case in given.CASES for key, array in golden(*case).items()}
    np.savez_compressed(Path(__file__).with_name("graph_layers.npz"), **found)
