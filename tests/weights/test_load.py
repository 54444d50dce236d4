"""Loading and saving weights: round trips, other heads, and every way in which a file can be wrong."""

import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import zoo
from tests.convnets.torch_names import variables_of
from zoo.catalog.pretrained import Preprocessing, Pretrained
from zoo.convnets.cifar_resnet import CifarResNet
from zoo.weights import WeightsError

TINY = CifarResNet(depth=8)
LAYOUT = "akamaster/cifar_resnet"


def assert_equal(ours, expected):
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def tiny():
    return variables_of(TINY)


@pytest.fixture
def file(tmp_path, tiny):
    path = tmp_path / "torch.safetensors"
    zoo.save_weights(tiny, path, layout=LAYOUT)
    return path


@pytest.mark.parametrize("layout", ["zoo", LAYOUT])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "full_preactivation", "bottleneck": True, "depth": 11, "shortcut": "B"},
        {"shortcut": "conv3x3", "num_classes": 3},
        {"num_classes": 0},
    ],
    ids=str,
)
def test_saved_variables_load_bit_by_bit_in_both_layouts(tmp_path, layout, options):
    model = CifarResNet(**{"depth": 8, **options})
    variables = variables_of(model)
    zoo.save_weights(variables, tmp_path / "w.safetensors", layout=layout)
    assert_equal(zoo.load_weights(model, tmp_path / "w.safetensors"), variables)


def test_layouts_write_the_names_they_promise(tmp_path, tiny, file):
    zoo.save_weights(tiny, tmp_path / "zoo.safetensors")
    ours, theirs = load_file(tmp_path / "zoo.safetensors"), load_file(file)
    assert ours["params/stage1/block1/conv1/kernel"].shape == (3, 3, 16, 16)
    assert theirs["layer1.0.conv1.weight"].shape == (16, 16, 3, 3)
    np.testing.assert_array_equal(
        theirs["layer2.0.conv1.weight"], ours["params/stage2/block1/conv1/kernel"].transpose(3, 2, 0, 1)
    )
    assert len(ours) == len(theirs) == 7 * (1 + 4) + 2  # seven convolutions, each normalised, and the head


def test_a_library_and_the_model_name_a_layout_too(tmp_path, tiny, file):
    for model in (TINY, "cifar_resnet8"):
        zoo.save_weights(tiny, tmp_path / "w.safetensors", layout="akamaster", model=model)
        assert load_file(tmp_path / "w.safetensors").keys() == load_file(file).keys()
    with pytest.raises(zoo.UnknownNameError, match="no layout of weights of cifar_resnet8 'torchvision'; known: "):
        zoo.save_weights(tiny, tmp_path / "w.safetensors", layout="torchvision", model="cifar_resnet8")


def test_a_name_of_the_catalog_is_enough_and_prefixes_are_taken_off(tmp_path, tiny, file):
    save_file({f"module.{name}": array for name, array in load_file(file).items()}, tmp_path / "m.safetensors")
    loaded = zoo.load_weights("cifar_resnet8", tmp_path / "m.safetensors")
    assert_equal(loaded, tiny)
    images = jnp.ones((1, 32, 32, 3))
    assert zoo.create("cifar_resnet8").apply(loaded, images).shape == (1, 10)


def test_another_number_of_classes_keeps_the_backbone_and_says_which_head_is_new(tiny, file):
    with pytest.warns(UserWarning, match=r"head for 10 classes, .* one for 7: .*params/head/bias, params/head/kernel"):
        loaded = zoo.load_weights(CifarResNet(depth=8, num_classes=7), file)
    head, tiny_head = loaded["params"].pop("head"), tiny["params"].pop("head")
    assert_equal(loaded, tiny)
    assert head["kernel"].shape == (64, 7) != tiny_head["kernel"].shape
    assert not head["bias"].any()
    assert 0.5 / 8 < jnp.abs(head["kernel"]).max() <= 1 / 8  # drawn as the model draws it


def test_without_classes_the_files_head_is_left_out(tiny, file):
    loaded = zoo.load_weights(CifarResNet(depth=8, num_classes=0), file)
    del tiny["params"]["head"]
    assert_equal(loaded, tiny)


def test_a_name_takes_options_and_a_module_has_its_own(tiny, file):
    with pytest.warns(zoo.weights.NewHeadWarning) as caught:
        loaded = zoo.load_weights("cifar_resnet8", file, num_classes=7)
    assert caught[0].message.classes == 10
    assert loaded["params"]["head"]["bias"].shape == (7,)
    with pytest.raises(TypeError, match="expected options with a model's name alone, got num_classes with a module"):
        zoo.load_weights(TINY, file, num_classes=7)


def test_published_weights_are_those_of_the_modules_own_row(tmp_path, tiny, file, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copy(file, tmp_path / "cifar_resnet20.safetensors")
    preprocessing = Preprocessing(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3)
    sources = {
        name: (
            Pretrained("V1", (tmp_path / f"{name}.safetensors").as_uri(), "", preprocessing, "cifar10", {"top1": 10.0}),
        )
        for name in ("cifar_resnet8", "cifar_resnet20")
    }
    monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: sources)
    with pytest.raises(WeightsError, match=r"cifar_resnet20\.safetensors does not fit cifar_resnet20"):
        zoo.load_weights(CifarResNet(depth=20, num_classes=5), "V1")  # the file is of eight layers
    with pytest.raises(zoo.UnknownNameError, match="no weights of CifarResNet 'V1'"):
        zoo.load_weights(CifarResNet(depth=14), "V1")  # no row has this depth


def test_variables_of_another_model_are_not_saved_as_this_ones(tmp_path, tiny):
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="batch_stats/stage1/block3/norm1/mean: resnet18 has no such"):
        zoo.save_weights(variables_of(CifarResNet(depth=20)), path, layout="torchvision", model="resnet18")
    with pytest.raises(WeightsError, match="batch_stats/stage1/block2/norm1/mean: missing"):
        zoo.save_weights(tiny, path, layout="akamaster", model="cifar_resnet20")
    with pytest.raises(WeightsError, match="no variables at all"):
        zoo.save_weights({}, path)
    assert not path.exists()
    headless = {"params": {k: v for k, v in tiny["params"].items() if k != "head"}, "batch_stats": tiny["batch_stats"]}
    zoo.save_weights(headless, path, layout="akamaster", model="cifar_resnet8")


def test_every_entry_that_does_not_fit_is_reported_at_once(tmp_path, file):
    arrays = load_file(file)
    del arrays["bn1.bias"]
    arrays["layer1.0.conv1.weight"] = np.zeros((16, 16, 5, 5), np.float32)
    arrays["layer9.0.conv1.weight"] = arrays["layer2.0.conv1.weight"]
    arrays["mystery"] = np.zeros(3, np.float32)
    save_file(arrays, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError) as error:
        zoo.load_weights(TINY, tmp_path / "bad.safetensors")
    lines = str(error.value).splitlines()
    assert "does not fit" in lines[0]
    assert sorted(line.strip() for line in lines[1:]) == [
        "layer1.0.conv1.weight: expected shape (3, 3, 16, 16), got (5, 5, 16, 16)",
        "layer9.0.conv1.weight: the model has no params/stage9/block1/conv1/kernel",
        "mystery: no rule for it",
        "params/stem/norm/bias: missing in the file",
    ]


def test_integers_and_numbers_that_are_not_finite_are_no_weights(tmp_path, file):
    arrays = load_file(file)
    arrays["bn1.num_batches_tracked"] = np.array(7)  # is left out anyway
    save_file(arrays, tmp_path / "good.safetensors")
    zoo.load_weights(TINY, tmp_path / "good.safetensors")
    arrays["linear.bias"] = np.arange(10)
    arrays["bn1.weight"][3:5] = np.nan
    arrays["bn1.running_var"] = np.full(16, 1e39)  # of float64, and more than float32 holds
    save_file(arrays, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError) as error:
        zoo.load_weights(TINY, tmp_path / "bad.safetensors")
    assert sorted(line.strip() for line in str(error.value).splitlines()[1:]) == [
        "bn1.running_var: expected finite numbers of float32, got 1e+39 at (0,), 16 such in all",
        "bn1.weight: expected finite numbers of float32, got nan at (3,), 2 such in all",
        "linear.bias: expected float32 or a like type, got int64",
    ]


def test_weights_of_a_deeper_network_are_refused_with_a_short_list(file):
    with pytest.raises(WeightsError, match=r"missing in the file\n  \.\.\. and \d+ more"):
        zoo.load_weights("cifar_resnet20", file)


def test_a_head_for_other_features_is_an_error_not_a_new_head(tmp_path, file):
    arrays = load_file(file)
    arrays["linear.weight"], arrays["linear.bias"] = np.zeros((7, 32), np.float32), np.zeros(7, np.float32)
    save_file(arrays, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match=r"linear.weight: expected shape \(64, 10\), got \(32, 7\)"):
        zoo.load_weights(TINY, tmp_path / "bad.safetensors")


def test_other_channels_need_the_input_shape(tmp_path):
    variables = variables_of(TINY, (8, 8, 1))
    zoo.save_weights(variables, tmp_path / "grey.safetensors")
    with pytest.raises(WeightsError, match=r"input shape \(32, 32, 3\)"):
        zoo.load_weights(TINY, tmp_path / "grey.safetensors")
    assert_equal(zoo.load_weights(TINY, tmp_path / "grey.safetensors", inputs=(8, 8, 1)), variables)


def test_damaged_missing_and_foreign_files_say_so(tmp_path, file):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        zoo.load_weights(TINY, damaged)
    header = b'{"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}'
    (tmp_path / "narrow.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"0")
    with pytest.raises(ValueError, match=r"narrow\.safetensors is not a complete safetensors file of numpy's types: "):
        zoo.load_weights(TINY, tmp_path / "narrow.safetensors")
    with pytest.raises(FileNotFoundError, match=r"no weights file .*absent\.safetensors"):
        zoo.load_weights(TINY, tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match=r"expected a name in \.safetensors"):
        zoo.load_weights(TINY, tmp_path / "weights.npz")
    with pytest.raises(zoo.UnknownNameError, match=r"no model .cifar_resnet21.; nearest: "):
        zoo.load_weights("cifar_resnet21", file)
    with pytest.raises(ValueError, match="not one of this zoo's names, and lenet5 has no other"):
        zoo.load_weights("lenet5", file)


def test_saving_refuses_what_a_layout_has_no_name_for_and_leaves_no_file(tmp_path, tiny):
    with pytest.raises(zoo.UnknownNameError, match="layout of weights"):
        zoo.save_weights(tiny, tmp_path / "w.safetensors", layout="cifar_resnets")
    with pytest.raises(WeightsError, match="params/extra: no rule for it"):
        zoo.save_weights({"params": {"extra": jnp.ones(1)}}, tmp_path / "w.safetensors", layout=LAYOUT)
    with pytest.raises(WeightsError, match="cache/x: neither params nor batch_stats"):
        zoo.save_weights({"cache": {"x": jnp.ones(1)}}, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_bfloat16_parameters_survive(tmp_path):
    variables = {"params": {"head": {"kernel": jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3)}}}
    zoo.save_weights(variables, tmp_path / "w.safetensors")
    assert load_file(tmp_path / "w.safetensors")["params/head/kernel"].dtype == jnp.bfloat16


def test_a_torch_file_without_torch_says_what_to_install(tmp_path, tiny, monkeypatch):
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    with pytest.raises(ImportError, match=r"pip install 'lecture-vision-zoo\[torch\]'"):
        zoo.load_weights(TINY, tmp_path / "w.pth")


def test_torch_files_round_trip_and_load_strictly_in_torch(tmp_path, tiny):
    torch = pytest.importorskip("torch")
    zoo.save_weights(tiny, tmp_path / "w.pth", layout=LAYOUT)
    assert_equal(zoo.load_weights(TINY, tmp_path / "w.pth"), tiny)
    state = torch.load(tmp_path / "w.pth", weights_only=True)
    wrapped = {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "best_prec1": 91.7}
    torch.save(wrapped, tmp_path / "wrapped.th")
    assert_equal(zoo.load_weights(TINY, tmp_path / "wrapped.th"), tiny)
    from tests.convnets.goldens.generate import ResNet

    ResNet("original", 8, bottleneck=False).load_state_dict(state, strict=True)
    (tmp_path / "code.pt").write_bytes(b"\x80\x04\x95")
    with pytest.raises(ValueError, match="not a torch file of plain tensors"):
        zoo.load_weights(TINY, tmp_path / "code.pt")
