"""Rules that rename weights, in both directions."""

import numpy as np
import pytest

from zoo.weights.rules import (
    Family,
    Rule,
    batch_norm,
    convolution,
    join,
    linear,
    linear_as_convolution,
    linear_in_parts,
    rename,
    to_ours,
    to_theirs,
)

FAMILY = Family(
    join(
        convolution("features.{i}", "stage{i+1}/conv"),
        batch_norm("norm.{i}", "stage{i+1}/norm"),
        (Rule("branch_{which:left|right}.bias", "params/{which:left|right}/bias"),),
        linear("fc", "head"),
        linear("classifier", "head"),
        linear_as_convolution("gate", "gate"),
    )
)


@pytest.mark.parametrize(
    ("name", "source", "target", "expected"),
    [
        ("layer2.10.bn1", "layer{stage}.{block}.bn{n}", "stage{stage}/block{block+1}/norm{n}", "stage2/block11/norm1"),
        ("layer2.x.bn1", "layer{stage}.{block}.bn{n}", "stage{stage}/block{block+1}/norm{n}", None),
        ("layer2.0.bn1.weight", "layer{stage}.{block}.bn{n}", "stage{stage}", None),  # the whole name or nothing
        ("layer2_0", "layer{stage}.{block}", "stage{stage}", None),  # a dot is a dot
        ("stage0", "stage{i+1}", "features.{i}", None),  # there is no features.-1
        ("stage2/block1", "stage{i}/block{n+1}", "block{i}-{n}", "block2-0"),  # that is no count below zero
        ("a-left", "a-{which:left|right}", "{which:left|right}/b", "left/b"),
    ],
)
def test_a_template_renames_whole_names_that_fit(name, source, target, expected):
    assert rename(name, source, target) == expected


def test_to_theirs_is_the_exact_inverse_of_to_ours():
    random = np.random.default_rng(0)
    theirs = {
        "features.0.weight": random.random((4, 3, 5, 7)),
        "norm.0.running_var": random.random(4),
        "branch_left.bias": random.random(2),
        "fc.weight": random.random((10, 4)),
        "gate.weight": random.random((6, 4, 1, 1)),
    }
    ours, origin, problems = to_ours(FAMILY, theirs | {"norm.0.num_batches_tracked": np.zeros(())})
    assert not problems
    assert {path: array.shape for path, array in ours.items()} == {
        "params/stage1/conv/kernel": (5, 7, 3, 4),
        "batch_stats/stage1/norm/var": (4,),
        "params/left/bias": (2,),
        "params/head/kernel": (4, 10),
        "params/gate/kernel": (4, 6),
    }
    assert ours["params/stage1/conv/kernel"][1, 2, 0, 3] == theirs["features.0.weight"][3, 0, 1, 2]
    assert origin["params/head/kernel"] == "fc.weight"
    back, problems = to_theirs(FAMILY, ours)
    assert not problems
    assert back.keys() == theirs.keys()  # the first spelling of a head, fc, not the second
    for name, array in theirs.items():
        np.testing.assert_array_equal(back[name], array)


def test_names_without_a_rule_twice_the_same_and_of_another_rank_are_all_reported():
    arrays = {
        "fc.bias": np.zeros(2),
        "classifier.bias": np.zeros(2),
        "mystery": np.zeros(2),
        "features.0.weight": np.zeros((4, 3)),
        "gate.weight": np.zeros((4, 3, 1, 2)),
    }
    ours, _, problems = to_ours(FAMILY, arrays)
    assert list(ours) == ["params/head/bias"]
    assert problems == [
        "classifier.bias: is params/head/bias, which fc.bias is already",
        "mystery: no rule for it",
        "features.0.weight: expected 4 axes, got shape (4, 3)",
        "gate.weight: expected 2 axes and 2 of length one, got shape (4, 3, 1, 2)",
    ]
    assert to_theirs(FAMILY, {"params/other": np.zeros(1)})[1] == ["params/other: no rule for it"]


def test_a_torch_convolution_has_its_window_last_whatever_the_number_of_axes():
    # torch.nn.Conv1d (O, I, W), Conv2d (O, I, H, W) and Conv3d (O, I, T, H, W)
    for space, window in ((1, (5,)), (2, (5, 7)), (3, (2, 5, 7))):
        family = Family(convolution("conv", "conv", space))
        theirs = np.random.default_rng(0).random((4, 3, *window))
        ours, _, problems = to_ours(family, {"conv.weight": theirs})
        assert not problems
        kernel = ours["params/conv/kernel"]
        assert kernel.shape == (*window, 3, 4)
        for place in np.ndindex(*window):
            np.testing.assert_array_equal(kernel[place], theirs[(slice(None), slice(None), *place)].T)
        back, problems = to_theirs(family, ours)
        assert not problems
        np.testing.assert_array_equal(back["conv.weight"], theirs)
        assert to_ours(family, {"conv.weight": theirs[..., 0]})[2] == [
            f"conv.weight: expected {2 + space} axes, got shape {theirs[..., 0].shape}"
        ]


GATES = ("input", "forget", "cell", "output")
"""torch.nn.LSTM: weight_ih_l[k] is (W_ii|W_if|W_ig|W_io), of shape (4 * hidden_size, input_size)."""

LSTM = Family(
    join(
        linear_in_parts("lstm.", [f"{gate}/of_input" for gate in GATES], "weight_ih_l0", "bias_ih_l0"),
        linear_in_parts("lstm.", [f"{gate}/of_state" for gate in GATES], "weight_hh_l0", "bias_hh_l0"),
        linear_in_parts("attention{i}.", ["{i+1}/query", "{i+1}/key", "{i+1}/value"], "in_proj_weight", "in_proj_bias"),
        linear("fc", "head"),
    )
)


def lstm_weights(inputs=3, hidden=2):
    random = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (inputs,), "weight_hh_l0": (hidden,), "bias_ih_l0": (), "bias_hh_l0": ()}
    return {f"lstm.{name}": random.standard_normal((4 * hidden, *shape)) for name, shape in shapes.items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_fused_gates_are_cut_in_torchs_order_and_joined_again():
    theirs = lstm_weights()
    ours, origin, problems = to_ours(LSTM, theirs)
    assert not problems
    assert ours["params/cell/of_state/kernel"].shape == (2, 2)
    np.testing.assert_array_equal(ours["params/forget/of_input/kernel"], theirs["lstm.weight_ih_l0"][2:4].T)
    np.testing.assert_array_equal(ours["params/output/of_input/bias"], theirs["lstm.bias_ih_l0"][6:])
    assert origin["params/output/of_input/bias"] == "lstm.bias_ih_l0"
    back, problems = to_theirs(LSTM, ours)
    assert not problems
    assert back.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(back[name], array)

    # One step by torch's documented equations, from its arrays and from ours.
    x, h, c = (np.random.default_rng(1).standard_normal(size) for size in (3, 2, 2))
    fused = sum(theirs[f"lstm.weight_{k}_l0"] @ v + theirs[f"lstm.bias_{k}_l0"] for k, v in (("ih", x), ("hh", h)))
    i, f, g, o = fused.reshape(4, 2)
    expected = sigmoid(o) * np.tanh(sigmoid(f) * c + sigmoid(i) * np.tanh(g))

    def gate(name):
        parts = (("of_input", x), ("of_state", h))
        return sum(v @ ours[f"params/{name}/{k}/kernel"] + ours[f"params/{name}/{k}/bias"] for k, v in parts)

    cell = sigmoid(gate("forget")) * c + sigmoid(gate("input")) * np.tanh(gate("cell"))
    np.testing.assert_allclose(sigmoid(gate("output")) * np.tanh(cell), expected)


def test_an_lstm_of_torch_itself_has_this_order():
    torch = pytest.importorskip("torch")
    theirs = {name: array.astype(np.float32) for name, array in lstm_weights().items()}
    lstm = torch.nn.LSTM(3, 2)
    lstm.load_state_dict({name.removeprefix("lstm."): torch.from_numpy(array) for name, array in theirs.items()})
    x = np.random.default_rng(1).standard_normal((1, 3)).astype(np.float32)
    expected = lstm(torch.from_numpy(x))[0].detach().numpy()[0]
    ours = to_ours(LSTM, theirs)[0]
    gates = [
        x[0] @ ours[f"params/{g}/of_input/kernel"]
        + ours[f"params/{g}/of_input/bias"]
        + ours[f"params/{g}/of_state/bias"]
        for g in GATES
    ]
    i, _, g, o = gates
    np.testing.assert_allclose(sigmoid(o) * np.tanh(sigmoid(i) * np.tanh(g)), expected, rtol=1e-5)


def test_query_key_and_value_are_three_layers_of_one_array():
    # torch.nn.MultiheadAttention: in_proj_weight is (3 * embed_dim, embed_dim), q before k before v
    fused = np.arange(3 * 2 * 2.0).reshape(6, 2)
    ours, _, _ = to_ours(LSTM, {"attention4.in_proj_weight": fused, "attention4.in_proj_bias": fused[:, 0]})
    assert set(ours) == {f"params/5/{name}/{part}" for name in ("query", "key", "value") for part in ("kernel", "bias")}
    np.testing.assert_array_equal(ours["params/5/key/kernel"], fused[2:4].T)
    back, _ = to_theirs(LSTM, ours)
    np.testing.assert_array_equal(back["attention4.in_proj_weight"], fused)


def test_parts_that_do_not_fit_are_reported():
    odd = {"lstm.weight_ih_l0": np.zeros((6, 3)), "lstm.bias_ih_l0": np.zeros(7), "lstm.bias_hh_l0": np.zeros(())}
    assert to_ours(LSTM, odd)[2] == [
        "lstm.weight_ih_l0: expected 2 axes and a first axis of 4 equal parts, got shape (6, 3)",
        "lstm.bias_ih_l0: expected a first axis of 4 equal parts, got shape (7,)",
        "lstm.bias_hh_l0: expected a first axis of 4 equal parts, got shape ()",
    ]
    some = {"params/1/key/bias": np.zeros(2), "params/1/value/bias": np.zeros(2), "params/head/bias": np.zeros(1)}
    saved, problems = to_theirs(LSTM, some)
    assert list(saved) == ["fc.bias"]
    assert problems == ["params/1/query/bias: missing, which attention0.in_proj_bias holds beside params/1/key/bias"]
    uneven = {f"params/1/{name}/bias": np.zeros(size) for name, size in (("query", 2), ("key", 2), ("value", 3))}
    assert to_theirs(LSTM, uneven)[1] == [
        "params/1/query/bias: expected the shape of the other parts of attention0.in_proj_bias, got (2,), (2,), (3,)"
    ]
