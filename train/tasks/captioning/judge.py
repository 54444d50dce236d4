"""BLEU: how many runs of one to four words of a caption some reference has too.

Papineni et al., 2002, BLEU: a Method for Automatic Evaluation of Machine Translation, counted by sacrebleu (Post, 2018,
A Call for Clarity in Reporting BLEU Scores), with the words as they are and without smoothing, and the reference of the
nearest length: as COCO's captions are judged (Chen et al., 2015).
"""

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from train.config import DataError, Metric
from train.data.captions import sentence
from train.tasks.protocol import HostBatch, HostPrediction

ORDERS = (1, 2, 3, 4)
BLEU = tuple(Metric(f"bleu{order}", f"BLEU-{order}") for order in ORDERS)
"""From 0 to 100."""


class Corpus(NamedTuple):
    """What BLEU is of all captions."""

    scores: tuple[float, ...]
    """BLEU-1 to BLEU-4."""
    brevity: float
    """The factor by which captions that are too short lose."""
    length: int
    """Words of all captions."""
    reference_length: int
    """Words of their references, of each the one of the nearest length."""


class BleuJudge:
    """BLEU-1 to BLEU-4 of all captions together. It keeps captions and references as text.

    Words that are in no vocabulary count as one that no caption has. An image without references is left out.

    Args:
      vocabulary: the word of each token.

    Raises:
      DataError: sacrebleu is not installed.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        sacrebleu()
        self._vocabulary = tuple(vocabulary)
        self._captions: list[str] = []
        self._references: list[tuple[str, ...]] = []

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Judge`."""
        for row, caption in enumerate(predicted["caption"]):
            references = references_of(batch, row, self._vocabulary)
            if references:
                self._captions.append(sentence(caption, self._vocabulary))
                self._references.append(references)

    def merge(self, other: "BleuJudge") -> None:
        """See `Judge`."""
        self._captions += other._captions
        self._references += other._references

    def scores(self) -> dict[str, float]:
        """See `Judge`: nan where there is no caption."""
        return {metric.name: score for metric, score in zip(BLEU, self.corpus().scores, strict=True)}

    def corpus(self) -> Corpus:
        """The same with what they are made of."""
        if not self._captions:
            return Corpus((float("nan"),) * len(ORDERS), float("nan"), 0, 0)
        most = max(map(len, self._references))
        streams = [[each[i] if i < len(each) else None for each in self._references] for i in range(most)]
        bleu = sacrebleu().BLEU
        found = bleu(tokenize="none", smooth_method="none", force=True).corpus_score(self._captions, streams)
        counts = found.counts, found.totals, found.sys_len, found.ref_len
        scores = [bleu.compute_bleu(*counts, smooth_method="none", max_ngram_order=order).score for order in ORDERS]
        return Corpus(tuple(scores), found.bp, found.sys_len, found.ref_len)


def sentence_bleu(caption: str, references: Sequence[str]) -> float:
    """BLEU-4 of one caption, from 0 to 100, by which a page orders captions.

    Runs that are longer than the caption do not count, and where none is right half of one does: Chen and Cherry, 2014,
    A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU, section 3, method 1.

    >>> round(sentence_bleu("a three left of a six", ["a three left of a two", "a two right of a three"]), 1)
    76.0
    """
    bleu = sacrebleu().BLEU(tokenize="none", smooth_method="floor", smooth_value=0.5, effective_order=True)
    return float(bleu.sentence_score(caption, list(references)).score)


def references_of(batch: HostBatch, row: int, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """The captions that an example of a batch has; those without a word are left out."""
    real = np.asarray(batch["captions"][row])[np.asarray(batch["captions_valid"][row], bool)]
    return tuple(said for tokens in real if (said := sentence(tokens, vocabulary)))


def sacrebleu() -> Any:
    """The module `sacrebleu.metrics`, which only captions need.

    Raises:
      DataError: it is not installed.
    """
    try:
        return importlib.import_module("sacrebleu.metrics")
    except ImportError as error:
        raise DataError('BLEU: expected sacrebleu, which is not installed: pip install -e ".[captions]"') from error
