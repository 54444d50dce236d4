"""Files of named arrays as torch's users have them: parameters, narrow and sparse types, checkpoints, foreign ones."""

import argparse
import fractions
import os
import resource
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from zoo.weights.files import read_arrays, write_arrays


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_written_file_has_the_mode_that_the_umask_gives(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        write_arrays({"kernel": np.zeros(3)}, tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == mode


def test_parameters_narrow_types_and_sparse_tensors_become_plain_arrays(torch, tmp_path):
    values = torch.tensor([[0.0, 1.5], [-2.0, 0.0]])
    state = {
        "parameter": torch.nn.Parameter(values),
        "bfloat16": values.bfloat16(),
        "float16": values.half(),
        "sparse": values.to_sparse(),
        "narrow_and_sparse": torch.nn.Parameter(values.bfloat16().to_sparse()),
        "transposed": values.T,
        "count": torch.tensor(3),
    }
    torch.save(state, tmp_path / "w.pth")
    arrays = read_arrays(tmp_path / "w.pth")
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        **dict.fromkeys(state, "float32"),
        "float16": "float16",
        "count": "int64",
    }
    assert arrays.pop("count") == 3
    np.testing.assert_array_equal(arrays.pop("transposed"), values.numpy().T)
    for array in arrays.values():
        np.testing.assert_array_equal(array, values.numpy())


@pytest.mark.parametrize("wrapping", ["state_dict", "model"])
def test_a_checkpoints_weights_are_found_beside_the_rest(torch, tmp_path, wrapping):
    layer = torch.nn.Linear(2, 3)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1).state_dict()
    checkpoint = {wrapping: layer.state_dict(), "optimizer": optimizer, "epoch": 3, "args": argparse.Namespace(lr=0.1)}
    torch.save(checkpoint, tmp_path / "w.pth")
    assert {name: array.shape for name, array in read_arrays(tmp_path / "w.pth").items()} == {
        "weight": (3, 2),
        "bias": (3,),
    }


def test_bfloat16_stays_bfloat16_in_torchs_files(torch, tmp_path):
    array = np.asarray(jnp.arange(-3, 3, dtype=jnp.bfloat16).reshape(2, 3) / 3)
    write_arrays({"kernel": array}, tmp_path / "w.pth")
    assert torch.load(tmp_path / "w.pth", weights_only=True)["kernel"].dtype == torch.bfloat16
    np.testing.assert_array_equal(read_arrays(tmp_path / "w.pth")["kernel"], array.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda torch: {0: torch.ones(1)}, "expected a state dict, names with tensors, got 0 with a Tensor"),
        (lambda torch: {"net": {"w": torch.ones(1)}}, "expected a state dict, .*, got 'net' with a dict"),
        (lambda torch: {"model": {"w": 1.5}}, "expected a state dict, .*, got 'w' with a float"),
        (lambda torch: [torch.ones(1)], "expected a state dict, .*, got a list"),
        (
            lambda torch: {"w": fractions.Fraction(1)},
            "is not a torch file of plain tensors: it holds fractions.Fraction",
        ),
    ],
    ids=["number", "wrapped", "value", "list", "code"],
)
def test_what_is_no_state_dict_is_refused_in_one_line(torch, tmp_path, content, message):
    torch.save(content(torch), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"w\.pth:? {message}") as error:
        read_arrays(tmp_path / "w.pth")
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("size", [0, 3, 300])
def test_a_damaged_file_is_refused_in_one_line_without_torchs_advice(torch, tmp_path, size):
    torch.save({"w": torch.ones(100)}, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:size])
    with pytest.raises(ValueError, match=r"tensors: it is damaged or of another kind$") as error:
        read_arrays(tmp_path / "w.pth")
    assert "\n" not in str(error.value)
    assert "weights_only" not in str(error.value)


def test_a_file_that_finds_no_room_is_an_error_of_the_system_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "w.safetensors"
    write_arrays({"kernel": np.zeros(2)}, path)
    before = path.read_bytes()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large: '{path}'"):
            write_arrays({"kernel": np.zeros(10_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]
    assert path.read_bytes() == before
