"""`python -m zoo separate CLASSES DIMS`: places prototypes, says how far apart they are, and keeps them in a file."""

import math
import time

import jax

from zoo.hyperspheres.bounds import levenshtein_bound, rankin_bound
from zoo.hyperspheres.separation import largest_cosine, mean_of_largest_cosines, separate
from zoo.hyperspheres.storage import check_path, save_prototypes


def print_separation(classes: int, dims: int, objective: str = "max", seed: int = 0, path: str = "") -> None:
    """Places the prototypes, prints the measures of their separation beside the bounds, and writes them to `path`.

    Raises:
      ValueError: too few classes or dimensions, another suffix than `save_prototypes` writes, or a file is there.
      FileNotFoundError: there is no folder to write in.
      UnknownNameError: another objective.
    """
    if path and check_path(path).exists():
        raise ValueError(f"{path} is there already: expected a new name")
    started = time.perf_counter()
    prototypes = jax.block_until_ready(separate(jax.random.key(seed), classes, dims, objective=objective))
    seconds = time.perf_counter() - started
    print(f"{classes} prototypes in {dims} dimensions, objective {objective}, seed {seed}")
    if classes > 1:
        largest = float(largest_cosine(prototypes))
        print(f"largest cosine           {largest:9.6f}")
        print(f"smallest angle           {math.degrees(math.acos(max(-1.0, min(1.0, largest)))):9.4f} degrees")
        print(f"mean of largest cosines  {float(mean_of_largest_cosines(prototypes)):9.6f}")
        print("no largest cosine is below")
        print(f"  Rankin's bound         {rankin_bound(classes, dims):9.6f}")
        print(f"  Levenshtein's bound    {levenshtein_bound(classes, dims):9.6f}")
    print(f"seconds                  {seconds:9.2f}, compilation included")
    if path:
        save_prototypes(path, prototypes)
        print(f"written                  {path}")
