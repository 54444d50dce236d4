"""Numpy archives: arrays "image" or "clip" with "label", "target" or others by name, and perhaps "test_image" etc."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from train.config import DataError
from train.data.fields import Facts, Field, Kind, Spec
from train.data.select import held_out_count, no_held_out_count, stratified_split
from train.data.source import Arrays, ArraySource, generator
from zoo.arrays import read_npz

NUMBERS = 2**31
"""As many numbers as labels may be where nobody named the classes: those of int32."""


class Known(NamedTuple):
    """What an array of a known name holds."""

    kind: Kind
    shape: str
    """Of an example, by letters: h and w are the image's height and width, n objects, p points, c anything."""
    numbers: str
    """Which kinds of numpy's types it may have."""
    dtype: str
    """What it becomes."""


KNOWN = {
    "label_map": Known(Kind.LABEL_MAP, "hw", "iu", "int32"),
    "tags": Known(Kind.COLUMNS, "w", "iu", "int32"),
    "map": Known(Kind.MAP, "hwc", "iuf", "float32"),
    "flow": Known(Kind.FLOW, "hw2", "iuf", "float32"),
    "normals": Known(Kind.NORMALS, "hw3", "iuf", "float32"),
    "boxes": Known(Kind.BOXES, "n4", "iuf", "float32"),
    "classes": Known(Kind.LABEL, "n", "iu", "int32"),
    "masks": Known(Kind.MASKS, "nhw", "b", "bool"),
    "keypoints": Known(Kind.KEYPOINTS, "np3", "iuf", "float32"),
}
"""What may stand beside image, label and target. Objects (n) are as many in each image, and NAME_valid (bool) says
which are real; that of the boxes serves the others too. Where all are real, none need be there."""


def npz(path: str, split: Literal["train", "test"], held_out: int = 0) -> ArraySource:
    """The examples of one split, see `npz_splits`."""
    return npz_splits(path, held_out)[split]


def npz_splits(path: str, held_out: int = 0) -> dict[str, ArraySource]:
    """The examples of a numpy archive, "train" and "test"; nothing in it is ever unpickled.

    Arrays: "image" (uint8, N H W C), or in its place "clip" (uint8, N T H W C), with "label" (integers from 0),
    "target" (finite numbers) or those of `KNOWN`; the same names after "test_" are the test split, else `held_out`
    examples are, by a fixed seed, or a fifth where that is 0. "train_image" may stand for "image". "class_names" (text)
    names the labels, which are else numbered up to the largest; without "label" it names the numbers of "classes",
    "label_map" or "tags", a class for each column. The integers "ignore" (else -1) and "background" are what
    "label_map" may hold besides, and the first what "tags" may, see `Facts`.

    Raises:
      DataError: an array is missing, or has another shape, type or range than this.
    """
    file = Path(path).expanduser()
    archive = _read(file)
    found = {name.removeprefix("train_"): array for name, array in archive.items()}
    if len(found) < len(archive):
        twice = sorted(name for name in archive if f"train_{name}" in archive)
        raise DataError(f"{file}: expected each array once, found {', '.join(twice)} also after 'train_'")
    if not {"image", "clip"} & found.keys():
        raise DataError(f"{file}: expected an array 'image', found: {', '.join(found) or 'none'}")
    train = _examples(file, found, "")
    facts = _facts(file, found, train)
    train |= _labels(file, "", train, facts)  # before some are held out: errors name the rows of the archive
    if {"test_image", "test_clip"} & found.keys():
        no_held_out_count(held_out, f"npz:{path}")
        test = _examples(file, found, "test_")
        test |= _labels(file, "test_", test, facts)
        _check_alike(file, train, test)
    else:
        train, test = _hold_out(train, held_out_count(_count(train), held_out, str(file)))
    spec = _spec(train)
    return {
        split: ArraySource(f"npz:{path}", arrays, spec, facts) for split, arrays in (("train", train), ("test", test))
    }


def _read(file: Path) -> Arrays:
    if not file.is_file():
        raise DataError(f"{file}: expected a numpy archive (.npz), found {'a folder' if file.exists() else 'nothing'}")
    try:
        return read_npz(file)
    except ValueError as error:
        raise DataError(str(error)) from error


def _examples(file: Path, found: Arrays, prefix: str) -> Arrays:
    main = "image" if f"{prefix}image" in found else "clip"
    axes = "examples, height, width, channels" if main == "image" else "examples, time, height, width, channels"
    if (image := found.get(prefix + main)) is None:
        raise DataError(f"{file}: expected an array '{prefix}image', found: {', '.join(found)}")
    if image.dtype != np.uint8 or image.ndim != axes.count(",") + 1 or 0 in image.shape:
        hint = f"; a grey image has one channel: {main}[..., None]" if image.ndim == axes.count(",") else ""
        raise DataError(f"{file}: expected {prefix}{main} as uint8 ({axes}), found {image.dtype} {image.shape}{hint}")
    arrays = {main: image}
    for name, kinds in (("label", "iu"), ("target", "iuf")):
        if (array := found.get(prefix + name)) is None:
            continue
        if array.shape != (len(image),) or array.dtype.kind not in kinds:
            wanted = "integers" if name == "label" else "numbers"
            raise DataError(
                f"{file}: expected {prefix}{name} as {len(image)} {wanted}, found {array.dtype} {array.shape}"
            )
        arrays[name] = array
    if "target" in arrays:
        arrays["target"] = arrays["target"].astype(np.float32)
        if (bad := np.flatnonzero(~np.isfinite(arrays["target"]))).size:
            raise DataError(
                f"{file}: expected finite numbers in {prefix}target,"
                f" found {arrays['target'][bad[0]]} in row {bad[0]} ({bad.size} rows)"
            )
    sizes = dict(zip("hw", image.shape[-3:-1], strict=True))
    for name in KNOWN:
        if prefix + name in found:
            arrays |= _known(file, found, prefix, name, len(image), sizes)
    if len(arrays) == 1:
        raise DataError(f"{file}: expected {prefix}label or {prefix}target beside {prefix}{main}, found neither")
    return arrays


def _known(file: Path, found: Arrays, prefix: str, name: str, count: int, sizes: dict[str, int]) -> Arrays:
    """An array of a known name, and which of its objects are real; how many those are goes to `sizes`."""
    known, array = KNOWN[name], found[prefix + name]
    wanted = [str(count), *(str(sizes.get(letter, letter)) for letter in known.shape)]
    pairs = zip(wanted, map(str, array.shape), strict=False)
    fits = array.ndim == len(wanted) and all(want in (size, *"cnp") for want, size in pairs)
    if not fits or array.dtype.kind not in known.numbers:
        numbers = {"b": "bools", "iu": "integers", "iuf": "numbers"}[known.numbers]
        raise DataError(
            f"{file}: expected {prefix}{name} as {numbers} ({', '.join(wanted)}), found {array.dtype} {array.shape}"
        )
    if known.dtype != "int32":  # labels are checked as they are, for a large one would turn into another
        array = array.astype(known.dtype)
    if name in ("boxes", "keypoints") and not np.all(np.isfinite(array)):
        raise DataError(f"{file}: expected finite numbers in {prefix}{name}")
    if not known.shape.startswith("n"):
        return {name: array}
    sizes["n"] = most = array.shape[1]
    valid = found.get(f"{prefix}{name}_valid", found.get(f"{prefix}boxes_valid", np.ones((count, most), bool)))
    if valid.shape != (count, most) or valid.dtype != bool:
        raise DataError(
            f"{file}: expected {prefix}{name}_valid as bools ({count}, {most}), found {valid.dtype} {valid.shape}"
        )
    # What pads is zero, as everywhere.
    blank = np.where(valid.reshape(count, most, *[1] * (array.ndim - 2)), array, np.zeros((), array.dtype))
    return {name: blank, f"{name}_valid": valid}


def _spec(arrays: Arrays) -> Spec:
    spec = {}
    for name, array in arrays.items():
        shape, dtype = array.shape[1:], array.dtype.name
        if name in KNOWN:
            varies = KNOWN[name].shape.startswith("n")
            shape, most = ((None, *shape[1:]), shape[:1]) if varies else (shape, ())
            spec[name] = Field(KNOWN[name].kind, shape, dtype, most)
        elif not name.endswith("_valid"):
            kind = {"image": Kind.IMAGE, "clip": Kind.CLIP, "label": Kind.LABEL, "target": Kind.VALUE}[name]
            spec[name] = Field(kind, shape, dtype)
    return spec


def _facts(file: Path, found: Arrays, train: Arrays) -> Facts:
    facts = Facts(_class_names(file, found, train))
    bounds = {"ignore": (-NUMBERS, NUMBERS - 1), "background": (0, len(facts.classes) or NUMBERS - 1)}
    for name, (least, most) in bounds.items():
        if (array := found.get(name)) is None:
            continue
        if array.shape != () or array.dtype.kind not in "iu":
            raise DataError(f"{file}: expected {name} as one integer, found {array.dtype} {array.shape}")
        if not least <= array <= most:
            raise DataError(f"{file}: expected {name} in {least}..{most}, found {array}")
        facts = facts._replace(**{name: int(array)})
    return facts


def _class_names(file: Path, found: Arrays, train: Arrays) -> tuple[str, ...]:
    if not train.keys() & {"label", "classes", "label_map", "tags"}:
        return ()
    if "class_names" not in found:
        if "label" not in train:
            return ()
        largest = int(train["label"].max())
        if largest >= len(train["label"]):
            raise DataError(f"{file}: expected labels that count classes from 0, found {largest}; give class_names")
        return tuple(str(label) for label in range(largest + 1))
    names = found["class_names"]
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(f"{file}: expected class_names as a list of text, found {names.dtype} {names.shape}")
    return tuple(names.tolist())


def _labels(file: Path, prefix: str, arrays: Arrays, facts: Facts) -> Arrays:
    """The arrays of labels, each of a class or of what else it may hold."""
    others = {"ignore": facts.ignore, "background": facts.background}
    others = {name: number for name, number in others.items() if number is not None}
    besides = {"label": {}, "classes": {}, "label_map": others, "tags": {"ignore": facts.ignore}}
    classes = len(facts.classes) or NUMBERS
    checked = {}
    for name, more in besides.items():
        if name not in arrays:
            continue
        labels = arrays[name]
        wrong = (labels < 0) | (labels >= classes)
        for label in more.values():
            wrong &= labels != label
        if wrong.any():
            place = np.unravel_index(wrong.argmax(), wrong.shape)
            wanted = " or ".join([f"0..{classes - 1}", *(f"{label} ({what})" for what, label in more.items())])
            raise DataError(f"{file}: expected {prefix}{name} in {wanted}, found {labels[place]} in row {place[0]}")
        checked[name] = labels.astype(np.int32)
    return checked


def _check_alike(file: Path, train: Arrays, test: Arrays) -> None:
    if train.keys() != test.keys():
        raise DataError(f"{file}: expected the same arrays in both splits, found {[*train]} and test {[*test]}")
    for name in train:
        if train[name].shape[1:] != test[name].shape[1:]:
            shapes = f"{train[name].shape[1:]} and test {test[name].shape[1:]}"
            raise DataError(f"{file}: expected {'images' if name == 'image' else name} of one shape, found {shapes}")


def _count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _hold_out(arrays: Arrays, held_out: int) -> tuple[Arrays, Arrays]:
    count = _count(arrays)
    if "label" in arrays:
        train, test = stratified_split(arrays["label"], held_out)
    else:
        order = generator(0).permutation(count)
        test, train = np.sort(order[:held_out]), np.sort(order[held_out:])
    return {k: v[train] for k, v in arrays.items()}, {k: v[test] for k, v in arrays.items()}
