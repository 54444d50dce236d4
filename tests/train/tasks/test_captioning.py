"""Captioning as a task: what counts, what is said, and BLEU beside n-grams that are counted by hand."""

import dataclasses
import importlib
import json
import math
import pickle
from collections import Counter
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.report.reading import undrawn
from train.config import DataError, RecipeError
from train.config.tasks.captioning import Captioning as Settings
from train.data.captions import END, PADDING, SPECIAL, START, UNKNOWN, encoded, field_of, numbered, sentence
from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource
from train.report import Run, theme
from train.tasks import fitted, make_task, restore_task
from train.tasks.captioning.drawing import Shown, cards
from train.tasks.captioning.judge import BleuJudge, sentence_bleu
from train.tasks.captioning.page import SHOWN, CaptionPage
from train.tasks.captioning.task import Captioning

WORDS = tuple("abcdefgh")
VOCABULARY = (*SPECIAL, *WORDS)
RANDOM = np.random.default_rng(0)
COUNT, CAPTIONS, LENGTH = 6, 3, 7


def sentences(random, least=1, most=LENGTH - 2):
    return list(random.choice(WORDS, random.integers(least, most + 1)))


def batch_of(seed=0, count=COUNT):
    """Images with none to three captions each."""
    random = np.random.default_rng(seed)
    captions = np.zeros((count, CAPTIONS, LENGTH), np.int32)
    valid = np.arange(CAPTIONS) < random.permutation(np.arange(count) % (CAPTIONS + 1))[:, None]
    for row, place in np.argwhere(valid):
        captions[row, place] = encoded([sentences(random)], numbered(VOCABULARY[:-1]), LENGTH)[0]
    return {
        "image": random.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8),
        "captions": captions,
        "captions_valid": valid,
        "index": np.arange(count) + count * seed,
        "mask": np.ones(count, bool),
    }


BATCH = batch_of()
TASK = Captioning(VOCABULARY)
LOGITS = RANDOM.normal(scale=2, size=(COUNT, CAPTIONS, LENGTH - 1, len(VOCABULARY))).astype(np.float32)
SOURCE = ArraySource(
    "some",
    {name: BATCH[name] for name in ("image", "captions", "captions_valid")},
    {"image": Field(Kind.IMAGE, (8, 8, 3), "uint8"), "captions": field_of(CAPTIONS, LENGTH)},
    Facts(vocabulary=VOCABULARY),
)
TOTALS = jax.jit(TASK.totals)
LOSS = jax.jit(lambda logits, batch: tuple(TASK.objective(logits, batch)))


def said_of(batch, seed=0):
    """Predictions, of which some are a reference word for word."""
    random = np.random.default_rng(seed)
    words = [sentences(random, 0) for _ in batch["image"]]
    captions = encoded(words, numbered(VOCABULARY), LENGTH)[:, 1:]
    same = batch["captions_valid"][:, 0] & (random.uniform(size=len(captions)) < 0.4)
    last = np.maximum(batch["captions_valid"].sum(axis=1) - 1, 0)
    captions = np.where(same[:, None], batch["captions"][np.arange(len(last)), last, 1:], captions)
    return {"caption": np.where(captions == PADDING, END, captions), "score": random.normal(size=len(captions))}


# ---- what is learned ----


def test_every_real_token_counts_once_and_nothing_else():
    loss = right = tokens = 0
    for row in range(COUNT):
        for place in range(int(BATCH["captions_valid"][row].sum())):
            for step, token in enumerate(BATCH["captions"][row, place, 1:]):
                if token == PADDING:
                    break
                each = LOGITS[row, place, step].astype(np.float64)
                loss += np.log(np.exp(each).sum()) - each[token]
                right += each.argmax() == token
                tokens += 1
    assert 10 < tokens < COUNT * CAPTIONS * (LENGTH - 1)
    scores = TASK.scores(jax.device_get(TOTALS(LOGITS, BATCH)))
    assert scores["loss"] == pytest.approx(loss / tokens, rel=1e-5)
    assert scores["perplexity"] == pytest.approx(math.exp(loss / tokens), rel=1e-4)
    assert scores["token_accuracy"] == pytest.approx(right / tokens)
    total, weight = LOSS(LOGITS, BATCH)
    assert (float(total), float(weight)) == (pytest.approx(loss, rel=1e-5), tokens)


def test_parts_and_padding_add_up_to_the_whole_however_many_words_each_has():
    whole, parts = (TOTALS(LOGITS, BATCH), LOSS(LOGITS, BATCH)), []
    for rows, real in (([0, 1], 2), ([2, 3], 2), ([4, 5], 2), ([5, 5], 0)):
        part = {name: value[rows] for name, value in BATCH.items()} | {"mask": np.arange(2) < real}
        parts.append((TOTALS(LOGITS[rows], part), LOSS(LOGITS[rows], part)))
    assert len({float(part[1][1]) for part in parts}) > 2
    jax.tree.map(lambda total, *each: np.testing.assert_allclose(sum(each), total, rtol=1e-5), whole, *parts)


def test_of_no_word_at_all_there_are_no_scores():
    scores = TASK.scores(dict.fromkeys(("tokens", "loss", "right"), 0.0))
    assert scores.keys() == {"loss", "perplexity", "token_accuracy"}
    assert all(map(math.isnan, scores.values()))
    assert TASK.scores({"tokens": 1.0, "loss": 1e5, "right": 0.0})["perplexity"] == math.inf


def test_the_network_is_given_all_words_but_the_last():
    images, tokens = TASK.inputs(BATCH)
    assert images is BATCH["image"]
    np.testing.assert_array_equal(tokens, BATCH["captions"][..., :-1])
    assert (tokens[BATCH["captions_valid"]][:, 0] == START).all()
    assert TASK.model_options() == {"num_classes": len(VOCABULARY)}


# ---- what is said ----


def counting(after):
    """A network whose most probable token is a special one, and after those the next one of the image's list."""

    def apply(params, *inputs, method):
        if method == "begin":
            return {"place": jnp.zeros(inputs[0].shape[0], int), "row": jnp.arange(inputs[0].shape[0])}, {}
        state, _ = inputs
        chosen = jnp.asarray(after)[state["row"], state["place"]]
        logits = 5.0 * jax.nn.one_hot(chosen, len(VOCABULARY)) + 9.0 * jnp.isin(
            jnp.arange(len(VOCABULARY)), jnp.array([PADDING, START, UNKNOWN])
        )
        return (({**state, "place": state["place"] + 1}, logits), {})

    return apply


def test_captions_end_and_have_no_token_that_is_no_word():
    after = [[4, 5, 6, END, 7], [7, END, 7, 7, 7], [END] * 5, [4, 4, 4, 4, 4]]
    task = dataclasses.replace(TASK, words=4)
    images = {"image": BATCH["image"][:4]}
    found = jax.jit(lambda batch: task.predict(counting(after), {}, batch, None))(images)
    assert found["caption"].tolist() == [[4, 5, 6, END], [7, END, END, END], [END] * 4, [4, 4, 4, 4]]
    assert [sentence(caption, VOCABULARY) for caption in found["caption"]] == ["a b c", "d", "", "a a a a"]
    assert (np.asarray(found["score"]) <= 0).all()


def test_the_search_begins_with_the_start_and_is_as_wide_and_as_long_as_the_settings_say():
    """After the start a is most probable; g ends at once, with .33; b goes on to e, with .29 in all."""
    after = {"<start>": {"a": 0.38, "b": 0.29, "g": 0.33}, "a": {"c": 0.5, "d": 0.5}, "b": {"e": 1.0}}
    numbers = {**numbered(VOCABULARY), "<start>": START}
    chain = np.full((len(VOCABULARY),) * 2, 1e-9, np.float32)
    chain[:, END] = [1e-9 if word in after else 1.0 for word in VOCABULARY]
    for word, then in after.items():
        for other, share in then.items():
            chain[numbers[word], numbers[other]] = share

    def apply(params, *inputs, method):
        if method == "begin":
            return jnp.zeros(inputs[0].shape[0]), {}
        return (inputs[0], jnp.log(chain)[inputs[1]]), {}

    def said(**settings):
        task = dataclasses.replace(TASK, words=4, **settings)
        found = jax.jit(lambda batch: task.predict(apply, {}, batch, None))({"image": BATCH["image"][:1]})
        return sentence(found["caption"][0], VOCABULARY), float(found["score"][0])

    assert said(beams=1) == ("a c", pytest.approx(math.log(0.19), abs=1e-3))
    assert said(beams=3) == ("g", pytest.approx(math.log(0.33), abs=1e-3))
    assert said(beams=3, length_power=1.0) == ("b e", pytest.approx(math.log(0.29) / 3, abs=1e-3))


# ---- BLEU ----


def by_hand(captions, references, order):
    """Papineni et al., 2002: clipped counts of n-grams over all captions, and the brevity penalty."""

    def grams(words, n):
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    right, all_, length, reference_length = [0] * order, [0] * order, 0, 0
    for caption, of_image in zip(captions, references, strict=True):
        length += len(caption)
        reference_length += min((abs(len(one) - len(caption)), len(one)) for one in of_image)[1]
        for n in range(1, order + 1):
            found, most = grams(caption, n), Counter()
            for one in of_image:
                most |= grams(one, n)
            right[n - 1] += sum((found & most).values())
            all_[n - 1] += sum(found.values())
    brevity = min(1.0, math.exp(1 - reference_length / length))
    return 100 * brevity * math.exp(sum(math.log(r / a) for r, a in zip(right, all_, strict=True)) / order)


def judged(*seeds):
    judge = BleuJudge(VOCABULARY)
    for seed in seeds:
        batch = batch_of(seed, 24)
        judge.add(batch, said_of(batch, seed))
    return judge


def test_bleu_is_that_of_its_paper_for_images_of_any_number_of_references():
    captions, references = [], []
    for seed in range(3):
        batch = batch_of(seed, 24)
        said = said_of(batch, seed)
        for row in range(24):
            if batch["captions_valid"][row].any():
                captions.append(sentence(said["caption"][row], VOCABULARY).split())
                real = batch["captions"][row][batch["captions_valid"][row]]
                references.append([sentence(tokens, VOCABULARY).split() for tokens in real])
    scores = judged(0, 1, 2).scores()
    assert list(scores) == ["bleu1", "bleu2", "bleu3", "bleu4"]
    for order, score in enumerate(scores.values(), start=1):
        assert score == pytest.approx(by_hand(captions, references, order), rel=1e-6)
    assert 5 < scores["bleu4"] < scores["bleu1"] < 95


def test_merged_judges_and_one_that_was_pickled_say_the_same():
    judge = pickle.loads(pickle.dumps(judged(0)))
    judge.merge(judged(1, 2))
    assert judge.scores() == judged(0, 1, 2).scores()
    assert judge.corpus().length > 100


def test_captions_as_their_references_have_100_and_none_have_none():
    judge = BleuJudge(VOCABULARY)
    assert all(map(math.isnan, judge.scores().values()))
    captions = encoded([list("abcde"), list("fghab")], numbered(VOCABULARY), LENGTH)
    batch = {"captions": captions[:, None], "captions_valid": np.ones((2, 1), bool)}
    judge.add(batch, {"caption": captions[:, 1:]})
    assert judge.scores() == pytest.approx(dict.fromkeys(judge.scores(), 100.0))


def test_references_without_a_word_are_none():
    captions = encoded([list("ab"), []], numbered(VOCABULARY), LENGTH)
    empty = {"captions": captions[[1, 1]][None], "captions_valid": np.ones((1, 2), bool)}
    both = {"captions": captions[None], "captions_valid": np.ones((1, 2), bool)}
    judge, alone = BleuJudge(VOCABULARY), BleuJudge(VOCABULARY)
    for batch in (empty, both):
        judge.add(batch, {"caption": captions[:1, 1:]})
    alone.add(both, {"caption": captions[:1, 1:]})
    assert judge.scores() == alone.scores()
    assert judge.corpus().reference_length == 2
    silent = BleuJudge(VOCABULARY)
    silent.add(both, {"caption": captions[1:, 1:]})
    assert silent.corpus()[1:] == (0.0, 0, 2)  # not as long as the empty one


def test_a_rare_word_of_a_reference_is_matched_by_none():
    """It is one unknown word among tokens, which no caption has; so BLEU is that of the words themselves."""
    numbers = numbered(VOCABULARY)
    references = encoded([["a", "b", "zebra", "c", "d"]], numbers, LENGTH)
    assert references[0, 3] == UNKNOWN
    judge = BleuJudge(VOCABULARY)
    batch = {"captions": references[None], "captions_valid": np.ones((1, 1), bool)}
    judge.add(batch, {"caption": encoded([list("abecd")], numbers, LENGTH)[:, 1:]})
    assert judge.scores()["bleu2"] == pytest.approx(by_hand([list("abecd")], [[["a", "b", "zebra", "c", "d"]]], 2))
    assert judge.scores()["bleu4"] == pytest.approx(0, abs=1e-6)  # nothing is smoothed


def test_without_sacrebleu_captioning_says_what_to_install_before_it_trains(monkeypatch):
    real = importlib.import_module

    def missing(name, *more):
        if name.startswith("sacrebleu"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DataError, match=r'expected sacrebleu, which is not installed: pip install -e "\.\[captions\]"'):
        TASK.check(SOURCE.spec, SOURCE.facts)
    assert TASK.page().words({"caption": np.array([4, END])}) == "a"  # who only predicts needs none


# ---- how it is put together ----


def test_a_task_comes_back_from_the_runs_card():
    task = make_task(Settings(beams=5, length_power=0.5), SOURCE)
    assert task == Captioning(VOCABULARY, 5, 0.5, 20)
    assert restore_task(Settings(beams=5), json.loads(json.dumps(fitted(task)))) == task


def test_examples_without_captions_or_of_other_words_are_refused():
    spec, facts = SOURCE.spec, SOURCE.facts
    TASK.check(spec, facts)
    with pytest.raises(RecipeError, match="captioning needs examples with captions; some has none"):
        make_task(Settings(), ArraySource("some", {"image": BATCH["image"]}))
    with pytest.raises(RecipeError, match="expected examples with captions, found image"):
        TASK.check({"image": spec["image"]}, facts)
    with pytest.raises(RecipeError, match=r"expected captions of the 12 words .*, got another vocabulary of 11"):
        TASK.check(spec, Facts(vocabulary=VOCABULARY[:-1]))
    with pytest.raises(RecipeError, match=r"expected a vocabulary that begins with <pad>, .*, got a, b, c, d"):
        Captioning(WORDS).check(spec, Facts(vocabulary=WORDS))
    with pytest.raises(RecipeError, match="expected an image and tokens, found image and label"):
        TASK.check({**spec, "captions": Field(Kind.LABEL, (), "int32")}, facts)
    with pytest.raises(RecipeError, match=r"expected up to a number of captions of one length, found .*\[up to 3\]"):
        TASK.check({**spec, "captions": Field(Kind.TOKENS, (None,), "int32", (3,))}, facts)
    with pytest.raises(RecipeError, match="expected a captioner, such as captioner_resnet50, got Dense"):
        TASK.wrap(nn.Dense(3))


@pytest.mark.parametrize(
    ("field", "value"), [("beams", 0), ("words", 0), ("length_power", -1.0), ("length_power", math.inf)]
)
def test_each_setting_has_its_range(field, value):
    with pytest.raises(RecipeError, match=f"out of range: task.{field}="):
        Settings(**{field: value})


# ---- how it is shown ----


def fed(*seeds):
    page = CaptionPage(VOCABULARY)
    for seed in seeds:
        batch = batch_of(seed, 24)
        page.add(batch, said_of(batch, seed))
    return page


def test_a_page_keeps_few_images_and_parts_are_the_whole():
    with undrawn():
        whole, page = fed(0, 1, 2), pickle.loads(pickle.dumps(fed(0)))
        page.merge(fed(1, 2))
        assert (len(whole.worst), len(whole.some)) == (SHOWN, SHOWN)
        assert page.results(Run(Path("run"))) == whole.results(Run(Path("run")))


def test_a_page_says_how_good_captions_are_and_what_is_said_most(monkeypatch):
    monkeypatch.setattr(theme, "DPI", 24)
    page = fed(0, 1)
    found = page.results(Run(Path("run")))
    assert float(found.value) == pytest.approx(judged(0, 1).scores()["bleu4"], abs=0.05)
    assert found.label == "test BLEU-4"
    assert "captions are one of their references" in found.detail
    batches = [batch_of(seed, 24) for seed in (0, 1)]
    said = [said_of(batch, seed)["caption"] for seed, batch in enumerate(batches)]
    references = [
        row[valid] for batch in batches for row, valid in zip(batch["captions"], batch["captions_valid"], strict=True)
    ]
    ours = [sentence(caption, VOCABULARY) for caption in np.concatenate(said)]
    theirs = [[sentence(tokens, VOCABULARY) for tokens in each] for each in references]
    assert page.judged == sum(map(bool, theirs)) < 48
    assert page.same == sum(one in each for one, each in zip(ours, theirs, strict=True)) > 3
    assert page.said == Counter(ours)
    shown = "".join(found.sections)
    for said in ("BLEU-1", "factor of", "Said most often", "Captions unlike their references", "grey references"):
        assert said in shown
    assert found.pictures["predictions.png"].startswith(b"\x89PNG")
    worst = page.worst.examples()[0]
    references = [sentence(tokens, VOCABULARY) for tokens in worst["captions"][worst["captions_valid"]]]
    every = [sentence_bleu(one, each) for one, each in zip(ours, theirs, strict=True) if each]
    assert sentence_bleu(sentence(worst["caption"], VOCABULARY), references) == page.worst.keys[0] == min(every)


def test_cards_have_the_caption_in_bold_and_as_many_references_as_there_is_room_for():
    references = ["a short one", "long " * 60, "another short one"]
    figure = cards([Shown(3, BATCH["image"][0], "what is said " * 5, references)])
    (axes,) = figure.axes
    bold = [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"]
    normal = [text.get_text() for text in axes.texts if text.get_fontweight() == "normal"]
    assert " ".join(bold) == "what is said " * 4 + "what is said"
    assert normal == [references[0], references[2]]
    assert len(axes.images) == 1


def test_a_page_of_images_without_captions_says_so():
    found = CaptionPage(VOCABULARY).results(Run(Path("run")))
    assert (found.value, found.notes) == ("–", ["No held-out image has captions."])


def test_a_prediction_is_said_written_down_and_drawn_in_one_size():
    page = CaptionPage(VOCABULARY)
    said = {"caption": np.array([4, 5, END, END]), "score": np.float32(-0.5)}
    assert page.words(said) == "a b"
    assert page.record(said) == {"caption": "a b", "score": -0.5}
    assert page.words({**said, "caption": np.array([END])}) == "(no word)"
    example = {"image": BATCH["image"][0]}
    short, long = (
        page.picture(example, {**said, "caption": np.array(tokens)}) for tokens in ([4, END], [4, 5, 6] * 90 + [END])
    )
    assert short.shape == long.shape
    assert (short != long).any()
