"""Word vectors of class names: the knowledge that prototypes can be placed by, and the word2vec targets of L90.

Mikolov et al., 2013, Distributed Representations of Words and Phrases (word2vec); Pennington, Socher and Manning,
2014, GloVe: Global Vectors for Word Representation. Both are read as their authors' tools write them, as text.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zoo.arrays import read_npz

_BETWEEN_WORDS = str.maketrans(" -", "__")


def load_vectors(path: str | os.PathLike, names: Sequence[str]) -> Float[np.ndarray, "classes dims"]:
    """The vectors of class names, in their order.

    Three kinds of file are read. `.npz`: tables `NAME` of words by dims, each with its words under `NAME_names`; all
    tables of a file count as one. GloVe text: a line for each word, the word and then its numbers. word2vec text: the
    same, under a first line of two whole numbers, the count of words and the dims. Text is read line by line, and only
    the words that are asked for are kept.

    A name is found as it is written, else in lower case, else in any other case; blanks, hyphens and underscores are
    the same. A name of several words that is not found whole ("maple_tree") is the mean of its words.

    Args:
      path: of the file.
      names: of the classes.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: no names; some names are not in the file (the message gives them all); or the file is not as above.
    """
    path = Path(path)
    if not names:
        raise ValueError("expected at least one class name")
    wanted = {word for name in names for word in (_spelling(name), *_parts(name))}
    found: dict[str, dict[str, np.ndarray]] = {}
    for word, vector in _npz_words(path) if path.suffix == ".npz" else _text_words(path, wanted):
        if _spelling(word) in wanted:
            found.setdefault(_spelling(word), {}).setdefault(word, vector)
    missing = [name for name in names if _spelling(name) not in found and not found.keys() >= set(_parts(name))]
    if missing:
        raise ValueError(f"{path} has no vector for {len(missing)} of {len(names)} names: {', '.join(missing)}")
    return np.stack([_vector(name, found) for name in names])


def reduce_dims(vectors: Float[np.ndarray, "classes dims"], dims: int) -> Float[np.ndarray, "classes reduced"]:
    """The vectors on their first principal axes, as unit vectors: word vectors in fewer dimensions, as prototypes.

    The mean is taken off, the axes are those of the singular value decomposition, each turned so that its entry of
    largest size is positive.

    Raises:
      ValueError: more dims than classes or than the vectors have, or a class that has no part along these axes.
    """
    if not 1 <= dims <= min(vectors.shape):
        raise ValueError(f"dims: expected 1 to {min(vectors.shape)} for vectors of shape {vectors.shape}, got {dims}")
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:dims]
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(dims), largest])[:, None]
    return _unit(centred @ axes.T)


def similarity(vectors: Float[np.ndarray, "classes dims"]) -> Float[np.ndarray, "classes classes"]:
    """The cosine of every vector with every other.

    Raises:
      ValueError: a vector has no direction.
    """
    directions = _unit(vectors)
    return directions @ directions.T


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # What is left of a class at the mean, after rounding, is no direction.
    short = np.flatnonzero(lengths[:, 0] <= 10 * np.finfo(vectors.dtype).eps * lengths.max())
    if len(short):
        raise ValueError(f"expected vectors with a direction, got none in rows {short.tolist()}")
    return vectors / lengths


def _spelling(name: str) -> str:
    return name.lower().translate(_BETWEEN_WORDS)


def _parts(name: str) -> list[str]:
    return [part for part in _spelling(name).split("_") if part] or [name]


def _vector(name: str, found: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    if _spelling(name) in found:
        return _best(name, found[_spelling(name)])
    return np.mean([_best(part, found[part]) for part in _parts(name)], axis=0)


def _best(word: str, spellings: dict[str, np.ndarray]) -> np.ndarray:
    for spelling in (word, word.lower()):
        if spelling in spellings:
            return spellings[spelling]
    return next(iter(spellings.values()))


def _npz_words(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    if not path.is_file():
        raise FileNotFoundError(f"no file of word vectors {path}")
    tables = read_npz(path)
    named = [key for key in tables if f"{key}_names" in tables]
    if not named:
        raise ValueError(f"{path}: expected a table NAME with its words under NAME_names, got {sorted(tables)}")
    for key in named:
        words, vectors = tables[f"{key}_names"], tables[key]
        if vectors.ndim != 2 or words.shape != vectors.shape[:1] or vectors.shape[1] != tables[named[0]].shape[1]:
            raise ValueError(
                f"{path}: expected words by dims, the same dims in all tables, and a word for each row, "
                f"got {key} {vectors.shape} and {key}_names {words.shape}"
            )
        if words.dtype.kind != "U" or vectors.dtype.kind not in "fiu" or not np.isfinite(vectors).all():
            raise ValueError(
                f"{path}: expected words and finite numbers, got {words.dtype} in {key}_names, {vectors.dtype} in {key}"
            )
        yield from zip(words.tolist(), vectors.astype(np.float32), strict=True)


def _text_words(path: Path, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    # Some files have words with blanks in them, and a few words that are not UTF-8: nobody asks for either.
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as lines:
        first = lines.readline().split()
        if len(first) == 2 and all(entry.isdecimal() for entry in first):
            dims, rest = int(first[1]), enumerate(lines, start=2)
        else:
            dims, rest = len(first) - 1, enumerate(_again(first, lines), start=1)
        for number, line in rest:
            if _spelling(line.partition(" ")[0]) not in wanted:
                continue
            word, *entries = line.rstrip().rsplit(" ", dims)
            try:
                vector = np.array(entries, np.float32)
            except ValueError:
                vector = np.empty(0)
            if dims < 1 or len(vector) != dims or not np.isfinite(vector).all():
                raise ValueError(
                    f"{path}, line {number}: expected a word and {dims} numbers, got {line[:60].rstrip()!r}"
                )
            yield word, vector


def _again(first: list[str], lines: Iterable[str]) -> Iterator[str]:
    yield " ".join(first)
    yield from lines
