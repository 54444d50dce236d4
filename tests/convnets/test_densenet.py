"""DenseNet: parameter counts, features, dense connections, names, initialisation, training, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from tests.convnets import families
from tests.convnets.goldens import numbers
from zoo.convnets.densenet import DenseBlock, DenseNet, Transition
from zoo.nn import BatchNorm, Conv, avg_pool

CONV = functools.partial(Conv, use_bias=False)


def count(stage_sizes, growth_rate, stem, bottleneck, classes=10):
    """Parameters of a DenseNet for small images: convolutions, norms and classifier, layer by layer."""
    total, channels = 9 * 3 * stem, stem
    for stage, layers in enumerate(stage_sizes):
        if stage:
            kept = channels // 2 if bottleneck else channels
            total += 2 * channels + channels * kept
            channels = kept
        for _ in range(layers):
            inner = 4 * growth_rate
            total += 2 * channels
            total += (
                channels * inner + 2 * inner + 9 * inner * growth_rate if bottleneck else 9 * channels * growth_rate
            )
            channels += growth_rate
    return total + 2 * channels + (channels + 1) * classes


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # torchvision's `_num_params`
        ("densenet121", 7_978_856),
        pytest.param("densenet161", 28_681_000, marks=SLOW),
        pytest.param("densenet169", 14_149_480, marks=SLOW),
        pytest.param("densenet201", 20_013_928, marks=SLOW),
        # The paper's Table 2: 1.0M, 7.0M, 0.8M, 15.3M and 25.6M.
        ("cifar_densenet_40_12", 1_019_722),
        pytest.param("cifar_densenet_100_12", 6_979_642, marks=SLOW),
        ("cifar_densenet_bc_40_12", 176_122),
        ("cifar_densenet_bc_100_12", 769_162),
        pytest.param("cifar_densenet_bc_250_24", 15_324_406, marks=SLOW),
        pytest.param("cifar_densenet_bc_190_40", 25_624_430, marks=SLOW),
        ("cifar_densenet121", 6_956_298),
    ],
)
def test_parameter_count_is_the_published_one(name, expected):
    assert families.parameters(name) == expected


@pytest.mark.parametrize(
    ("stage_sizes", "growth_rate", "stem", "bottleneck", "expected"),
    [
        (3 * (12,), 12, 16, False, 1_019_722),
        (3 * (32,), 12, 16, False, 6_979_642),
        (3 * (6,), 12, 24, True, 176_122),
        (3 * (16,), 12, 24, True, 769_162),
        (3 * (41,), 24, 48, True, 15_324_406),
        (3 * (31,), 40, 80, True, 25_624_430),
        ((6, 12, 24, 16), 32, 64, True, 6_956_298),
    ],
)
def test_counts_of_networks_for_small_images_follow_from_the_papers_description(
    stage_sizes, growth_rate, stem, bottleneck, expected
):
    assert count(stage_sizes, growth_rate, stem, bottleneck) == expected


def test_features_are_the_dense_blocks_outputs_before_their_transitions():
    assert families.feature_shapes("densenet121") == {
        "stem": (112, 112, 64),
        "stage1": (56, 56, 256),
        "stage2": (28, 28, 512),
        "stage3": (14, 14, 1024),
        "stage4": (7, 7, 1024),
        "pre_logits": (1024,),
        "logits": (1000,),
    }
    named = families.feature_shapes("cifar_densenet_bc_40_12")
    assert list(named) == ["stem", "stage1", "stage2", "stage3", "pre_logits", "logits"]
    assert [named[f"stage{i}"] for i in (1, 2, 3)] == [(32, 32, 96), (16, 16, 120), (8, 8, 132)]
    assert families.feature_shapes("densenet_tiny", side=29)["stage4"][:2] == (1, 1)
    assert "head" not in " ".join(families.shapes(zoo.create("densenet_tiny", num_classes=0), (32, 32, 3)))


@pytest.mark.parametrize("remat", [False, True])
def test_every_layer_sees_all_features_before_it_and_changes_none(remat):
    # L47: all pairs of layers are connected.
    block = DenseBlock(3, 2, CONV, BatchNorm, bottleneck=False, remat=remat)
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 5)).astype(np.float32)
    shapes = jax.eval_shape(lambda: block.init(jax.random.key(0), x, False))
    random = np.random.default_rng(1)
    variables = jax.tree.map(lambda leaf: random.uniform(0.5, 1, leaf.shape).astype(np.float32), shapes)
    kernels = [variables["params"][f"layer{i}"]["conv1"]["kernel"].shape for i in (1, 2, 3)]
    assert kernels == [(3, 3, channels, 2) for channels in (5, 7, 9)]

    @jax.jit
    def outputs(x):
        forward = functools.partial(block.apply, variables, train=False)
        return forward(x), jax.jacobian(lambda x: forward(x).sum((0, 1, 2)))(x)

    y, jacobian = outputs(x)
    np.testing.assert_array_equal(y[..., :5], x)
    assert jnp.all(jnp.any(jacobian[5:] != 0, axis=(1, 2, 3))), "a layer does not see a channel of the block's input"


def test_with_remat_the_backward_pass_is_kept_the_features_alone():
    x = jax.ShapeDtypeStruct((3, 4, 4, 5), jnp.float32)

    def channels_kept(layers, remat):
        block = DenseBlock(layers, 2, CONV, BatchNorm, remat=remat)

        def backward(variables, x):
            def forward(params, x):
                return block.apply({**variables, "params": params}, x, True, mutable=["batch_stats"])[0]

            return jax.vjp(forward, variables["params"], x)[1]

        variables = jax.eval_shape(lambda x: block.init(jax.random.key(0), x, False), x)
        kept = jax.tree.leaves(jax.eval_shape(backward, variables, x))
        return sum(leaf.shape[3] for leaf in kept if leaf.shape[:3] == x.shape[:3])

    assert [channels_kept(layers, remat=True) for layers in (2, 4, 8)] == [5 + 2 * 1, 5 + 2 * 3, 5 + 2 * 7]
    assert channels_kept(8, remat=False) > 10 * (5 + 2 * 7)  # all concatenations


def test_a_transition_is_norm_relu_1x1_convolution_and_then_the_mean_over_2x2():
    # The paper's order; here the mean is taken before the convolution, with which it commutes.
    module = Transition(3, CONV, BatchNorm)
    x = np.random.default_rng(0).standard_normal((2, 7, 6, 4)).astype(np.float32)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), x, False))
    random = np.random.default_rng(1)
    variables = jax.tree.map(lambda leaf: random.uniform(0.5, 1, leaf.shape).astype(np.float32), shapes)
    scale, bias = variables["params"]["norm"]["scale"], variables["params"]["norm"]["bias"]
    mean, var = variables["batch_stats"]["norm"]["mean"], variables["batch_stats"]["norm"]["var"]
    activated = np.maximum((x - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)
    expected = avg_pool(activated @ variables["params"]["conv"]["kernel"][0, 0], 2)
    np.testing.assert_allclose(module.apply(variables, x, False), expected, rtol=1e-5)


def test_names_are_those_of_torchvision_old_files_included_and_of_hazyresearch():
    names = families.layout("densenet_tiny", "torchvision/densenet")
    assert names["features.conv0.weight"] == (8, 3, 7, 7)
    assert names["features.denseblock2.denselayer2.norm1.running_mean"] == (10,)
    assert names["features.denseblock1.denselayer1.conv2.weight"] == (4, 16, 3, 3)
    assert names["features.transition3.conv.weight"] == (5, 11, 1, 1)
    assert names["features.norm5.bias"] == (9,)
    assert names["classifier.weight"] == (10, 9)
    names = families.layout("cifar_densenet_tiny", "hazyresearch/densenet")
    assert names["block3.layer.0.bn2.weight"] == (16,)
    assert names["trans2.conv1.weight"] == (8, 16, 1, 1)
    assert names["bn1.running_var"] == (16,)


def test_files_with_the_dots_of_torchvisions_first_version_load(tmp_path):
    from safetensors.numpy import load_file, save_file

    model = zoo.create("densenet_tiny")
    variables = families.he_normal(model, (32, 32, 3))
    zoo.save_weights(variables, tmp_path / "new.safetensors", layout="torchvision", model="densenet_tiny")
    new = load_file(tmp_path / "new.safetensors")
    dotted = {"norm1": "norm.1", "conv1": "conv.1", "norm2": "norm.2", "conv2": "conv.2"}
    old = {".".join(dotted.get(part, part) for part in name.split(".")): array for name, array in new.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, tmp_path / "old.safetensors")
    loaded = zoo.load_weights("densenet_tiny", tmp_path / "old.safetensors")
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_convolutions_start_by_their_fan_in_as_torchvisions():
    layers = "stage2/layer1/conv2", "final_norm", "head"
    params = families.initial(zoo.create("cifar_densenet_tiny", growth_rate=16), (32, 32, 3), *layers)
    families.assert_spread(params["stage2/layer1/conv2/kernel"], (2 / (9 * 64)) ** 0.5)  # window x inputs
    assert (params["final_norm/scale"] == 1).all()
    assert not params["final_norm/bias"].any()
    assert not params["head/bias"].any()
    bound = params["head/kernel"].shape[0] ** -0.5
    assert 0.8 * bound < jnp.abs(params["head/kernel"]).max() <= bound
    assert families.norms(zoo.create("densenet_tiny"), (32, 32, 3)) == {(0.9, 1e-5)}


def test_the_tiny_variant_learns_with_dropout():
    first, *_, last = families.losses("cifar_densenet_tiny", dropout=0.1)
    assert last < first


def test_dropout_drops_in_training_alone():
    model = zoo.create("cifar_densenet_tiny", dropout=0.5)
    variables = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), (32, 32, 3)))
    images = numbers.images(1).transpose(0, 2, 3, 1)
    with pytest.raises(Exception, match="dropout"):  # flax: no such random stream was given
        jax.eval_shape(lambda v: model.apply(v, images, train=True, mutable=["batch_stats"]), variables)
    jax.eval_shape(lambda v: model.apply(v, images), variables)


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (DenseNet(), (1, 28, 64, 3), "DenseNet expected images of at least 29 x 29 pixels"),
        (DenseNet(stage_sizes=(1, 1, 1), small_images=True), (1, 3, 4, 3), "at least 4 x 4 pixels"),
    ],
)
def test_wrong_images_are_refused(model, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape)))
