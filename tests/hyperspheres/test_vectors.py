"""Word vectors: what is in a file is what comes out, names of several words are means, and PCA is scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from tests.shared import shared
from zoo.hyperspheres.vectors import load_vectors, reduce_dims, similarity

WORDS = {"Apple": [9, 9, 9], "apple": [1, 2, 3], "maple": [1, 0, 0], "tree": [0, 1, 4], "sweet_pepper": [5, 6, 7]}
RANDOM = np.random.default_rng(0).standard_normal((12, 7))


def write(path, words=WORDS, header=False, end=""):
    lines = [f"{word} {' '.join(map(str, vector))}{end}" for word, vector in words.items()]
    path.write_text("\n".join([f"{len(words)} 3"] * header + lines) + "\n")
    return path


@pytest.fixture(params=["glove", "word2vec", "npz"])
def file(request, tmp_path):
    if request.param == "npz":
        first, second = dict(list(WORDS.items())[:2]), dict(list(WORDS.items())[2:])
        arrays = {
            "a": list(first.values()),
            "a_names": list(first),
            "b": list(second.values()),
            "b_names": list(second),
        }
        np.savez(tmp_path / "words.npz", **{key: np.array(value) for key, value in arrays.items()})
        return tmp_path / "words.npz"
    # The tool of word2vec leaves a blank at the end of each line.
    return write(tmp_path / "words.txt", header=request.param == "word2vec", end=" " * (request.param == "word2vec"))


def test_a_name_is_found_as_written_then_in_another_case_or_with_another_separator(file):
    names = ["Apple", "apple", "APPLE", "sweet pepper", "Sweet-Pepper", "sweet_pepper"]
    np.testing.assert_array_equal(load_vectors(file, names), [[9] * 3, [1, 2, 3], [1, 2, 3], *[[5, 6, 7]] * 3])


def test_a_name_of_several_words_is_their_mean_unless_it_stands_whole(file):
    for name in ("maple_tree", "maple tree", "Maple-Tree"):
        np.testing.assert_array_equal(load_vectors(file, [name, "tree"]), [[0.5, 0.5, 2], [0, 1, 4]])


def test_all_missing_names_are_told_with_the_file(file):
    with pytest.raises(ValueError, match=rf"{file.name} has no vector for 2 of 4 names: pear, maple_bark$"):
        load_vectors(file, ["apple", "pear", "maple_bark", "maple_tree"])
    with pytest.raises(ValueError, match="at least one class name"):
        load_vectors(file, [])


def test_words_with_blanks_in_them_do_not_shift_the_numbers(tmp_path):
    path = write(tmp_path / "words.txt", {"the": [1, 2, 3], "apple pie": [4, 5, 6], "apple": [7, 8, 9]})
    np.testing.assert_array_equal(load_vectors(path, ["apple"]), [[7, 8, 9]])


@pytest.mark.parametrize(
    ("line", "what"), [("apple 1 2", "apple 1 2"), ("apple 1 2 x", "apple 1 2 x"), ("apple 1 2 nan", "apple 1 2 nan")]
)
def test_a_broken_line_is_told_by_its_number(tmp_path, line, what):
    (tmp_path / "words.txt").write_text(f"the 1 2 3\n{line}\n")
    with pytest.raises(ValueError, match=f"line 2: expected a word and 3 numbers, got '{what}'"):
        load_vectors(tmp_path / "words.txt", ["apple"])


def test_a_broken_npz_is_told_by_its_tables(tmp_path):
    path = tmp_path / "words.npz"
    np.savez(path, a=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"expected a table NAME with its words under NAME_names, got \['a'\]"):
        load_vectors(path, ["x"])
    np.savez(path, a=np.ones((2, 3)), a_names=np.array(["x"]))
    with pytest.raises(ValueError, match=r"got a \(2, 3\) and a_names \(1,\)"):
        load_vectors(path, ["x"])


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (np.array([[1.0, np.nan]]), np.array(["x"])),
        (np.array([["1", "2"]]), np.array(["x"])),
        (np.array([[1.0, 2.0]]), np.array([7])),
    ],
)
def test_an_npz_holds_words_and_finite_numbers(tmp_path, table, names):
    np.savez(tmp_path / "words.npz", a=table, a_names=names)
    with pytest.raises(ValueError, match="expected words and finite numbers, got"):
        load_vectors(tmp_path / "words.npz", ["x"])


def test_whole_numbers_are_numbers(tmp_path):
    np.savez(tmp_path / "words.npz", a=np.array([[3, 4], [4, 3]]), a_names=np.array(["x", "y"]))
    np.testing.assert_allclose(similarity(load_vectors(tmp_path / "words.npz", ["x", "y"]))[0, 1], 0.96, rtol=1e-6)


def test_a_damaged_npz_is_named(tmp_path):
    path = tmp_path / "words.npz"
    np.savez(path, a=np.ones((2, 3)), a_names=np.array(["x", "y"]))
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"no zip at all", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"words\.npz is not a complete npz file"):
            load_vectors(path, ["x"])
    with pytest.raises(FileNotFoundError, match=r"no file of word vectors .*gone\.npz"):
        load_vectors(tmp_path / "gone.npz", ["x"])


def test_a_mark_of_byte_order_is_no_part_of_the_first_word(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("maple 1 2\ntree 3 4\n", encoding="utf-8-sig")
    np.testing.assert_array_equal(load_vectors(path, ["maple"]), [[1, 2]])


def test_the_real_file_gives_its_own_rows():
    path = shared("data", "vectors", "glove_cifar_classes.npz")
    table = np.load(path, allow_pickle=False)
    np.testing.assert_array_equal(load_vectors(path, table["cifar100_names"].tolist()), table["cifar100"])
    np.testing.assert_array_equal(load_vectors(path, ["truck", "Maple Tree"])[0], table["cifar10"][9])
    found = similarity(table["cifar100"])
    like_man = [str(table["cifar100_names"][i]) for i in found[table["cifar100_names"] == "man"][0].argsort()[-4:-1]]
    assert set(like_man) == {"boy", "woman", "girl"}


def test_reduced_vectors_are_principal_components_of_unit_length():
    for dims in (2, 7):
        expected = PCA(dims, svd_solver="full").fit_transform(RANDOM)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(reduce_dims(RANDOM, dims), expected, atol=1e-10)
    with pytest.raises(ValueError, match="dims: expected 1 to 7"):
        reduce_dims(RANDOM, 8)


def test_a_class_without_a_direction_is_refused():
    with pytest.raises(ValueError, match=r"none in rows \[2\]"):
        reduce_dims(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]), 1)
    with pytest.raises(ValueError, match=r"none in rows \[1\]"):
        similarity(np.array([[1.0, 0.0], [0.0, 0.0]]))


def test_similarity_is_the_cosine():
    np.testing.assert_allclose(similarity(RANDOM), cosine_similarity(RANDOM), atol=1e-12)
