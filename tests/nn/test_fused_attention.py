"""Attention by cuDNN: where it applies, which programs have it, and that the others are as without it."""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.convnets import VisionTransformer
from zoo.hyperspheres.heads import LearnedDirections
from zoo.nn import attention
from zoo.nn.attention import SelfAttention
from zoo.nn.fused_attention import attend, capability, cudnn_applies

VIT_B_16 = (128, 197, 12, 64)
HOPPER, AMPERE, ADA, TURING, BLACKWELL = (9, 0), (8, 0), (8, 9), (7, 5), (10, 0)


@pytest.mark.parametrize(
    ("shape", "dtype", "has_bias", "card", "applies"),
    [
        (VIT_B_16, "bfloat16", False, HOPPER, True),
        (VIT_B_16, "bfloat16", False, AMPERE, True),
        (VIT_B_16, "float16", False, ADA, True),
        ((128, 257, 16, 80), jnp.bfloat16, False, HOPPER, True),  # ViT-H/14
        ((2, 3, 4, 49, 4, 32), "bfloat16", False, HOPPER, True),
        ((1, 1, 1, 128), "bfloat16", False, AMPERE, True),
        (VIT_B_16, "bfloat16", False, None, False),
        (VIT_B_16, "bfloat16", False, TURING, False),  # Colab's T4
        (VIT_B_16, "bfloat16", False, BLACKWELL, False),
        (VIT_B_16, "bfloat16", False, (12, 0), False),
        (VIT_B_16, "float32", False, HOPPER, False),
        (VIT_B_16, "float64", False, HOPPER, False),
        (VIT_B_16, "bfloat16", True, HOPPER, False),
        ((64, 49, 3, 32), "bfloat16", True, HOPPER, False),  # Swin-T
        ((128, 197, 12, 60), "bfloat16", False, HOPPER, False),
        ((128, 197, 12, 136), "bfloat16", False, HOPPER, False),
        ((0, 197, 12, 64), "bfloat16", False, HOPPER, False),
        ((*jax.export.symbolic_shape("batch"), 197, 12, 64), "bfloat16", False, HOPPER, False),
    ],
)
def test_it_applies_where_cudnn_takes_the_forward_and_the_backward_pass(shape, dtype, has_bias, card, applies):
    assert cudnn_applies(shape, dtype, has_bias, card) == applies


@pytest.mark.parametrize("card", [AMPERE, HOPPER])
@pytest.mark.parametrize("tokens", [1, 49, 196, 197])
@pytest.mark.parametrize("channels", [8, 64, 80, 128])
def test_what_applies_is_what_jax_itself_lets_through(card, tokens, channels, monkeypatch):
    from jax._src.cudnn import fused_attention_stablehlo as cudnn

    monkeypatch.setattr(cudnn, "check_compute_capability", lambda least: card >= tuple(map(int, least.split("."))))
    shape = (2, tokens + tokens % 2, 3, channels)
    assert cudnn_applies(shape, "bfloat16", False, card)
    part, flat = jax.ShapeDtypeStruct(shape, jnp.bfloat16), cudnn.AttentionLayout.BTNH.value
    cudnn.check_is_flash_attention(part, part, part, flat, 90800, True, True)
    cudnn.check_layout(part, part, part, *[None] * 7, cudnn.AttentionLayout.BTNH)


@pytest.mark.parametrize(
    ("platform", "said", "expected"),
    [("cuda 12080", "9.0", HOPPER), ("cuda 13000", "12.1", (12, 1)), ("rocm 6", "gfx90a", None), ("cuda", "", None)],
)
def test_the_capability_is_what_the_first_gpu_says(platform, said, expected, monkeypatch):
    class Said:
        platform_version = f"PJRT C API\n{platform}"
        compute_capability = said

    monkeypatch.setattr("zoo.nn.fused_attention.get_backend", Said)
    monkeypatch.setattr(jax, "local_devices", lambda: [Said()])
    assert capability() == expected


@pytest.fixture
def hopper(monkeypatch):
    """As if this process had a GPU; programs for it can be lowered here, but not run."""
    monkeypatch.setattr(attention, "capability", lambda: HOPPER)
    monkeypatch.setattr("jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version", lambda: 90800)


def vit(fused=True, dtype=jnp.bfloat16, **options):
    sizes = {"patch_size": 4, "depth": 1, "heads": 2, "width": 16, "hidden": 16, "num_classes": 3}
    return VisionTransformer(fused=fused, dtype=dtype, **(sizes | options))


IMAGES = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)


@functools.cache
def variables():
    return jax.jit(vit(False).init)(jax.random.key(0), IMAGES)


def loss(variables, images, model):
    return (model.apply(variables, images) ** 2).sum()


def lowered(model, platform, function=loss):
    traced = jax.jit(function, static_argnums=2).trace(variables(), IMAGES, model)
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize("remat", [False, True])
def test_a_vision_transformer_is_given_cudnns_kernels_on_cuda_alone(remat):
    gradient = jax.grad(loss)
    for function, calls in ((loss, ("Softmax",)), (gradient, ("Softmax", "SoftmaxBackward"))):
        text = lowered(vit(remat=remat), "cuda", function)
        assert all(f"@__cudnn$fmha{name}(" in text for name in calls)
        assert not re.search("2x2x(5x5|6x6)x", text)  # no product of a query and a key, of four patches and a class
        for platform in ("cpu", "tpu"):
            assert "cudnn" not in lowered(vit(remat=remat), platform, function)


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize("model", [vit(dtype=jnp.float32), vit(False)], ids=["float32", "not asked for"])
def test_what_cudnn_cannot_or_need_not_is_left_to_xla(model):
    assert "cudnn" not in lowered(model, "cuda", jax.grad(loss))


def test_without_a_gpu_the_programs_are_the_same_to_the_letter(monkeypatch):
    monkeypatch.setattr(attention, "capability", lambda: None)
    for platform in ("cpu", "cuda", "tpu"):
        assert lowered(vit(), platform, jax.grad(loss)) == lowered(vit(False), platform, jax.grad(loss))


@pytest.mark.usefixtures("hopper")
def test_on_the_cpu_of_a_machine_with_a_gpu_it_is_todays_form_to_the_bit():
    with jax.default_device(jax.devices("cpu")[0]):
        gradients = jax.jit(jax.grad(loss), static_argnums=2)
        found, expected = (gradients(jax.device_get(variables()), IMAGES, vit(fused)) for fused in (True, False))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.usefixtures("hopper")
def test_a_bias_is_left_to_xla():
    x, module = np.ones((2, 5, 16), np.float32), SelfAttention(2, dtype=jnp.bfloat16, fused=True)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    for bias, found in ((None, True), (jnp.array([0, 0, 0, 0, -jnp.inf]), False)):
        traced = jax.jit(module.apply).trace(shapes, x, bias)
        assert ("cudnn" in traced.lower(lowering_platforms=("cuda",)).as_text()) == found


@pytest.mark.usefixtures("hopper")
def test_it_is_mapped_and_takes_groups_of_tokens():
    x, module = np.ones((3, 2, 4, 5, 16), np.float32), SelfAttention(2, dtype=jnp.bfloat16, fused=True)
    one = jax.jit(module.init)(jax.random.key(0), x[0])
    several = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), one)

    def slope(variables, x):
        return jax.grad(lambda variables: (module.apply(variables, x).astype(jnp.float32) ** 2).sum())(variables)

    for axes, parameters in (((0, 0), several), ((0, None), several), ((None, 0), one)):
        mapped = jax.jit(jax.vmap(slope, in_axes=axes)).trace(parameters, x if axes[1] == 0 else x[0])
        text = mapped.lower(lowering_platforms=("cuda",)).as_text()
        assert "tensor<24x6x2x8xbf16>" in text  # what cuDNN gets: three times two times four groups
        assert "@__cudnn$fmhaSoftmaxBackward(" in text


@pytest.mark.usefixtures("hopper")
def test_second_derivatives_are_refused_and_are_there_where_it_is_not_asked_for():
    def curvature(variables, images, model):
        return jax.grad(lambda images: (jax.grad(loss, 1)(variables, images, model) ** 2).sum())(images)

    assert np.isfinite(jax.jit(curvature, static_argnums=2)(variables(), IMAGES, vit(False))).all()
    with pytest.raises(NotImplementedError, match=r"dot_product_attention_.wd_wrapper"):
        jax.eval_shape(functools.partial(curvature, model=vit()), variables(), IMAGES)


@pytest.mark.usefixtures("hopper")
def test_an_exported_model_has_todays_form_for_all_platforms():
    in_a_list = nn.Sequential([vit(num_classes=0), nn.Dense(3)])
    for model in (vit(), LearnedDirections(vit(num_classes=0), 3), in_a_list):
        shapes = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
        exported = zoo.export_model(model, shapes, (8, 8, 3), batch=2)
        assert "cudnn" not in exported.mlir_module()


def test_it_is_scaled_as_the_plain_form(monkeypatch):
    """cuDNN's own form by jax's for XLA, which takes the same arguments."""
    q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 2, 8)).astype(np.float32)
    theirs = jax.nn.dot_product_attention
    asked = []

    def by_xla(*parts, implementation, **lengths):
        asked.append((implementation, parts[0].shape))
        return theirs(*parts, implementation="xla", **lengths)

    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *parts, cuda, default: (cuda(*parts), default(*parts)))
    found, expected = jax.jit(lambda *parts: attend(*parts, attention.plain_attention))(q, k, v)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert asked == [("cudnn", (8, 6, 2, 8))]
