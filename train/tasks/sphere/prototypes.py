"""The prototypes that a recipe names: separated, random, of word vectors, or from a file. Lecture rows L85, L90."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from train.config import RecipeError
from train.config.tasks.sphere import Prototypes
from zoo.hyperspheres import (
    load_prototypes,
    load_vectors,
    reduce_dims,
    separate,
    separate_with_semantics,
    similarity,
    taxonomy_of,
    taxonomy_similarity,
)
from zoo.names import unknown

Vectors = Float[np.ndarray, "classes dims"]


def prototypes_of(settings: Prototypes, class_names: Sequence[str], dims: int) -> Vectors:
    """A unit vector a class.

    Args:
      settings: the recipe's.
      class_names: of the data.
      dims: of the vectors; 0: as many as a file has, or as there are classes.

    Raises:
      RecipeError: they cannot be had, or do not fit the classes or the dimensions.
      UnknownNameError: there is no such kind, and no such file.
    """
    kinds = {
        "separated": _separated,
        "random": _random,
        "one_hot": _one_hot,
        "vectors": _of_vectors,
        "semantic": _semantic,
    }
    try:
        if settings.prototypes in kinds:
            found = kinds[settings.prototypes](settings, class_names, dims or len(class_names))
        elif Path(settings.prototypes).suffix:
            found = _from_file(Path(settings.prototypes), class_names, dims)
        else:
            raise unknown("kind of prototypes", settings.prototypes, kinds)
    except (ValueError, OSError) as error:
        raise RecipeError(f"task: {error}") from error
    return np.asarray(found, np.float32)


def likeness_of(settings: Prototypes, class_names: Sequence[str]) -> Float[np.ndarray, "classes classes"]:
    """How like each other the classes are: privileged information, of a taxonomy or of word vectors.

    Raises:
      UnknownNameError: there is no such taxonomy, or it has no such class.
      ValueError: there are no word vectors, or not of all classes.
      OSError: their file cannot be read.
    """
    kind, _, name = (settings.vectors or "").partition(":")
    if kind == "taxonomy":
        return taxonomy_similarity(taxonomy_of(name, class_names))
    return similarity(load_vectors(_vectors_file(settings), class_names))


def _separated(settings: Prototypes, class_names: Sequence[str], dims: int) -> Vectors:
    return separate(jax.random.key(settings.seed), len(class_names), dims, objective=settings.objective)


def _random(settings: Prototypes, class_names: Sequence[str], dims: int) -> Vectors:
    vectors = jax.random.normal(jax.random.key(settings.seed), (len(class_names), dims), jnp.float32)
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def _one_hot(settings: Prototypes, class_names: Sequence[str], dims: int) -> Vectors:
    if dims < len(class_names):
        raise ValueError(f"one_hot needs a dimension a class: expected dims {len(class_names)} or more, got {dims}")
    return np.eye(len(class_names), dims)


def _of_vectors(settings: Prototypes, class_names: Sequence[str], dims: int) -> Vectors:
    return reduce_dims(load_vectors(_vectors_file(settings), class_names), dims)


def _semantic(settings: Prototypes, class_names: Sequence[str], dims: int) -> Vectors:
    likeness = likeness_of(settings, class_names)
    return separate_with_semantics(jax.random.key(settings.seed), likeness, dims, objective=settings.objective)


def _from_file(path: Path, class_names: Sequence[str], dims: int) -> Vectors:
    found, names = load_prototypes(path)
    found = np.asarray(found)
    if len(found) != len(class_names) or (dims and found.shape[1] != dims):
        wanted = f"{len(class_names)} prototypes" + (f" of {dims} dimensions" if dims else "")
        raise ValueError(f"{path}: expected {wanted}, got {len(found)} of {found.shape[1]}")
    if not names:
        return found
    if set(names) != set(class_names):
        raise ValueError(f"{path} is for other classes: expected {_some(class_names)}, got {_some(names)}")
    return found[[list(names).index(name) for name in class_names]]


def _vectors_file(settings: Prototypes) -> Path:
    if settings.vectors is None:
        raise ValueError(
            f"prototypes={settings.prototypes} needs vectors: a file of word vectors of the classes' names"
        )
    return Path(settings.vectors)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
