"""CIFAR residual networks: parameter counts, torch's numbers at every stage, options and errors."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets.goldens import numbers
from tests.convnets.torch_names import drawn, torch_name, variables_of
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.convnets.residual_units import Stage, basic_branch
from zoo.nn import BatchNorm, Conv

GOLDENS = Path(__file__).parent / "goldens" / "resnet20.npz"


def parameters(model, shape=(32, 32, 3)):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *shape))))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


PREACTIVATION = {"unit": "full_preactivation", "bottleneck": True, "shortcut": "B"}

COUNTS = [  # the lecture's checklist, section 2.4
    *(({"depth": d}, n) for d, n in ((20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962))),
    *(({"depth": d, "shortcut": "none"}, n) for d, n in ((20, 269_722), (56, 853_018))),
    *(
        ({"depth": d, "shortcut": "B"}, n)
        for d, n in ((20, 272_474), (32, 466_906), (44, 661_338), (56, 855_770), (110, 1_730_714))
    ),
    *(
        ({"depth": 32, "shortcut": "conv3x3", "num_classes": d}, n)
        for d, n in ((3, 486_931), (5, 487_061), (10, 487_386), (25, 488_361), (50, 489_986), (100, 493_236))
    ),
    ({"depth": 164, **PREACTIVATION}, 1_703_258),
]

WIDE = {"unit": "full_preactivation", "shortcut": "B"}
AGGREGATED = {"bottleneck": True, "shortcut": "B", "stem_width": 64, "widening": 4, "group_width": 64}


def wide_count(units, k):
    """Zagoruyko and Komodakis, 2016, Table 1: norms before convolutions, a projection in each stage's first unit."""
    total, inputs = 9 * 3 * 16, 16
    for width in (16 * k, 32 * k, 64 * k):
        total += (2 * inputs + 9 * inputs * width) + (2 * width + 9 * width**2) + inputs * width
        total += (units - 1) * 2 * (2 * width + 9 * width**2)
        inputs = width
    return total + 2 * inputs + (inputs + 1) * 10


def aggregated_count(cardinality):
    """Xie et al., 2017, section 5.3: units of cardinality x 64d, each convolution with a norm, projections too."""
    total, inputs = 9 * 3 * 64 + 2 * 64, 64
    for stage in range(3):
        group, out = 64 * 2**stage, 256 * 2**stage
        inner = cardinality * group
        total += inputs * out + 2 * out
        for unit in range(3):
            total += (inputs if unit == 0 else out) * inner + 9 * inner * group + inner * out + 4 * inner + 2 * out
        inputs = out
    return total + (inputs + 1) * 10


NEWER_COUNTS = [  # the papers: 36.5M, 11.0M and 8.9M; 34.4M and 68.1M
    ({"depth": 26, "widening": 10, **WIDE}, wide_count(4, 10), 36_479_194),
    ({"depth": 14, "widening": 8, **WIDE}, wide_count(2, 8), 10_961_370),
    ({"depth": 38, "widening": 4, **WIDE}, wide_count(6, 4), 8_949_210),
    ({"depth": 29, "cardinality": 8, **AGGREGATED}, aggregated_count(8), 34_426_698),
    ({"depth": 29, "cardinality": 16, **AGGREGATED}, aggregated_count(16), 68_155_210),
]


@pytest.mark.parametrize(("options", "expected"), COUNTS, ids=lambda v: str(v) if isinstance(v, int) else "-")
def test_parameter_count_is_the_published_one(options, expected):
    assert parameters(CifarResNet(**options)) == expected


@pytest.mark.parametrize(("options", "expected", "published"), NEWER_COUNTS)
def test_wide_and_aggregated_networks_have_as_many_parameters_as_their_papers_describe(options, expected, published):
    assert parameters(CifarResNet(**options)) == expected == published


def test_catalog_counts_two_layers_more_in_wide_networks():
    wide = zoo.create("cifar_wide_resnet28_10")
    assert (wide.depth, wide.widening) == (26, 10)
    aggregated = zoo.create("cifar_resnext29_8x64d")
    assert {name: getattr(aggregated, name) for name in AGGREGATED} == AGGREGATED
    assert (aggregated.depth, aggregated.cardinality, aggregated.stride_first) == (29, 8, False)


@pytest.mark.parametrize(("stride_first", "side"), [(True, 4), (False, 8)])
def test_a_bottlenecks_stride_stands_in_its_first_convolution_or_as_in_resnext_in_its_second(stride_first, side):
    model = CifarResNet(depth=11, bottleneck=True, shortcut="B", stride_first=stride_first)
    run = functools.partial(model.init_with_output, capture_intermediates=True)
    _, state = jax.eval_shape(run, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    found = state["intermediates"]["stage2"]["block1"]
    assert [found[f"conv{i}"]["__call__"][0].shape[1] for i in (1, 2, 3)] == [side, 4, 4]


def test_dropout_stands_between_a_units_convolutions_and_drops_in_training_alone():
    model = CifarResNet(depth=8, dropout=0.3, **WIDE)
    images = numbers.images(1).transpose(0, 2, 3, 1)
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), images))
    forward = functools.partial(model.apply, mutable=["batch_stats"])
    with pytest.raises(Exception, match="dropout"):  # flax: no such random stream was given
        jax.eval_shape(lambda v: forward(v, images, train=True), variables)
    jax.eval_shape(lambda v: model.apply(v, images), variables)
    key = jax.random.key(0)
    jaxpr = str(jax.make_jaxpr(lambda v: forward(v, images, train=True, rngs={"dropout": key}))(variables))
    assert jaxpr.count("random_bits") == 3  # one a unit


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"), [({"depth": 1202}, 19_421_274), ({"depth": 1001, **PREACTIVATION}, 10_327_706)]
)
def test_parameter_count_of_a_thousand_layers_is_the_published_one(options, expected):
    assert parameters(CifarResNet(**options)) == expected


def test_every_stage_equals_an_independent_torch_network():
    golden = np.load(GOLDENS)
    model = CifarResNet()
    images = numbers.images(1).transpose(0, 2, 3, 1)
    order = []

    @jax.jit
    def forward(variables):
        named = model.apply(variables, images, features=True)
        order.extend(named)  # jit sorts the names of what it returns
        return named

    named = forward(variables_of(model))
    assert order == ["stem", "stage1", "stage2", "stage3", "pre_logits", "logits"]
    assert [named[f"stage{i}"].shape for i in (1, 2, 3)] == [(1, 32, 32, 16), (1, 16, 16, 32), (1, 8, 8, 64)]
    for name, value in named.items():
        ours = value if value.ndim == 2 else numbers.pixels(np.asarray(value).transpose(0, 3, 1, 2))
        expected = golden[f"eval/{name}"]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-5 * np.abs(expected).max(), err_msg=name)


def test_training_equals_torch_in_logits_statistics_and_gradients():
    golden = np.load(GOLDENS)
    model = CifarResNet()
    variables = variables_of(model)
    images, labels = numbers.images(4).transpose(0, 2, 3, 1), jnp.array([3, 1, 4, 1])

    @jax.jit
    def step(params):
        def loss(params):
            logits, state = model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
            return -jax.nn.log_softmax(logits)[jnp.arange(4), labels].mean(), (logits, state["batch_stats"])

        return jax.grad(loss, has_aux=True)(params)

    gradients, (logits, statistics) = step(variables["params"])
    np.testing.assert_allclose(logits, golden["train/logits"], rtol=0, atol=1e-4)

    checked = set()
    for path, ours in zoo_paths({"params": gradients, "batch_stats": statistics}).items():
        name, axes = torch_name(path)
        if (key := f"grad/{name}") in golden:
            expected = golden[key].transpose(axes) if axes else golden[key]
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-4 * np.abs(expected).max(), err_msg=name)
        elif (key := f"train/{name}") in golden:
            expected, old = golden[key], numbers.weight(name, golden[key].shape)
            if name.endswith("running_var"):  # torch averages the unbiased variance, flax and we the biased
                pixels = 4 * (32 * 32 if name.startswith("bn1") else 8 * 8)
                expected = 0.9 * old + (expected - 0.9 * old) * (pixels - 1) / pixels
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5, err_msg=name)
        checked.add(key)
    assert {key for key in golden if key.startswith(("grad/", "train/")) and key != "train/logits"} <= checked


def zoo_paths(tree):
    return {"/".join(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def test_parameters_are_named_as_in_the_paper():
    paths = zoo_paths(variables_of(CifarResNet(depth=8, shortcut="B")))
    assert {
        "params/stem/conv/kernel",
        "params/stage2/block1/conv1/kernel",
        "params/stage2/block1/norm2/scale",
        "params/stage2/block1/shortcut/conv/kernel",
        "params/head/bias",
        "batch_stats/stage3/block1/norm1/var",
    } <= set(paths)


def test_convolutions_start_with_variance_two_by_window_times_outputs():
    # He et al., 2015; each kernel shape drawn once, by the initialisers that the model was built with.
    initialised = jax.jit(lambda key: CifarResNet(depth=8).init(key, jnp.zeros((1, 8, 8, 3)))["params"])
    params = initialised(jax.random.key(0, impl="rbg"))  # compiles four times faster than threefry
    for path, leaf in zoo_paths(params).items():
        if path.endswith("kernel") and leaf.ndim == 4:
            expected = math.sqrt(2 / (9 * leaf.shape[-1]))
            assert abs(leaf.std() / expected - 1) < 5 / math.sqrt(2 * leaf.size), path
    assert 0.9 / 8 < jnp.abs(params["head"]["kernel"]).max() <= 1 / 8
    assert not params["head"]["bias"].any()


def test_remat_computes_every_unit_again_and_changes_no_gradient_and_no_name():
    images = numbers.images(2)[:, :, :6, :6].transpose(0, 2, 3, 1)
    plain, again = (
        Stage((basic_branch(3),) * 2, functools.partial(Conv, use_bias=False), BatchNorm, remat=remat)
        for remat in (False, True)
    )
    variables = drawn(plain, images, True)
    assert jax.tree.structure(drawn(again, images, True)) == jax.tree.structure(variables)

    def gradients(stage):
        def loss(params):
            out, state = stage.apply({**variables, "params": params}, images, True, mutable=["batch_stats"])
            return jnp.square(out).sum(), state

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    for a, b in zip(*map(jax.tree.leaves, jax.jit(lambda: (gradients(plain), gradients(again)))()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    for remat, count in ((False, 0), (True, 6)):  # a network of depth 14 has six units
        model = CifarResNet(depth=14, remat=remat)
        jaxpr = jax.make_jaxpr(lambda v, model=model: model.apply(v, jnp.zeros((1, 8, 8, 3))))(variables_of(model))
        assert sum(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns) == count


def test_without_classes_the_model_gives_pooled_features_in_any_size_and_number_of_channels():
    model = CifarResNet(depth=8, num_classes=0, unit="full_preactivation")
    variables = variables_of(model, (12, 20, 1))
    images = numbers.images(1).reshape(-1)[:480].reshape(2, 12, 20, 1)
    named, pooled = jax.jit(
        lambda variables: (model.apply(variables, images, features=True), model.apply(variables, images))
    )(variables)
    assert "head" not in variables["params"]
    assert "logits" not in named
    assert pooled.shape == (2, 64)
    np.testing.assert_array_equal(pooled, named["pre_logits"])


def test_bfloat16_computes_in_bfloat16_and_keeps_parameters_statistics_and_logits_in_float32():
    images = numbers.images(4)[:, :, :8, :8].transpose(0, 2, 3, 1)
    variables = variables_of(CifarResNet(depth=8))

    def train(dtype):
        model = CifarResNet(depth=8, dtype=dtype)
        return model.apply(variables, images, train=True, features=True, mutable=["batch_stats"])

    (named, state), (exact, _) = jax.jit(lambda: (train(jnp.bfloat16), train(jnp.float32)))()
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} == {"float32"}
    assert {name: value.dtype.name for name, value in named.items()} == {
        **dict.fromkeys(("stem", "stage1", "stage2", "stage3"), "bfloat16"),
        **dict.fromkeys(("pre_logits", "logits"), "float32"),
    }
    assert 0 < jnp.abs(named["logits"] - exact["logits"]).max() < 0.05 * jnp.abs(exact["logits"]).max()


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"depth": 21}, (1, 32, 32, 3), r"depth of 6n \+ 2, got 21; nearest: 20"),
        ({"depth": 1001}, (1, 32, 32, 3), r"basic units \(bottleneck=False\) expected a depth of 6n \+ 2"),
        ({"depth": 2}, (1, 32, 32, 3), "nearest: 8"),
        ({"depth": 8}, (1, 32, 3, 3), "at least 4 x 4 pixels"),
        ({"depth": 8, "cardinality": 2}, (1, 32, 32, 3), "expected cardinality 1, got 2"),
    ],
)
def test_wrong_depth_and_wrong_images_say_what_was_expected(options, shape, message):
    model = CifarResNet(**options)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape)))


def test_images_of_other_channels_than_at_initialisation_are_refused_in_words():
    model = CifarResNet(depth=8)
    variables = variables_of(model)
    with pytest.raises(ValueError, match="expected 3 channels, got images of shape"):
        model.apply(variables, jnp.zeros((1, 8, 8, 1)))
    with pytest.raises(TypeError, match="expected floating-point images, got uint8"):
        model.apply(variables, jnp.zeros((1, 8, 8, 3), jnp.uint8))
