"""What may be wrong with a field of an example, by its kind: the rules of `train.use.check_data`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Int

from train.data import Kind
from train.data.captions import END, PADDING, START, UNKNOWN
from train.data.fields import Facts

Checked = Iterator[tuple[str, str]]
"""The sort of each thing that is wrong, and what there is to say of it."""
Size = tuple[int, int] | None
"""Height and width of the example's image."""


def _boxes(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    for number, box in enumerate(value.reshape(-1, 4)):
        left, top, right, bottom = box.tolist()
        said = f"object {number} ({left:g}, {top:g}, {right:g}, {bottom:g})"
        if not np.all(np.isfinite(box)):
            yield "box that is no number", said
        elif right <= left or bottom <= top:
            yield "box that ends before it begins", said
        elif size and (left < -1 or top < -1 or right > size[1] + 1 or bottom > size[0] + 1):  # rounding is fine
            yield "box outside the image", f"{said} of {size[0]}x{size[1]} pixels"


def _label(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if facts.classes:
        yield from _out_of_range(value, len(facts.classes), ())


def _label_map(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if facts.classes:
        yield from _out_of_range(value, len(facts.classes), (facts.ignore, facts.background))


def _columns(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if facts.classes:
        yield from _out_of_range(value, len(facts.classes), (facts.ignore,))
    if size and value.shape != size[1:]:
        yield "fields of two sizes", f"{value.size} columns, the image {size[1]}"


def _out_of_range(value: np.ndarray, classes: int, others: tuple[int | None, ...]) -> Checked:
    for label, count in Counter(value.ravel().tolist()).items():
        if not 0 <= label < classes and label not in others:
            yield "label out of range", f"{count} times {label}, expected 0 to {classes - 1}"


def _masks(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    for number in np.flatnonzero(~value.reshape(len(value), int(np.prod(value.shape[1:]))).any(axis=1)):
        yield "empty mask", f"object {number}"
    if size and value.shape[1:] != size:
        yield "fields of two sizes", f"{value.shape[1]}x{value.shape[2]} pixels, the image {size[0]}x{size[1]}"


def _keypoints(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    points = value.reshape(-1, 3)
    points = points[points[:, 2] != 0]
    if not np.all(np.isfinite(points)):
        yield "keypoint that is no number", f"{np.count_nonzero(~np.isfinite(points).all(axis=1))} points"
    elif (
        size and (outside := ~np.all((points[:, :2] >= -1) & (points[:, :2] <= np.array(size[::-1]) + 1), axis=1)).any()
    ):
        yield "keypoint outside the image", f"{np.count_nonzero(outside)} points"


def _numbers(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
        yield "value that is no number", f"{np.count_nonzero(~np.isfinite(value))} of {value.size}"


def _tokens(value: np.ndarray, facts: Facts, size: Size) -> Checked:
    if not facts.vocabulary or not value.size:
        return
    for number, tokens in enumerate(value.reshape(-1, value.shape[-1])):
        for sort, about in _caption(tokens, len(facts.vocabulary)):
            yield sort, f"caption {number}: {about}"


def _caption(tokens: np.ndarray, vocabulary: int) -> Checked:
    """See `train.data.captions` for what a caption is."""
    if (wrong := tokens[(tokens < 0) | (tokens >= vocabulary)]).size:
        yield "token out of range", f"{wrong[0]}, expected 0 to {vocabulary - 1}"
        return
    words, after = words_between(tokens)
    if tokens[0] != START:
        yield "caption without a start", f"it begins with token {tokens[0]}"
    if np.any(after != PADDING):
        yield "words after a caption's end", f"{np.count_nonzero(after)} tokens"
    if not len(words):
        yield "empty caption", "no word"
    elif np.all(words == UNKNOWN):
        yield "caption without a known word", f"{len(words)} unknown ones"
    if END not in tokens:
        yield "caption that is cut off", f"no end in {len(tokens)} tokens"


Tokens = Int[np.ndarray, "count"]


def words_between(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """The words of a caption, and what stands after its end.

    >>> [each.tolist() for each in words_between(np.array([START, 7, 5, END, PADDING]))]
    [[7, 5], [0]]
    """
    (ends,) = np.nonzero((tokens == END) | (tokens == PADDING))
    end = ends[0] if len(ends) else len(tokens)
    words = tokens[:end]
    return words[words != START], tokens[end + 1 :]


CHECKS: Mapping[Kind, Callable[[np.ndarray, Facts, Size], Checked]] = {
    Kind.BOXES: _boxes,
    Kind.LABEL: _label,
    Kind.LABEL_MAP: _label_map,
    Kind.COLUMNS: _columns,
    Kind.MASKS: _masks,
    Kind.KEYPOINTS: _keypoints,
    Kind.VALUE: _numbers,
    Kind.TOKENS: _tokens,
}
"""What may be wrong with a field of each kind; maps may have nan where nobody measured."""
