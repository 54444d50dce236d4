"""Models made of models: references in rows and options, builders that are functions, and which row a module has."""

import jax
import jax.numpy as jnp
import pytest

import zoo
from tests.composites import OnBackbone, composites  # noqa: F401 (a fixture)
from zoo.catalog import CATALOG, Ref, entry_of
from zoo.convnets.cifar_resnet import CifarResNet

pytestmark = pytest.mark.usefixtures("composites")


def test_a_reference_in_a_row_is_built_however_deep_it_lies():
    model = zoo.create("on_resnet8")
    assert model.backbone == zoo.create("cifar_resnet8", num_classes=0)
    deep = zoo.create("on_that")
    assert isinstance(deep.backbone, OnBackbone)
    assert (deep.backbone.backbone.depth, deep.backbone.backbone.widening) == (8, 2)
    shapes = jax.eval_shape(lambda: zoo.init(deep, jax.random.key(0), *zoo.describe("on_that").inputs))
    assert shapes["params"]["backbone"]["backbone"]["stage3"]["block1"]["conv2"]["kernel"].shape == (3, 3, 128, 128)


def test_a_user_gives_any_module_another_reference_or_a_name():
    own = zoo.create("cifar_densenet_tiny", num_classes=0)
    for given in (own, Ref("cifar_densenet_tiny", num_classes=0), "cifar_densenet_tiny"):
        model = zoo.create("on_resnet8", backbone=given, num_classes=2)
        assert model.backbone == own
        variables = jax.eval_shape(lambda model=model: zoo.init(model, jax.random.key(0), (32, 32, 3)))
        assert jax.eval_shape(model.apply, variables, jnp.zeros((4, 32, 32, 3))).shape == (4, 2)
    with pytest.raises(zoo.UnknownNameError, match="no model 'cifar_resnet9'; nearest: cifar_resnet8"):
        zoo.create("on_resnet8", backbone=Ref("cifar_resnet9"))
    with pytest.raises(zoo.UnknownNameError, match="no option of cifar_resnet8 'classes'"):
        zoo.create("on_resnet8", backbone=Ref("cifar_resnet8", classes=1))


def test_a_model_that_goes_by_its_name_is_there_for_its_maps():
    backbone = zoo.create("on_resnet8", backbone="vgg_tiny").backbone
    assert (backbone.num_classes, backbone.maps_only) == (0, True)
    with pytest.raises(zoo.UnknownNameError, match="no model 'cifar_resnet9'; nearest: cifar_resnet8"):
        zoo.create("on_resnet8", backbone="cifar_resnet9")


def test_a_reference_computes_as_the_whole_does_and_a_module_as_it_is():
    narrow = zoo.create("on_that", dtype=jnp.bfloat16)
    assert {narrow.dtype, narrow.backbone.dtype, narrow.backbone.backbone.dtype} == {jnp.bfloat16}
    own = zoo.create("cifar_resnet8", num_classes=0)
    assert zoo.create("on_resnet8", backbone=own, dtype=jnp.bfloat16).backbone.dtype == jnp.float32
    other = Ref("cifar_resnet8", num_classes=0, dtype=jnp.float32)
    assert zoo.create("on_resnet8", backbone=other, dtype=jnp.bfloat16).backbone.dtype == jnp.float32


def test_references_are_values():
    assert Ref("a", depth=3) == Ref("a", depth=3) != Ref("a", depth=4)
    assert repr(Ref("a", depth=3)) == "Ref(name='a', options={'depth': 3})"


def test_the_row_of_a_model_of_models_is_that_with_the_same_parts():
    for name in ("on_resnet8", "on_resnet20", "on_that"):
        assert entry_of(zoo.create(name, num_classes=9)).name == name
    narrow = zoo.create("cifar_resnet20", num_classes=5, dtype=jnp.bfloat16)
    assert entry_of(zoo.create("on_resnet8", backbone=narrow)).name == "on_resnet20"  # types and classes do not matter
    for other in (zoo.create("cifar_resnet32"), CifarResNet(depth=8, widening=3), zoo.create("lenet5")):
        variant = entry_of(zoo.create("on_resnet8", backbone=other))
        assert (variant.name, variant.pretrained) == ("OnBackbone", ())


def test_a_builder_may_be_a_function_whose_options_are_checked_by_its_signature():
    model = zoo.create("small_resnet")
    assert (type(model), model.depth, model.widening, model.num_classes) == (CifarResNet, 14, 3, 4)
    assert zoo.create("small_resnet", num_classes=2, widening=1).num_classes == 2
    with pytest.raises(zoo.UnknownNameError, match="no option of small_resnet 'depth'; known: num_classes, widening"):
        zoo.create("small_resnet", depth=8)
    with pytest.raises(TypeError, match="option widening of small_resnet: expected int, got str '2'"):
        zoo.create("small_resnet", widening="2")


def test_a_module_that_a_function_made_has_the_functions_row():
    assert entry_of(zoo.create("small_resnet", num_classes=11)).name == "small_resnet"
    assert entry_of(zoo.create("small_resnet", widening=1)).name == "CifarResNet"  # no row's architecture
    assert entry_of(zoo.create("cifar_resnet8")).name == "cifar_resnet8"
    assert "small_resnet" not in CATALOG  # the fixture's alone
