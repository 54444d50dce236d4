"""Prototypes in files: the same bits come back, nothing is half written, and what is no prototype is refused."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zoo.hyperspheres import storage
from zoo.hyperspheres.separation import simplex
from zoo.hyperspheres.storage import load_prototypes, save_prototypes

PROTOTYPES = np.asarray(simplex(4, 5))
NAMES = ("maple", "Löwe", 'a "b", c', "")
SUFFIXES = (".npz", ".safetensors")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("names", [(), NAMES])
def test_what_was_saved_comes_back_bit_for_bit(tmp_path, suffix, names):
    path = tmp_path / f"prototypes{suffix}"
    save_prototypes(path, jax.numpy.asarray(PROTOTYPES), names)
    loaded, loaded_names = load_prototypes(str(path))
    assert isinstance(loaded, jax.Array)
    assert loaded.dtype == np.float32
    assert np.asarray(loaded).tobytes() == PROTOTYPES.tobytes()
    assert loaded_names == names
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_double_precision_comes_back_where_jax_has_it(tmp_path, suffix):
    path = tmp_path / f"prototypes{suffix}"
    doubles = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0].T  # columns first in memory
    save_prototypes(path, doubles)
    assert load_prototypes(path)[0].dtype == np.float32
    with jax.enable_x64(True):
        np.testing.assert_array_equal(load_prototypes(path)[0], doubles)


def test_other_programs_read_the_files(tmp_path):
    save_prototypes(tmp_path / "p.npz", PROTOTYPES, NAMES)
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["prototypes"], PROTOTYPES)
        assert tuple(json.loads(str(arrays["class_names"]))) == NAMES
    save_prototypes(tmp_path / "p.safetensors", PROTOTYPES, NAMES)
    np.testing.assert_array_equal(load_file(tmp_path / "p.safetensors")["prototypes"], PROTOTYPES)


def test_files_of_other_programs_without_names_are_read(tmp_path):
    np.savez(tmp_path / "p.npz", prototypes=PROTOTYPES)
    save_file({"prototypes": PROTOTYPES}, tmp_path / "p.safetensors")
    for suffix in SUFFIXES:
        assert load_prototypes(tmp_path / f"p{suffix}")[1] == ()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"p{suffix}"
    save_prototypes(path, PROTOTYPES)
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(storage.os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        save_prototypes(path, -PROTOTYPES)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def changed(row, value):
    vectors = PROTOTYPES.copy()
    vectors[row, 0] = value
    return vectors


BAD = [
    (changed(1, np.nan), (), "prototypes: expected finite numbers, got others in row 1"),
    (PROTOTYPES * 1.002, (), "prototypes: expected unit vectors, got the length 1.002 in row"),
    (changed(2, 3.0), (), "prototypes: expected unit vectors, got the length .* in row 2"),
    (PROTOTYPES[0], (), r"prototypes: expected rows of a shape \(classes, dims\), got \(5,\)"),
    (PROTOTYPES[:0], (), r"prototypes: expected rows of a shape \(classes, dims\), got \(0, 5\)"),
    (np.eye(3, dtype=np.int32), (), "prototypes: expected float32 or float64, got int32"),
    (PROTOTYPES, ("a", "b"), "class_names: expected one for each of 4 prototypes, got 2"),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("vectors", "names", "message"), BAD)
def test_what_is_no_prototype_is_neither_written_nor_read(tmp_path, suffix, vectors, names, message):
    path = tmp_path / f"p{suffix}"
    with pytest.raises(ValueError, match=rf"p{suffix}: {message}"):
        save_prototypes(path, vectors, names)
    assert not list(tmp_path.iterdir())
    listed = json.dumps(names)
    if suffix == ".npz":
        np.savez(path, prototypes=vectors, class_names=np.array(listed))
    else:
        save_file({"prototypes": vectors}, path, {"class_names": listed})
    with pytest.raises(ValueError, match=rf"p{suffix}: {message}"):
        load_prototypes(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_or_foreign_file_is_named(tmp_path, suffix):
    path = tmp_path / f"p{suffix}"
    save_prototypes(path, PROTOTYPES, NAMES)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=rf"p{suffix} is not a complete"):
        load_prototypes(path)
    for content in (b"", b"nothing of the kind"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"p{suffix} is not a complete"):
            load_prototypes(path)
    if suffix == ".npz":
        np.savez(path, other=PROTOTYPES)
    else:
        save_file({"other": PROTOTYPES}, path)
    with pytest.raises(ValueError, match=rf"p{suffix}: expected an array 'prototypes' in it"):
        load_prototypes(path)
    with pytest.raises(FileNotFoundError, match=f"absent{suffix}"):
        load_prototypes(tmp_path / f"absent{suffix}")


def test_pickled_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "p.npz", prototypes=np.array([{}], dtype=object), class_names=np.array("[]"))
    with pytest.raises(ValueError, match=r"p.npz is not a complete npz file of plain arrays"):
        load_prototypes(tmp_path / "p.npz")


@pytest.mark.parametrize("listed", ["{", '{"a": 1}', "[1, 2, 3, 4]", pytest.param("[" * 100_000, id="deep")])
def test_names_that_are_no_list_of_strings_are_refused(tmp_path, listed):
    save_file({"prototypes": PROTOTYPES}, tmp_path / "p.safetensors", {"class_names": listed})
    with pytest.raises(ValueError, match=r"p.safetensors: class_names: expected a list"):
        load_prototypes(tmp_path / "p.safetensors")


def test_other_suffixes_and_absent_folders_are_refused(tmp_path):
    for call in (lambda path: save_prototypes(path, PROTOTYPES), load_prototypes):
        with pytest.raises(ValueError, match=r"p.npy: expected a name in .npz or .safetensors"):
            call(tmp_path / "p.npy")
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent to write p.npz in"):
        save_prototypes(tmp_path / "absent" / "p.npz", PROTOTYPES)
