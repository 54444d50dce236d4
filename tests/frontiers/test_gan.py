"""DCGAN: torch's numbers of parameters, the game's closed forms, and what every network of the catalog promises."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from scipy.spatial.distance import jensenshannon
from scipy.special import expit

import zoo
from tests.detection.drawn import drawn
from zoo.catalog.inputs import batch_of, random_batch
from zoo.frontiers import DCGAN, Discriminator, Generator, discriminator_loss, minimax_loss, non_saturating_loss

NAMES = [name for name in zoo.list_models(task="generation") if name.endswith("_tiny")]
of_every_network = pytest.mark.parametrize("name", NAMES)
SIZE = 3


@functools.cache
def inputs_of(name):
    return random_batch(zoo.describe(name).inputs, SIZE, np.random.default_rng(0))


@functools.cache
def shapes_of(name, **options):
    return jax.eval_shape(zoo.create(name, **options).init, jax.random.key(0), *batch_of(zoo.describe(name).inputs))


@functools.cache
def variables_of(name):
    return drawn(zoo.create(name), *inputs_of(name))


@functools.cache
def evaluated(name):
    """What one program gives: outputs; features; by `vmap` over examples; in bfloat16."""
    model = zoo.create(name)

    @jax.jit
    def program(variables, inputs):
        def alone(*one):
            return jax.tree.map(lambda x: x[0], model.apply(variables, *(x[None] for x in one)))

        return {
            "output": model.apply(variables, *inputs),
            "features": model.apply(variables, *inputs, features=True),
            "mapped": jax.vmap(alone)(*inputs),
            "bfloat16": model.copy(dtype=jnp.bfloat16).apply(variables, *inputs),
        }

    return program(variables_of(name), inputs_of(name))


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_both_networks_have_the_parameters_of_torchs_example_and_biases_where_nothing_normalises():
    options = {"widths": (512, 256, 128, 64)}  # of pytorch/examples/dcgan with its defaults
    found = shapes_of("dcgan", **options)["params"]
    assert count(found["generator"]) == 3_576_704 + 3
    assert count(found["discriminator"]) == 2_765_568 + 64 + 1


def test_parameters_are_drawn_as_in_the_paper():
    model = zoo.create("dcgan_tiny", widths=(64, 32))
    params = flatten_dict(jax.jit(model.init)(jax.random.key(0), *inputs_of("dcgan_tiny"))["params"], sep="/")
    kernels = np.concatenate([leaf.ravel() for path, leaf in params.items() if path.endswith("kernel")])
    scales = np.concatenate([leaf.ravel() for path, leaf in params.items() if path.endswith("scale")])
    assert (kernels.std(), scales.std()) == pytest.approx((0.02, 0.02), rel=0.15)
    assert (kernels.mean(), scales.mean()) == pytest.approx((0, 1), abs=0.006)
    assert all(not leaf.any() for path, leaf in params.items() if path.endswith("bias"))


def test_each_network_of_the_catalog_has_a_small_variant():
    everything = zoo.list_models(task="generation")
    assert {zoo.describe(name).builder for name in everything} == {zoo.describe(name).builder for name in NAMES}


@of_every_network
def test_a_batch_is_its_examples_one_by_one_and_bfloat16_is_near(name):
    found = evaluated(name)
    for ours, expected in zip(*map(jax.tree.leaves, (found["mapped"], found["output"])), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())
        assert np.ptp(expected, axis=0).max() > 0  # examples differ
    for narrow, expected in zip(*map(jax.tree.leaves, (found["bfloat16"], found["output"])), strict=True):
        assert narrow.dtype == np.float32
        assert 0 < np.abs(narrow - expected).mean() < 0.05 * np.abs(expected).max()


@of_every_network
def test_images_go_from_minus_one_to_one_and_are_the_last_feature_of_the_generator(name):
    found = evaluated(name)
    images = found["output"] if name == "dcgan_generator_tiny" else found["output"].images
    assert images.shape == (SIZE, 8, 8, 1)
    assert np.abs(images).max() <= 1
    prefix = "" if name == "dcgan_generator_tiny" else "generator/"
    np.testing.assert_array_equal(found["features"][f"{prefix}images"], images)
    assert found["features"][f"{prefix}stage1"].shape == (SIZE, 2, 2, 8)
    assert found["features"][f"{prefix}stage2"].shape == (SIZE, 4, 4, 4)


def test_the_discriminator_judges_made_images_as_it_would_real_ones():
    found = evaluated("dcgan_tiny")
    model, variables = zoo.create("dcgan_tiny"), variables_of("dcgan_tiny")
    again = jax.jit(lambda: model.apply(variables, found["output"].images, method="discriminate"))()
    np.testing.assert_allclose(again, found["output"].fake, rtol=1e-5)
    assert not np.allclose(found["output"].real, found["output"].fake)
    np.testing.assert_array_equal(found["features"]["discriminator/logits"], found["output"].fake)


@of_every_network
def test_types_remat_and_export_are_as_of_every_model(name):
    for options in ({}, {"dtype": jnp.bfloat16}):
        assert {leaf.dtype.name for leaf in jax.tree.leaves(shapes_of(name, **options))} == {"float32"}
    narrow = shapes_of(name, param_dtype=jnp.bfloat16)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(narrow["params"])} == {"bfloat16"}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(narrow["batch_stats"])} == {"float32"}
    jaxpr, shapes = jax.make_jaxpr(zoo.create(name, remat=True).init, return_shape=True)(
        jax.random.key(0), *inputs_of(name)
    )
    again = sum(equation.primitive.name in ("checkpoint", "remat", "remat2") for equation in jaxpr.eqns)
    assert again == (1 if name == "dcgan_generator_tiny" else 5)  # two of the discriminator, twice
    assert flatten_dict(shapes, sep="/").keys() == flatten_dict(shapes_of(name), sep="/").keys()
    exported = zoo.export_model(zoo.create(name), shapes_of(name), zoo.describe(name).inputs, platforms=("cpu",))
    assert {str(leaf.shape[0]) for leaf in exported.out_avals} == {"batch"}


def test_what_does_not_fit_is_refused():
    latents, images = jnp.zeros((2, 12)), jnp.zeros((2, 8, 8, 1))

    def refused(kind, message, model, *inputs):
        with pytest.raises(kind, match=message):
            jax.eval_shape(model.init, jax.random.key(0), *inputs)

    small = {"shape": (8, 8, 1), "widths": (8, 4)}
    flat, odd = Generator((8, 8, 1), ()), Generator((12, 8, 1), (8, 4, 2))
    refused(ValueError, r"latents \(batch, latent\), got shape \(12,\)", Generator(**small), latents[0])
    refused(TypeError, "floating-point latents, got int32", Generator(**small), latents.astype(jnp.int32))
    refused(ValueError, "multiples of 8 for 3 of them, got images of 12 x 8 x 1", odd, latents)
    refused(ValueError, "at least one width", flat, latents)
    refused(ValueError, "multiples of 16 for 4 of them, got images of 8 x 8 x 1", Discriminator(), images)
    refused(TypeError, "floating-point images, got uint8", Discriminator((4,)), images.astype(jnp.uint8))
    coloured = images.repeat(3, axis=-1)
    refused(ValueError, "DCGAN expected images of 8 x 8 x 1, got 8 x 8 x 3", DCGAN(**small), latents, coloured)


def test_losses_are_the_logarithms_of_the_paper():
    logits = np.linspace(-8, 8, 9)
    real, fake = discriminator_loss(logits, logits)
    np.testing.assert_allclose(real, -np.log(expit(logits)), rtol=1e-5)
    np.testing.assert_allclose(fake, -np.log(1 - expit(logits)), rtol=1e-5)
    np.testing.assert_allclose(minimax_loss(logits), np.log(1 - expit(logits)), rtol=1e-5)
    np.testing.assert_allclose(non_saturating_loss(logits), -np.log(expit(logits)), rtol=1e-5)
    for loss in (minimax_loss, non_saturating_loss, lambda x: sum(discriminator_loss(x, x))):
        value, slope = jax.value_and_grad(lambda x, loss=loss: jnp.sum(loss(x)))(jnp.array([-1e4, 1e4]))
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


def test_against_the_best_discriminator_the_value_is_the_jensen_shannon_divergence():
    random = np.random.default_rng(0)
    data, made = random.dirichlet(np.ones(6), 2)
    logits = np.log(data / made)  # theorem 1: D = data / (data + made)

    def value(logits):
        real, fake = discriminator_loss(logits, logits)
        return float(-(data @ np.asarray(real) + made @ np.asarray(fake)))

    assert value(logits) == pytest.approx(-math.log(4) + 2 * jensenshannon(data, made) ** 2, rel=1e-5)
    assert value(logits) > max(value(logits + 0.1), value(logits - 0.1), value(1.1 * logits))


def test_the_generators_gradient_vanishes_by_minimax_alone_where_the_discriminator_is_sure():
    sure = -20.0
    assert abs(jax.grad(minimax_loss)(sure)) < 1e-8
    assert jax.grad(non_saturating_loss)(sure) == pytest.approx(-1)
    assert jax.grad(minimax_loss)(0.0) == pytest.approx(float(jax.grad(non_saturating_loss)(0.0)))
