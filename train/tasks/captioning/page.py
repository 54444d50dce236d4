"""How captions are shown: BLEU, what is said most often, and images with their captions beside their references."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from train.data.captions import sentence
from train.report import Results, Run, blocks
from train.report.blocks import section
from train.report.sample import Leading, pictured, spread
from train.report.sections import drawn_examples
from train.report.words import grouped, percent
from train.tasks.captioning.drawing import Shown, captioned, cards
from train.tasks.captioning.judge import BLEU, BleuJudge, references_of, sentence_bleu
from train.tasks.protocol import HostBatch, HostPrediction

SHOWN, COLUMNS, OFTEN = 12, 2, 10
"""Images of each section, how many stand side by side, and captions that are listed."""
SILENT = "(no word)"
"""What is shown of a caption without words."""


class CaptionPage:
    """The page of captions. It keeps captions as text, and the images whose captions are least like their references.

    Args:
      vocabulary: the word of each token.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self.judge: BleuJudge | None = None
        """Made with the first captions that are judged: what only predicts needs none."""
        self.said: Counter[str] = Counter()
        """How often each caption was given."""
        self.same = 0
        """Captions that are word for word one of their references."""
        self.judged = 0
        """Images that have references."""
        self.worst, self.some = Leading(SHOWN), Leading(SHOWN)

    def add(self, batch: HostBatch, predicted: HostPrediction) -> None:
        """See `Page`."""
        self.judge = self.judge or BleuJudge(self.vocabulary)
        self.judge.add(batch, predicted)
        captions = [sentence(tokens, self.vocabulary) for tokens in predicted["caption"]]
        references = [references_of(batch, row, self.vocabulary) for row in range(len(captions))]
        self.said.update(captions)
        judged = np.array([row for row, each in enumerate(references) if each], np.int64)
        self.judged += len(judged)
        self.same += sum(captions[row] in references[row] for row in judged)
        rows, images = batch["index"], batch["image"]
        bleu = np.array([sentence_bleu(captions[row], references[row]) for row in judged])
        beside = {"caption": predicted["caption"], **{name: batch[name] for name in ("captions", "captions_valid")}}
        self.worst.add(bleu, rows[judged], pictured(images, judged, **beside))
        self.some.add(spread(rows), rows, pictured(images, np.arange(len(rows)), **beside))

    def merge(self, other: "CaptionPage") -> None:
        """See `Page`."""
        if other.judge is not None:
            self.judge = self.judge or BleuJudge(self.vocabulary)
            self.judge.merge(other.judge)
        self.said.update(other.said)
        self.same, self.judged = self.same + other.same, self.judged + other.judged
        self.worst.merge(other.worst)
        self.some.merge(other.some)

    def results(self, run: Run) -> Results:
        """See `Page`; where no image has a caption, it says so."""
        if self.judge is None or not self.judged:
            return Results("–", "test BLEU-4", "no image has captions", [], {}, ["No held-out image has captions."])
        corpus = self.judge.corpus()
        images = sum(self.said.values())
        detail = (
            f"{percent(self.same, self.judged, 1)} of {grouped(self.judged)} captions are one of their references, "
            f"{grouped(len(self.said))} different ones for {grouped(images)} images"
        )
        some, picture = self._examples(self.some, "Captions", "spread evenly over the images", by_row=True)
        worst, _ = self._examples(self.worst, "Captions unlike their references", "the lowest BLEU of a caption first")
        return Results(
            value=f"{corpus.scores[-1]:.1f}",
            label="test BLEU-4",
            detail=detail,
            sections=[self._bleu(), some, worst, self._often()],
            pictures=picture,
        )

    def record(self, predicted: HostPrediction) -> dict[str, Any]:
        """See `Page`: the caption, and what the search ranked it by."""
        return {"caption": sentence(predicted["caption"], self.vocabulary), "score": float(predicted["score"])}

    def words(self, predicted: HostPrediction) -> str:
        """See `Page`: the caption."""
        return sentence(predicted["caption"], self.vocabulary) or SILENT

    def picture(
        self, example: Mapping[str, np.ndarray], predicted: HostPrediction
    ) -> UInt8[np.ndarray, "height width 3"]:
        """See `Page`: the image over its caption."""
        return captioned(example["image"], self.words(predicted))

    def _bleu(self) -> str:
        corpus = self.judge.corpus()
        rows = [(metric.title, f"{score:.1f}") for metric, score in zip(BLEU, corpus.scores, strict=True)]
        text = (
            f"Captions have {corpus.length / self.judged:.1f} words on average, the references of the nearest length "
            f"{corpus.reference_length / self.judged:.1f}: a factor of {corpus.brevity:.3f} for brevity."
        )
        return section("BLEU", blocks.table(("", "of 100"), rows), text=text)

    def _often(self) -> str:
        images = sum(self.said.values())
        rows = [
            (said or SILENT, count / images, percent(count, images, 1), grouped(count)) for said, count in self._top()
        ]
        return section("Said most often", blocks.bars(rows), text=f"{grouped(len(self.said))} different captions.")

    def _top(self) -> list[tuple[str, int]]:
        return sorted(self.said.items(), key=lambda item: (-item[1], item[0]))[:OFTEN]

    def _examples(self, leading: Leading, title: str, order: str, by_row: bool = False) -> tuple[str, dict[str, bytes]]:
        """See `drawn_examples`."""
        shown = [self._shown(**kept) for kept in leading.examples(by_row)]
        text = "; bold what the network says, grey references."
        return drawn_examples(title, shown, lambda theme: cards(shown, COLUMNS, theme), order, text)

    def _shown(
        self, row: int, image: np.ndarray, caption: np.ndarray, captions: np.ndarray, captions_valid: np.ndarray
    ) -> Shown:
        references = [sentence(tokens, self.vocabulary) for tokens in captions[captions_valid]]
        return Shown(row, image, sentence(caption, self.vocabulary) or SILENT, references)
