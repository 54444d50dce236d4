"""Weights of a part: a backbone's file, in our layout or another library's, into a model that is made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import zoo
from tests.composites import OnBackbone, composites  # noqa: F401 (a fixture)
from tests.convnets import families
from zoo.weights import NewHeadWarning, WeightsError

pytestmark = pytest.mark.usefixtures("composites")


def backbone(name="resnet_tiny", **options):
    model = zoo.create(name, **options)
    return model, families.he_normal(model, zoo.describe(name).input_shape)


def assert_equal(ours, expected):
    jax.tree.map(np.testing.assert_array_equal, ours, expected)


@pytest.mark.parametrize("layout", ["zoo", "torchvision"])
@pytest.mark.parametrize("num_classes", [0, 10])
def test_a_backbones_file_fills_its_part_and_the_rest_is_drawn(tmp_path, layout, num_classes):
    part, trained = backbone()
    zoo.save_weights(trained, tmp_path / "w.safetensors", layout, part)
    model, key = OnBackbone(part.copy(num_classes=num_classes)), jax.random.key(7)
    loaded = zoo.load_weights(model, tmp_path / "w.safetensors", (32, 32, 3), key, into="backbone")
    images = jnp.zeros((1, 32, 32, 3))
    assert jax.tree.structure(loaded) == jax.tree.structure(jax.eval_shape(model.init, key, images))
    assert_equal(loaded["params"]["head"], jax.jit(lambda key: model.init(key, images)["params"]["head"])(key))
    assert np.any(loaded["params"]["head"]["kernel"])
    if not num_classes:
        del trained["params"]["head"]
    assert_equal(loaded["params"]["backbone"], trained["params"])
    assert_equal(loaded["batch_stats"]["backbone"], trained["batch_stats"])


def test_a_name_of_the_catalog_is_enough_and_takes_options(tmp_path):
    part, trained = backbone("cifar_resnet8", num_classes=0)
    zoo.save_weights(trained, tmp_path / "w.safetensors", "akamaster", part)
    loaded = zoo.load_weights("on_resnet8", tmp_path / "w.safetensors", into="backbone", num_classes=2)
    assert_equal(loaded["params"]["backbone"], trained["params"])
    assert loaded["params"]["head"]["kernel"].shape == (64, 2)
    other = zoo.load_weights(
        "on_resnet20", tmp_path / "w.safetensors", into="backbone", backbone=zoo.Ref("cifar_resnet8", num_classes=0)
    )
    assert_equal(other["params"]["backbone"], trained["params"])


def test_the_whole_model_is_saved_and_loaded_as_any(tmp_path):
    model = zoo.create("on_resnet8")
    variables = families.he_normal(model, (32, 32, 3))
    zoo.save_weights(variables, tmp_path / "w.safetensors", model=model)
    assert_equal(zoo.load_weights(model, tmp_path / "w.safetensors"), variables)


def test_a_head_of_the_backbone_for_other_classes_is_drawn_anew(tmp_path):
    part, trained = backbone()
    zoo.save_weights(trained, tmp_path / "w.safetensors", "torchvision", part)
    model = OnBackbone(part.copy(num_classes=4))
    with pytest.warns(NewHeadWarning, match="head for 10 classes, the model one for 4: .*params/backbone/head/bias"):
        loaded = zoo.load_weights(model, tmp_path / "w.safetensors", (32, 32, 3), into="backbone")
    head = loaded["params"]["backbone"].pop("head")
    assert head["kernel"].shape == (32, 4)
    del trained["params"]["head"]
    assert_equal(loaded["params"]["backbone"], trained["params"])


def test_all_that_does_not_fit_is_said_at_once(tmp_path):
    part, trained = backbone()
    zoo.save_weights(trained, tmp_path / "w.safetensors", "torchvision", part)
    arrays = load_file(tmp_path / "w.safetensors")
    arrays["mystery"] = arrays.pop("bn1.bias")
    arrays["conv1.weight"] = arrays["conv1.weight"][:, :1]
    save_file(arrays, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as error:
        zoo.load_weights(OnBackbone(part), tmp_path / "w.safetensors", (32, 32, 3), into="backbone")
    first, *lines = str(error.value).splitlines()
    assert first.endswith("does not fit resnet_tiny as backbone at input shape (32, 32, 3):")
    assert [line.strip() for line in lines] == [
        "mystery: no rule for it",
        "conv1.weight: expected shape (7, 7, 3, 4), got (7, 7, 1, 4)",
        "params/stem/norm/bias: missing in the file",
    ]


def test_parts_that_are_not_there_or_not_in_the_catalog_are_refused(tmp_path):
    part, trained = backbone()
    zoo.save_weights(trained, tmp_path / "w.safetensors")
    with pytest.raises(zoo.UnknownNameError, match="no part of OnBackbone 'backbon'; nearest: backbone"):
        zoo.load_weights(OnBackbone(part), tmp_path / "w.safetensors", (32, 32, 3), into="backbon")
    with pytest.raises(zoo.UnknownNameError, match="no part of OnBackbone 'num_classes'"):
        zoo.load_weights(OnBackbone(part), tmp_path / "w.safetensors", (32, 32, 3), into="num_classes")

    class Foreign(type(part)):
        pass

    with pytest.raises(ValueError, match=r"expected a model of the catalog, got a module of .*Foreign"):
        zoo.load_weights(OnBackbone(Foreign()), tmp_path / "w.safetensors", (32, 32, 3), into="backbone")


def foreign(num_classes=3, **options):
    """A classifier of a class without a row, on a backbone of the catalog."""

    class Foreign(OnBackbone):
        pass

    return Foreign(zoo.create("cifar_resnet8", num_classes=0, **options), num_classes)


@pytest.mark.parametrize("into", ["", "backbone"])
def test_a_file_of_the_whole_model_is_taken_whole_and_a_class_needs_no_row(tmp_path, into):
    path = tmp_path / "w.safetensors"
    for model in (foreign(), zoo.create("on_resnet8")):
        variables = families.he_normal(model, (32, 32, 3))
        zoo.save_weights(variables, path)
        assert_equal(zoo.load_weights(model, path, (32, 32, 3), into=into), variables)
    assert_equal(zoo.load_weights("on_resnet8", path, into=into), variables)


def test_a_part_of_its_own_parts_names_is_told_from_the_whole(tmp_path):
    trained = families.he_normal(foreign(), (32, 32, 3))
    zoo.save_weights(trained, tmp_path / "w.safetensors")  # params/backbone/... and params/head/..., as the whole has
    loaded = zoo.load_weights(OnBackbone(foreign()), tmp_path / "w.safetensors", (32, 32, 3), into="backbone")
    assert_equal(loaded["params"]["backbone"], trained["params"])
    assert not np.array_equal(loaded["params"]["head"]["kernel"], trained["params"]["head"]["kernel"])


def test_a_whole_model_without_a_row_says_what_does_not_fit_and_what_it_needs(tmp_path):
    path = tmp_path / "w.safetensors"
    variables = families.he_normal(foreign(), (32, 32, 3))
    zoo.save_weights(variables, path)
    with pytest.warns(NewHeadWarning, match="head for 3 classes, the model one for 4: .*: params/head/bias, params/h"):
        loaded = zoo.load_weights(foreign(4), path, (32, 32, 3), into="backbone")
    assert_equal(loaded["params"]["backbone"], variables["params"]["backbone"])
    with pytest.raises(ValueError, match=r"a module of .*Foreign, for which inputs must be given"):
        zoo.load_weights(foreign(), path, into="backbone")
    with pytest.raises(WeightsError) as error:
        zoo.load_weights(foreign(widening=2), path, (32, 32, 3), into="backbone")
    assert "w.safetensors does not fit Foreign at input shape (32, 32, 3) (expected a model" in str(error.value)
    assert "batch_stats/backbone/stage3/block1/norm1/mean: expected shape (128,), got (64,)" in str(error.value)
    zoo.save_weights({name: tree["backbone"] for name, tree in variables.items()}, path, "akamaster", "cifar_resnet8")
    with pytest.raises(WeightsError, match=r"conv1\.weight: not one of this zoo's names, and Foreign has no other"):
        zoo.load_weights(foreign(), path, (32, 32, 3))


def test_a_part_of_a_part_is_named_by_the_path_of_fields(tmp_path):
    part, trained = backbone("cifar_resnet8", num_classes=0)
    model = OnBackbone(OnBackbone(part, 5), 2)
    for layout in ("zoo", "akamaster"):
        zoo.save_weights(trained, tmp_path / "w.safetensors", layout, part)
        loaded = zoo.load_weights(model, tmp_path / "w.safetensors", (32, 32, 3), into="backbone/backbone")
        assert_equal(loaded["params"]["backbone"]["backbone"], trained["params"])
        assert_equal(loaded["batch_stats"]["backbone"]["backbone"], trained["batch_stats"])
    with pytest.raises(zoo.UnknownNameError, match="no part of CifarResNet 'backbone'"):
        zoo.load_weights(model, tmp_path / "w.safetensors", (32, 32, 3), into="backbone/backbone/backbone")


@pytest.mark.parametrize("name", ["googlenet_tiny", "inception_v3_tiny", "squeezenet_tiny", "swin_mini", "mlp"])
def test_the_row_names_the_layers_that_grow_with_the_number_of_classes(name):
    entry = zoo.describe(name)
    aux = {"aux_heads": True} if entry.auxiliary else {}
    shape = (299, 299, 3) if name == "inception_v3_tiny" else entry.input_shape
    few, many = (families.shapes(zoo.create(name, num_classes=count, **aux), shape) for count in (3, 5))
    grown = {path for path in few if few[path].shape != many[path].shape}
    assert {path.split("/", 1)[1].rpartition("/")[0] for path in grown} == set(entry.heads)
    assert all(few[path].shape[-1] == 3 for path in grown)
    without = families.shapes(zoo.create(name, num_classes=3), entry.input_shape)
    assert {path.split("/")[1] for path in few.keys() - without.keys()} == set(entry.auxiliary)
