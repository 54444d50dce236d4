"""Weights of torch.nn.RNN, LSTM and GRU for `zoo.sequences` and back. Lecture rows L71, L75, erratum E25.

No table of rules, for these are no renamings: torch has two biases where one says the same, and other orders of gates.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from zoo.weights.problems import misfit

_NAME = re.compile(r"(?P<kind>weight|bias)_(?P<of>ih|hh)_l(?P<layer>\d+)(?P<reverse>_reverse)?")
_OUR_NAME = re.compile(r"layer(?P<number>[1-9]\d*)(?P<backward>_backward)?")
_ORDER = {1: (0,), 3: (0, 1, 2), 4: (0, 1, 3, 2)}
"""Where our gates are among torch's, whose LSTM has i, f, g, o; of one, three and four gates. Its own inverse."""

Params = dict[str, dict[str, np.ndarray]]


def from_torch(arrays: Mapping[str, np.ndarray]) -> Params:
    """The parameters of `zoo.sequences.RNN`, `LSTM` or `GRU` from a torch layer's state dict.

    Torch's two biases are added up, which changes nothing; but for the candidate of a GRU, of which the reset gate
    multiplies one: that is `hidden_bias`.

    Args:
      arrays: by torch's names, weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse and so on,
        (gates * hidden, inputs or hidden).

    Raises:
      WeightsError: a name is no recurrent layer's, one is missing, or shapes do not fit each other; all that is wrong.

    >>> torchs = {"weight_ih_l0": np.ones((8, 3)), "weight_hh_l0": np.ones((8, 2))}
    >>> {name: array.shape for name, array in from_torch(torchs)["layer1"].items()}
    {'input_kernel': (3, 8), 'hidden_kernel': (2, 8)}
    """
    layers, problems = _by_layer(arrays)
    params: Params = {}
    for layer, found in layers.items():
        missing = [name for name in ("weight_ih", "weight_hh") if name not in found]
        if ("bias_ih" in found) != ("bias_hh" in found):
            missing.append("bias_hh" if "bias_ih" in found else "bias_ih")
        problems += [f"{layer}: {name} is missing" for name in missing]
        if not missing and (wrong := _misfits(found)):
            problems += [f"{layer}: {each}" for each in wrong]
        elif not missing:
            params[layer] = _ours(found)
    if params and not problems:
        problems = _misfits_between(params)
    if problems or not params:
        raise misfit("expected a recurrent layer of torch", problems or ["nothing in it"])
    return params


def to_torch(params: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The inverse of `from_torch`: a state dict that torch's layer loads. Its second bias is zero where one is enough.

    Args:
      params: of `zoo.sequences.RNN`, `LSTM` or `GRU`, by layer: what is in "params" of their variables.

    Raises:
      WeightsError: a name is none of their layers'.

    >>> layer = {"input_kernel": np.ones((3, 8)), "hidden_kernel": np.ones((2, 8)), "bias": np.ones(8)}
    >>> list(to_torch({"layer1": layer}))
    ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    arrays = {}
    names = {layer: _OUR_NAME.fullmatch(layer) for layer in params}
    if wrong := [f"{layer}: expected layer1, layer2_backward or the like" for layer, name in names.items() if not name]:
        raise misfit("expected the layers of a recurrent network", wrong)
    for layer, ours in params.items():
        end = f"l{int(names[layer]['number']) - 1}" + "_reverse" * bool(names[layer]["backward"])
        arrays[f"weight_ih_{end}"] = _gates(np.asarray(ours["input_kernel"]).T, len(ours["hidden_kernel"]))
        arrays[f"weight_hh_{end}"] = _gates(np.asarray(ours["hidden_kernel"]).T, len(ours["hidden_kernel"]))
        if "bias" in ours:
            bias = _gates(np.asarray(ours["bias"]), len(ours["hidden_kernel"]))
            arrays[f"bias_ih_{end}"], second = bias, np.zeros_like(bias)
            if "hidden_bias" in ours:
                second[-len(ours["hidden_kernel"]) :] = ours["hidden_bias"]
            arrays[f"bias_hh_{end}"] = second
    return arrays


def _by_layer(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """Arrays by our layer's name and torch's name in it, and what has no such name."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    problems = []
    for name, array in arrays.items():
        if match := _NAME.fullmatch(name):
            layer = f"layer{int(match['layer']) + 1}" + ("_backward" if match["reverse"] else "")
            layers.setdefault(layer, {})[f"{match['kind']}_{match['of']}"] = np.asarray(array)
        else:
            problems.append(f"{name}: expected weight_ih_l0, bias_hh_l1_reverse or the like")
    return layers, problems


def _misfits(found: Mapping[str, np.ndarray]) -> list[str]:
    """What does not fit of one layer in one direction."""
    of_inputs, of_hidden = found["weight_ih"].shape, found["weight_hh"].shape
    if len(of_inputs) != 2 or len(of_hidden) != 2 or of_inputs[0] != of_hidden[0]:
        return [f"expected matrices of as many rows, got weight_ih {of_inputs} and weight_hh {of_hidden}"]
    rows, hidden = of_hidden
    if hidden == 0 or rows % hidden or rows // hidden not in _ORDER:
        return [f"expected 1, 3 or 4 rows a hidden unit, got weight_hh {of_hidden}"]
    return [
        f"expected {rows} values, got {name} {found[name].shape}"
        for name in ("bias_ih", "bias_hh")
        if name in found and found[name].shape != (rows,)
    ]


def _misfits_between(params: Params) -> list[str]:
    """What does not fit of the layers to each other."""
    count = max(int(_OUR_NAME.fullmatch(layer)["number"]) for layer in params)
    directions = ("", "_backward") if any(layer.endswith("_backward") for layer in params) else ("",)
    expected = [f"layer{number}{direction}" for number in range(1, count + 1) for direction in directions]
    if missing := [layer for layer in expected if layer not in params]:
        return [f"{layer}: all of it is missing" for layer in missing]
    first, problems = params["layer1"], []
    hidden, width = first["hidden_kernel"].shape
    for layer, found in params.items():
        inputs = len(first["input_kernel"]) if layer in expected[: len(directions)] else hidden * len(directions)
        for name, ours, wanted in (("weight_ih", "input_kernel", inputs), ("weight_hh", "hidden_kernel", hidden)):
            if found[ours].shape != (wanted, width):
                problems.append(f"{layer}: expected {name} {(width, wanted)}, got {found[ours].shape[::-1]}")
        if ("bias" in found) != ("bias" in first):
            problems.append(f"{layer}: expected biases in all layers or in none")
    return problems


def _ours(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    rows, hidden = found["weight_hh"].shape
    ours = {
        "input_kernel": _gates(found["weight_ih"], hidden).T,
        "hidden_kernel": _gates(found["weight_hh"], hidden).T,
    }
    if "bias_ih" in found:
        second = found["bias_hh"]
        if rows == 3 * hidden:
            ours["hidden_bias"] = second[-hidden:]
            second = np.concatenate([second[:-hidden], np.zeros_like(second[-hidden:])])
        ours["bias"] = _gates(found["bias_ih"] + second, hidden)
    return ours


def _gates(array: np.ndarray, hidden: int) -> np.ndarray:
    """The rows with their gates in the other library's order."""
    order: Sequence[int] = _ORDER[len(array) // hidden]
    return np.concatenate([array[hidden * gate : hidden * (gate + 1)] for gate in order])
