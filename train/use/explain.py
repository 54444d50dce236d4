"""What a model sees in one image, as one picture: what it says, why, and what each of its stages computes.

Lecture row L38. The methods and their papers are in `zoo.convnets.looking` and `zoo.convnets.stimuli`.
"""

import functools
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

import zoo
from train.config import RunError
from train.data import framing_of, preprocess
from train.data.decode import as_held_out
from train.engine.console import Console
from train.report.theme import png
from train.store.files import write_bytes
from train.tasks.classification.task import Classification
from train.use.classifier import Classifier, Input, classifier_of
from train.use.explanation import CLASSES_SHOWN, MAPS_SHOWN, STAGES_SHOWN, Explanation, Stage, explanation
from train.use.open_run import open_run
from train.use.with_weights import WeightsAloneError
from zoo.convnets.looking import (
    Unit,
    deconvnets,
    first_layer_filters,
    grad_cam,
    guided_gradients,
    has_relus,
    saliency,
)
from zoo.convnets.stimuli import maximise
from zoo.features import Feature
from zoo.names import UnknownNameError, unknown

STEPS = 256
"""Of gradient ascent."""


class ExplainError(RunError):
    """There is nothing to look into, or it cannot be loaded."""


def explain(
    of: str,
    image: Path,
    output: Path,
    weights: str | None = None,
    layer: str | None = None,
    label: str | None = None,
    steps: int = STEPS,
    best: bool = False,
    ema: bool = False,
    console: Console | None = None,
) -> Explanation:
    """Writes a picture of what a model sees in an image; also returns what is in it.

    Args:
      of: a run's folder, or the name of a model.
      image: an image file; it is turned upright as its EXIF orientation says, then prepared as evaluation does.
      output: the PNG file to write.
      weights: of a model by name: a file, or published ones; by default the first that were published.
      layer: the feature at which Grad-CAM looks; by default the last map of more than one place.
      label: the class to explain, a name or its number; by default the predicted one.
      steps: of activation maximisation.
      best: of a run, the best checkpoint instead of the last.
      ema: of a run, the moving average of the variables.
      console: where the result is said.

    Raises:
      UnknownNameError: no such model, weights, feature or class.
      ExplainError: it has no feature maps or does not classify, or the weights do not fit.
      DataError: the file is no image.
      WorkdirError, CheckpointError: the run cannot be read.
    """
    console = console or Console()
    if output.is_dir() or not output.parent.is_dir():
        expected = "a file to write, found a folder" if output.is_dir() else f"an existing folder {output.parent}"
        raise ExplainError(f"{output}: expected {expected}")
    subject = find_subject(of, weights, best, ema)
    with console.timed("looked into the model"):
        found = look(subject, subject.read(image), layer, label, steps, f"What {subject.title} sees {image.name}")
    write_bytes(output, png(explanation(found), dpi=150))
    leading = sorted(found.scores, key=lambda score: -score[1])[:CLASSES_SHOWN]
    console.table(found.title, [(name, f"{100 * score:.1f} %") for name, score in leading])
    console.say(f"explained {found.scores[found.label][0]} at {found.layer}: {output}")
    return found


def find_subject(of: str, weights: str | None = None, best: bool = False, ema: bool = False) -> Classifier:
    """What is looked into: see `explain`."""
    if not Path(of).is_dir():
        if best or ema:
            raise ExplainError(f"{of} is no run: --best and --ema choose among a run's variables")
        try:
            return classifier_of(of, weights)
        except WeightsAloneError as error:
            raise ExplainError(str(error)) from error
    if weights is not None:
        raise ExplainError(f"{of} is a run, which has weights of its own: leave out --weights, or name a model")
    return _of_run(Path(of), best, ema)


def look(
    subject: Classifier, image: Input, layer: str | None, label: str | None, steps: int, title: str
) -> Explanation:
    """Everything that the picture shows.

    Raises:
      UnknownNameError: no such feature or class.
      ExplainError: the model has no feature maps, or none at `layer`.
    """
    model, variables, images = subject.model, subject.variables, jnp.asarray(image)[None]
    features = _maps(model, image.shape)
    named = _features(model, variables, images)
    shown = [list(features)[i] for i in np.unique(np.linspace(0, len(features) - 1, STAGES_SHOWN).round().astype(int))]
    maps = {name: np.asarray(named[name][0], np.float32) for name in shown}
    scores = np.asarray(jax.nn.softmax(named["logits"][0]))
    chosen = int(scores.argmax()) if label is None else _class_number(label, subject.class_names)
    layer = _default_layer(model, variables, images, features) if layer is None else layer
    strongest = {name: np.argsort(-values.max(axis=(0, 1)), kind="stable") for name, values in maps.items()}
    tops = jnp.asarray([order[0] for order in strongest.values()])
    try:
        gradients = _gradients(model, layer, tuple(maps), variables, images, jnp.asarray(chosen), tops)
    except ValueError as error:
        raise ExplainError(f"Grad-CAM at {layer}: {error}") from error
    evidence, gradient, guided, projections = map(np.asarray, gradients)

    bounds = {"low": subject.low, "high": subject.high}
    dream = maximise(model, variables, Unit("logits", chosen), image.shape, jax.random.key(0), steps=steps, **bounds)
    dreamt = jax.nn.softmax(_features(model, variables, dream[None])["logits"][0])
    return Explanation(
        title=title,
        image=subject.visible(image),
        scores=list(zip(subject.class_names, scores.tolist(), strict=True)),
        label=chosen,
        layer=layer,
        evidence=evidence,
        gradient=gradient,
        guided=guided,
        has_relus=has_relus(model, variables, images),
        dream=subject.visible(dream),
        dream_score=float(dreamt[chosen]),
        filters=np.asarray(first_layer_filters(model, variables, image.shape)),
        stages=[
            Stage(
                name,
                channels=values.shape[-1],
                stride=max(features[name].stride),
                shown=(shown := strongest[name][:MAPS_SHOWN].tolist()),
                maps=np.moveaxis(values[..., shown], -1, 0),
                projection=projection,
            )
            for (name, values), projection in zip(maps.items(), projections, strict=True)
        ],
    )


def _of_run(path: Path, best: bool, ema: bool) -> Classifier:
    run = open_run(path)
    recipe, task, field = run.recipe, run.task, run.spec.get("image")
    if not isinstance(task, Classification) or field is None:
        raise ExplainError(f"{path} learned {recipe.task.kind}: explain looks into classification by logits")
    _, variables = run.variables(best, ema)
    normalise, framing = preprocess(recipe.augment, {"image": field}), framing_of(recipe.data, "test")

    def normalised(pixels: np.ndarray) -> Input:
        return np.asarray(normalise({"image": jnp.asarray(pixels)[None]})["image"][0])

    low, high = (normalised(np.full((1, 1, field.shape[-1]), value, np.uint8))[0, 0] for value in (0, 255))
    return Classifier(
        f"{recipe.model.name} trained on {recipe.data.source}",
        run.model(),
        variables,
        task.class_names,
        has_names=True,
        prepare=lambda picture: normalised(as_held_out(picture, field, framing)),
        sees=f"as {path} was evaluated",
        low=low,
        high=high,
    )


def _class_number(label: str, names: tuple[str, ...]) -> int:
    """The class of this name or, if none has it, this number.

    Raises:
      UnknownNameError: there is neither.
    """
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < len(names):
        return int(label)
    error = unknown("class", label, names)
    raise UnknownNameError(f"{error}; or a number from 0 to {len(names) - 1}")


@functools.partial(jax.jit, static_argnums=0)
def _features(model: nn.Module, variables: PyTree[Array], images: Array) -> dict[str, Array]:
    return model.apply(variables, images, features=True)


def _maps(model: nn.Module, shape: tuple[int, ...]) -> dict[str, Feature]:
    """The features to show, in order of computation.

    Raises:
      ExplainError: there are none.
    """
    try:
        found = zoo.feature_info(model, shape)
    except TypeError:  # it takes no `features`
        found = {}
    found.pop("pre_logits", None)  # a stage's, once more
    if not found:
        raise ExplainError(f"{type(model).__name__} has no feature maps to look into")
    return found


def _default_layer(model: nn.Module, variables: PyTree[Array], images: Array, features: dict[str, Feature]) -> str:
    """The last map that has more than one place and that the logits depend on; or the last that they depend on."""
    found = []
    for name in reversed(features):
        try:
            jax.eval_shape(lambda *arrays, name=name: grad_cam(model, *arrays, name, 0), variables, images)
        except ValueError:
            continue
        if max(features[name].stride) < max(images.shape[1:3]):
            return name
        found.append(name)
    if not found:
        raise ExplainError(f"the logits of {type(model).__name__} depend on none of {', '.join(features)}")
    return found[0]


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _gradients(
    model: nn.Module,
    layer: str,
    stages: tuple[str, ...],
    variables: PyTree[Array],
    images: Array,
    label: Int[Array, ""],
    channels: Int[Array, "stages"],
) -> tuple[Array, Array, Array, Array]:
    """Of one image: Grad-CAM of its size, gradient, guided gradient, and a channel of each stage sent back to it."""
    unit = Unit("logits", label)
    evidence = jax.image.resize(grad_cam(model, variables, images, layer, label), images.shape[:3], "bilinear")
    tops = [Unit(name, channels[i]) for i, name in enumerate(stages)]
    projections = deconvnets(model, variables, images, tops)
    gradient, guided = (method(model, variables, images, unit) for method in (saliency, guided_gradients))
    return evidence[0], gradient[0], guided[0], projections[:, 0]
