"""Commands that use a run, or a model with weights: `evaluate`, `predict` and `explain`."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from train.cli.arguments import FLAGS, Arguments, UsageError, parse


@dataclasses.dataclass(frozen=True)
class _OfWeights:
    weights: Annotated[str | None, tyro.conf.arg(metavar="FILE|NAME")] = None
    """Instead of a run: a file of weights, or published ones such as IMAGENET1K_V1."""
    model: Annotated[str | None, tyro.conf.arg(name="model.name", metavar="MODEL")] = None
    """With --weights: a name of `python -m zoo list`."""
    mean: Annotated[tuple[float, ...], tyro.conf.arg(name="augment.mean", metavar="X ...")] = ()
    """With --weights: what to subtract from images in [0, 1]; by default as published, else nothing."""
    std: Annotated[tuple[float, ...], tyro.conf.arg(name="augment.std", metavar="X ...")] = ()
    """With --weights: what to divide by after that."""


def _check_of_weights(chosen: Any, command: str, by_name: dict[str, Any], run: Sequence[Path]) -> None:
    """Refuses options of a run with --weights, and those of weights without."""
    options = {**by_name, "--augment.mean": chosen.mean, "--augment.std": chosen.std}
    if chosen.weights is None:
        if given := [name for name, value in options.items() if value]:
            raise UsageError(f"{command}: {given[0]} goes with --weights; a run has its own")
        return
    of_run = {str(path): True for path in run} | {
        f"--{name}": getattr(chosen, name, False) for name in ("best", "ema", "flips")
    }
    if given := [name for name, value in of_run.items() if value]:
        raise UsageError(f"{command}: {given[0]} is of a run, --weights of none: leave out one of them")
    if missing := [name for name, value in by_name.items() if value is None]:
        raise UsageError(f"{command} --weights {chosen.weights}: expected {' and '.join(missing)} too")


def evaluate(arguments: Arguments) -> int:
    """Measures a run, or a model with --weights alone, on the whole held-out split."""

    @dataclasses.dataclass(frozen=True)
    class Evaluate(_OfWeights):
        workdir: Annotated[Positional[Path | None], tyro.conf.arg(metavar="[WORKDIR]")] = None
        """A run's folder; none with --weights."""
        best: bool = False
        """Of a run, the best checkpoint instead of the last."""
        flips: bool = False
        """Of a run that detects, predict mirror images too, and take the best of both."""
        source: Annotated[str | None, tyro.conf.arg(name="data.source", metavar="SOURCE")] = None
        """With --weights: folder:PATH, tfds:NAME, npz:PATH, digits, or of clips clips:PATH; its test split is measured
        on."""
        data_dir: Annotated[str | None, tyro.conf.arg(name="data.data-dir", metavar="DIR")] = None
        """With --weights: where prepared TFDS data sets are; by default TFDS's own folder."""
        batch_size: Annotated[int | None, tyro.conf.arg(name="data.eval-batch-size", metavar="N")] = None
        """With --weights: examples a step; by default 100, and of videos 2."""

    chosen = parse(Evaluate, arguments, "evaluate", description=evaluate.__doc__, config=FLAGS)
    by_name = {"--model.name": chosen.model, "--data.source": chosen.source}
    if chosen.weights is None and chosen.workdir is None:
        raise UsageError(f"evaluate: expected WORKDIR, or --weights with {' and '.join(by_name)}")
    _check_of_weights(chosen, "evaluate", by_name, [] if chosen.workdir is None else [chosen.workdir])
    if chosen.weights is None:
        from train.use.evaluate import evaluate_run

        evaluate_run(chosen.workdir, chosen.best, flips=chosen.flips)
        return 0
    from train.config import Data
    from train.use import clip_predictor as of_clips
    from train.use.classifier import classifier_of
    from train.use.evaluate import evaluate_classifier
    from train.use.evaluate_clips import evaluate_clips
    from zoo.catalog import describe

    is_of_clips = describe(chosen.model).task == of_clips.TASK
    batch_size = (2 if is_of_clips else 100) if chosen.batch_size is None else chosen.batch_size
    data = Data(chosen.source, chosen.data_dir, eval_batch_size=batch_size)
    options = (chosen.model, chosen.weights, chosen.mean, chosen.std)
    if is_of_clips:
        evaluate_clips(of_clips.WeightsClipPredictor(*options), data)
    else:
        evaluate_classifier(classifier_of(*options), data)
    return 0


def predict(arguments: Arguments) -> int:
    """Predicts images and videos with a run's model, or a model with --weights alone."""

    @dataclasses.dataclass(frozen=True)
    class Predict(_OfWeights):
        paths: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[WORKDIR] IMAGE|FOLDER|VIDEO ...")] = ()
        """A run's folder, but with --weights none; image files of any size, resized to what the model takes, or folders
        of them, in order of their names; videos, of which every frame is predicted. A model of clips takes videos,
        and folders of videos or of the frames of one. Optical flow is that of each image and the next."""
        best: bool = False
        """The best checkpoint instead of the last."""
        ema: bool = False
        """The moving average of the parameters, of a run that keeps one."""
        flips: bool = False
        """Of a run that detects, predict mirror images too, and take the best of both."""
        output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
        """Where a picture an image and predictions.json are written, and of a video NAME.mp4 and NAME.json; by default
        WORKDIR/predictions, and with --weights nowhere."""

    chosen = parse(Predict, arguments, "predict", description=predict.__doc__, config=FLAGS)
    _check_of_weights(chosen, "predict", {"--model.name": chosen.model}, [])
    runs = 1 if chosen.weights is None else 0
    run, paths = chosen.paths[:runs], chosen.paths[runs:]
    if not paths:
        of = run[0] if run else "WORKDIR" if chosen.weights is None else f"--weights {chosen.weights}"
        raise UsageError(f"predict {of}: expected one or more image files, or videos")
    output = chosen.output or (run[0] / "predictions" if run else None)
    of_weights = (chosen.model, chosen.weights, chosen.mean, chosen.std)
    from train.data.video_file import is_video
    from train.use import clip_predictor as of_clips
    from train.use.open_run import open_run
    from train.use.predictor import RunPredictor, predictor_of
    from zoo.catalog import describe

    wants_output = UsageError("predict: expected --output DIR with a video")
    if output is None and any(map(is_video, paths)):
        raise wants_output
    opened = open_run(run[0], chosen.flips) if run else None
    takes_clips = of_clips.takes_clips(opened) if run else describe(chosen.model).task == of_clips.TASK
    which = (opened, chosen.best, chosen.ema)
    if not takes_clips:
        _predict_each(paths, output, lambda: RunPredictor(*which) if run else predictor_of(*of_weights))
        return 0
    if output is None:
        raise wants_output
    from train.use.whole_videos import predict_whole_videos

    predictor = of_clips.RunClipPredictor(*which) if run else of_clips.WeightsClipPredictor(*of_weights)
    predict_whole_videos(predictor, paths, output)
    return 0


def _predict_each(paths: Sequence[Path], output: Path | None, predictor_of: Callable[[], Any]) -> None:
    """Predicts images, those of folders, and every frame of videos."""
    from train.data.sources.folder import images_in
    from train.data.video_file import is_video
    from train.use.outputs import outputs_of
    from train.use.predict import predict_files

    files = tuple(file for path in paths for file in (images_in(path) if path.is_dir() else (path,)))
    videos = tuple(path for path in files if is_video(path))
    images = tuple(path for path in files if path not in videos)
    if output is not None:
        outputs_of(images, videos, output)  # those of both together, before either is written
    predictor = predictor_of()
    if images:
        predict_files(predictor, images, output)
    if videos:
        from train.use.video import predict_videos

        predict_videos(predictor, videos, output)


def explain(arguments: Arguments) -> int:
    """Draws what a model sees in an image: what it says, why, and what each of its stages computes."""

    @dataclasses.dataclass(frozen=True)
    class Explain:
        of: Annotated[Positional[str], tyro.conf.arg(metavar="WORKDIR|MODEL")]
        """A run's folder, or a model's name."""
        image: Annotated[Positional[Path], tyro.conf.arg(metavar="IMAGE")]
        """An image file of any size."""
        weights: Annotated[str | None, tyro.conf.arg(metavar="FILE|NAME")] = None
        """Of a MODEL: a file, or published weights such as IMAGENET1K_V1; by default the first published."""
        layer: Annotated[str | None, tyro.conf.arg(metavar="FEATURE")] = None
        """Where Grad-CAM looks for evidence, such as stage3; by default the last map."""
        label: Annotated[str | None, tyro.conf.arg(name="class", metavar="NAME|NUMBER")] = None
        """The class to explain; by default the predicted one."""
        best: bool = False
        """Of a run, the best checkpoint instead of the last."""
        ema: bool = False
        """Of a run, the moving average of the variables."""
        output: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("explain.png")
        """The picture to write."""

    chosen = parse(Explain, arguments, "explain", description=explain.__doc__)
    from train.use.explain import explain as draw

    options = {"best": chosen.best, "ema": chosen.ema}
    of = os.path.expanduser(chosen.of)
    draw(of, chosen.image, chosen.output, chosen.weights, chosen.layer, chosen.label, **options)
    return 0
