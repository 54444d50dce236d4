"""Captions as numbers: how a sentence becomes words, which words a vocabulary has, and how words are numbered.

Words are made much as the Penn Treebank's (Marcus et al., 1993) and as COCO's captions are judged (Chen et al., 2015,
Microsoft COCO Captions: Data Collection and Evaluation Server): `words_of` says exactly how. Lecture row L77.

A caption is a row of tokens: START, its words, END, and PADDING up to one length. A field of captions has as many rows
as an example has captions, see `field_of`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Int

from train.data.fields import Field, Kind

PADDING, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")
"""What every vocabulary begins with: tokens that are no words, in the order of their numbers."""
LEAST = 5
"""How often a word occurs in training captions before it is in a vocabulary: section 4.3.1 of Show and Tell."""
_ENDS = ("", "hand", "-hand", "-handed", "most", "side", "ward", "wards")
SIDES = tuple((f"left{end}", f"right{end}") for end in _ENDS)
"""Words that change places in a mirror image."""

_STRAIGHT = str.maketrans("‘’`", "'''")
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+|(?<=\d)[.,]\d+)*")
_CLITIC = re.compile(r"(?<=.)(?=n't$)|(?<=.)(?='(?:s|m|d|re|ve|ll)$)")


def words_of(caption: str) -> list[str]:
    """The words of a sentence.

    Letters are lower case, each one character with its accents. A word is a run of letters and digits; hyphens and
    apostrophes inside it belong to it, and so do points and commas between digits. What follows an apostrophe as 's,
    'm, 'd, 're, 've or 'll is a word of its own, and so is n't. Everything else separates words and is left out:
    spaces, punctuation, signs, quotation marks.

    >>> words_of("A man's black-and-white dog, which doesn't bark: 1,000 dollars!")
    ['a', 'man', "'s", 'black-and-white', 'dog', 'which', 'does', "n't", 'bark', '1,000', 'dollars']
    """
    found = _WORD.findall(unicodedata.normalize("NFC", caption).lower().translate(_STRAIGHT))
    return [part for word in found for part in (_CLITIC.split(word) if "'" in word else (word,))]


def vocabulary_of(captions: Iterable[Sequence[str]], least: int = 1) -> tuple[str, ...]:
    """`SPECIAL`, and the words that occur often enough, the most frequent first, of equal ones in alphabetical order.

    Args:
      captions: the words of each, of the training examples alone.
      least: how often a word has to occur.

    >>> vocabulary_of([["a", "dog"], ["a", "cat"], ["a", "dog", "barks"]], least=2)[4:]
    ('a', 'dog')
    """
    counts = Counter(word for words in captions for word in words)
    known = sorted((word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word))
    return (*SPECIAL, *known)


def numbered(vocabulary: Sequence[str]) -> dict[str, int]:
    """The number of each word; special tokens, which no caption has, are left out.

    >>> numbered((*SPECIAL, "a", "dog"))
    {'a': 4, 'dog': 5}
    """
    return {word: number for number, word in enumerate(vocabulary) if number >= len(SPECIAL)}


def mirrored_words(vocabulary: Sequence[str]) -> Int[np.ndarray, " words"]:
    """Of each token the one that says the same of the mirror image: "right" of "left", of most words the word itself.

    A word whose counterpart is not in the vocabulary becomes UNKNOWN, as that one is. What a sentence means by a word
    is not looked at: "right behind a bus" becomes "left behind a bus".

    Args:
      vocabulary: the word of each token.

    >>> mirrored_words((*SPECIAL, "a", "left", "rightmost", "right")).tolist()
    [0, 1, 2, 3, 4, 7, 3, 5]
    """
    numbers = numbered(vocabulary)
    other = dict(SIDES) | {right: left for left, right in SIDES}
    tokens = np.arange(len(vocabulary), dtype=np.int32)
    for word, number in numbers.items():
        if word in other:
            tokens[number] = numbers.get(other[word], UNKNOWN)
    return tokens


def encoded(
    captions: Sequence[Sequence[str]], numbers: Mapping[str, int], length: int
) -> Int[np.ndarray, "captions length"]:
    """The tokens of some captions. Words that have no number are UNKNOWN; what is longer is cut off, with its end.

    Args:
      captions: the words of each.
      numbers: of the words, see `numbered`.
      length: tokens of each.

    >>> encoded([["a", "dog"], ["a", "big", "dog"]], {"a": 4, "dog": 5}, 6).tolist()
    [[1, 4, 5, 2, 0, 0], [1, 4, 3, 5, 2, 0]]
    """
    rows = np.full((len(captions), length), PADDING, np.int32)
    for row, words in zip(rows, captions, strict=True):
        tokens = [START, *(numbers.get(word, UNKNOWN) for word in words), END][:length]
        row[: len(tokens)] = tokens
    return rows


def sentence(tokens: Sequence[int] | Int[np.ndarray, " length"], vocabulary: Sequence[str]) -> str:
    """Tokens as words with spaces between them, up to the end; the start and padding are left out.

    >>> sentence([1, 4, 3, 5, 2, 4], (*SPECIAL, "a", "dog"))
    'a <unk> dog'
    """
    said = []
    for token in map(int, tokens):
        if token == END:
            break
        if token not in (START, PADDING):
            said.append(vocabulary[token])
    return " ".join(said)


def field_of(most: int, length: int) -> Field:
    """The field of an example that has up to `most` captions of `length` tokens each."""
    return Field(Kind.TOKENS, (None, length), "int32", (max(most, 1),))
