"""Puts together what a recipe names: sources, task, model, optimiser, placement and the step.

`assemble` checks that the parts fit before anything is computed. Read it first; an `Assembly` then makes the state,
the feed of training batches, and the programs of an evaluation.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.errors import FlaxError
from jaxtyping import Array, Key, PyTree

import zoo
from train import data
from train.config import Recipe, RecipeError, flatten
from train.data.fields import Facts, Spec, describe
from train.engine import hosts, transfer
from train.engine.digests import digests
from train.engine.feed import Feed, GrainFeed, MemoryFeed, choose_steps_per_dispatch
from train.engine.network import make_network, model_inputs
from train.engine.optim import Rates, make_optimizer, make_schedule
from train.engine.placement import MeshPlacement, make_placement
from train.engine.state import TrainState, initial_state
from train.engine.step import Update, make_evaluate, make_predict, make_update
from train.store.files import is_text
from train.tasks import fitted, make_task, restore_task
from train.tasks.protocol import Batch, Task


@dataclasses.dataclass(frozen=True)
class Assembly:
    """The parts of a run, ready to be started."""

    recipe: Recipe
    train: data.Source
    test: data.Source
    task: Task
    model: nn.Module
    part: str
    """The field of the model that holds the catalog's, where the task has layers on top."""
    placement: MeshPlacement
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    steps_per_epoch: int
    total_steps: int

    @property
    def init_key(self) -> Key[Array, ""]:
        """Draws the initial parameters."""
        return init_key(self.recipe.seed)

    @functools.cached_property
    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """What the model takes, for a batch of one training example."""
        return model_inputs(self.recipe, self.task, self.train.spec)

    def make_state(
        self,
        variables: PyTree[Array] | None = None,
        init_key: Key[Array, ""] | None = None,
        run_key: Key[Array, ""] | None = None,
    ) -> TrainState:
        """The state before the first step; pure, so that shapes alone can be traced.

        Args:
          variables: to begin with; by default they are drawn.
          init_key: draws them; by default that of the recipe's seed.
          run_key: draws everything later; by default that of the recipe's seed.
        """
        if variables is None:
            zeros = [jnp.zeros(each.shape, each.dtype) for each in self.inputs]
            variables = self.model.init(self.init_key if init_key is None else init_key, *zeros)
        run_key = jax.random.key(self.recipe.seed) if run_key is None else run_key
        return initial_state(variables, self.optimizer, run_key, self.recipe.optimizer.ema is not None)

    @functools.cached_property
    def weights(self) -> PyTree[np.ndarray] | None:
        """The variables that the recipe starts from, if it names any.

        Raises:
          RecipeError: they cannot be had, or do not fit the model.
        """
        recipe = self.recipe
        if recipe.weights is None:
            return None
        into = "/".join(filter(None, (self.part, recipe.weights_into)))
        try:
            file = transfer.weights_file(recipe)
            examples = [jax.ShapeDtypeStruct(each.shape[1:], each.dtype) for each in self.inputs]
            loaded = zoo.load_weights(self.model, file, examples, self.init_key, into=into)
        except (ValueError, ImportError, OSError) as error:
            raise RecipeError(f"weights: {error}") from error
        return jax.device_get(loaded)

    def initialise(self) -> TrainState:
        """The state before the first step, on the devices.

        Raises:
          RecipeError: see `weights`.
        """
        arrays = () if self.weights is None else (self.weights,)
        return self.placement.initialise(self.make_state, *arrays)

    def origin(self) -> dict[str, Any]:
        """What `recipe.json` says of the weights that a run began with.

        Raises:
          RecipeError: see `weights`.
        """
        if self.weights is None:
            return {}
        file = transfer.weights_file(self.recipe)
        return {"weights": {"sha256": transfer.digest(file)}}

    @functools.cached_property
    def state_shapes(self) -> TrainState:
        """Shapes and types of the state, without computing it."""
        return jax.eval_shape(self.make_state)

    @functools.cached_property
    def eval_batch_size(self) -> int:
        """The recipe's, rounded up to a multiple of the devices: batches of an evaluation are padded anyway."""
        devices = self.placement.mesh.size
        return -(-self.recipe.data.eval_batch_size // devices) * devices

    @functools.cached_property
    def learning_rates(self) -> Rates:
        """The learning rate after each number of updates."""
        return Rates(self.schedule, _updates(self.recipe, self.total_steps) + 1)

    def card(self) -> dict[str, Any]:
        """What `recipe.json` says of model, data and task, so that predictions need neither the data nor a guess."""
        params = self.state_shapes.params
        spec, facts = self.test.spec, self.train.facts
        return {
            "model": {"parameters": sum(leaf.size for leaf in jax.tree.leaves(params))},
            "data": {
                "train_examples": len(self.train),
                "test_examples": len(self.test),
                "fields": {name: {**field._asdict(), "kind": str(field.kind)} for name, field in spec.items()},
                "facts": facts._asdict(),
                "digests": digests(self.train),
            },
            "task": {"kind": self.recipe.task.kind, "fitted": fitted(self.task)},
            "metrics": [metric._asdict() for metric in self.task.metrics],
            "steps_per_epoch": self.steps_per_epoch,
            "total_steps": self.total_steps,
        }

    def make_update(self) -> Update:
        """The training step, see `train.engine.step`."""
        recipe = self.recipe
        return make_update(
            self.model,
            self.task,
            self.optimizer,
            ema=recipe.optimizer.ema,
            skip_nonfinite=recipe.on_nan == "skip",
            axis_name=self.placement.axis_name,
            freeze=recipe.freeze,
            last_step=self.total_steps if self._may_leave_steps() else None,
        )

    def _may_leave_steps(self) -> bool:
        """Whether the last steps need not fill an accumulation: too few, or some were skipped."""
        accumulate = self.recipe.optimizer.accumulate
        return accumulate > 1 and (self.total_steps % accumulate > 0 or self.recipe.on_nan == "skip")

    def make_augment(self) -> Callable[[Key[Array, ""], Batch], Batch]:
        """How training examples are varied and normalised.

        Raises:
          RecipeError: a variation has no rule for a field of the examples.
        """
        return data.augment(self.recipe.augment, self.train.spec, self.train.facts, self.task.mixes)

    def make_pipeline(self) -> data.MemoryPipeline | data.GrainPipeline:
        """The training batches of this process."""
        config = self.recipe.data
        return data.make_pipeline(
            self.train,
            config.batch_size,
            self.recipe.seed,
            config.pipeline,
            config.workers,
            jax.process_index(),
            hosts.count(),
        )

    def make_feed(self) -> Feed:
        """The training batches, bound to the step."""
        update, transform, pipeline = self.make_update(), self.make_augment(), self.make_pipeline()
        if isinstance(pipeline, data.GrainPipeline):
            return GrainFeed(pipeline, self.placement, transform, update)
        chunk = choose_steps_per_dispatch(self.recipe.steps_per_dispatch, self.placement, self.state_shapes.params)
        return MemoryFeed(pipeline, self.placement, transform, update, chunk)

    def evaluate(self) -> Callable[[PyTree[Array], Batch], Any]:
        """The pure function `evaluate(variables, batch) -> totals` of a batch as it is read."""
        return self._of_raw(make_evaluate(self.model, self.task))

    def predict(self) -> Callable[[PyTree[Array], Batch], Any]:
        """The pure function `predict(variables, batch) -> prediction` of a batch as it is read."""
        return self._of_raw(make_predict(self.model, self.task))

    def _of_raw(self, function: Callable[..., Any]) -> Callable[[PyTree[Array], Batch], Any]:
        preprocess = data.preprocess(self.recipe.augment, self.test.spec)
        return lambda variables, batch: function(variables, preprocess(batch))


def assemble(recipe: Recipe, learned: Mapping[str, Any] | None = None) -> Assembly:
    """Everything a recipe names, checked against each other before anything is computed.

    Args:
      recipe: of the run.
      learned: what the task of a run that is there was fitted to, from its card; by default it is fitted now.

    Raises:
      RecipeError: parts do not fit, such as the batch size and the number of devices.
      UnknownNameError: a model, option, source or field does not exist.
      DataError: the examples cannot be read.
    """
    config = recipe.data
    _check_text(flatten(recipe), RecipeError)
    train, test = data.load_both(config)
    for source in (train, test):
        _check_text({f"{source.name}: {name}": value for name, value in source.facts._asdict().items()}, data.DataError)
    if not len(test):
        raise data.DataError(f"{test.name}: none of its {len(train)} examples can be held out for the test")
    task = make_task(recipe.task, train, recipe.augment) if learned is None else restore_task(recipe.task, learned)
    for source in (train, test):
        _check_task(recipe, task, source.spec, source.facts)
    train, test = (data.OfFields(source, task.fields) for source in (train, test))
    if task.whole_batch and recipe.placement == "pmap":
        raise RecipeError(
            f"{recipe.task.kind} compares all examples of a batch: expected placement jit or fsdp, got pmap"
        )
    try:
        placement = make_placement(recipe.placement)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    if config.batch_size % placement.mesh.size:
        raise RecipeError(f"data.batch_size: {config.batch_size} does not divide over {placement.mesh.size} devices")
    steps_per_epoch = len(train) // config.batch_size
    if not steps_per_epoch:
        raise RecipeError(f"data.batch_size: {config.batch_size} is more than the {len(train)} examples")
    if not recipe.steps and recipe.epochs * steps_per_epoch > recipe.most["steps"]:
        asked = f"{recipe.epochs:,} of {steps_per_epoch:,} steps each"
        raise RecipeError(f"epochs: expected at most {recipe.most['steps']:,} steps in all, got {asked}")
    total_steps = recipe.steps or recipe.epochs * steps_per_epoch
    accumulate = recipe.optimizer.accumulate
    if total_steps < accumulate:
        raise RecipeError(f"optimizer.accumulate: {accumulate} steps an update, and the run has {total_steps}")
    schedule = make_schedule(recipe.schedule, recipe.optimizer.learning_rate, _updates(recipe, total_steps))
    model, part = make_network(recipe, task, placement.axis_name)
    inputs = model_inputs(recipe, task, train.spec)
    assembly = Assembly(
        recipe=recipe,
        train=train,
        test=test,
        task=task,
        model=model,
        part=part,
        placement=placement,
        schedule=schedule,
        optimizer=make_optimizer(recipe.optimizer, schedule, functools.partial(_adapted, recipe, model, part, inputs)),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    assembly.make_augment()  # says what it has no rule for
    _check_model(assembly)
    return assembly


def _updates(recipe: Recipe, total_steps: int) -> int:
    """How often the parameters move; the last time of fewer steps where they do not fill an accumulation."""
    return -(-total_steps // recipe.optimizer.accumulate)


def _check_text(values: Mapping[str, Any], error: type[ValueError]) -> None:
    """Refuses names that are not text, as of a folder in another encoding: a report could not show them at the end."""
    for where, value in values.items():
        for text in [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else ():
            if isinstance(text, str) and not is_text(text):
                raise error(f"{where}: expected text in UTF-8, got {text!r}")


def _check_task(recipe: Recipe, task: Task, spec: Spec, facts: Facts) -> None:
    try:
        task.check(spec, facts)
    except RecipeError as error:
        raise RecipeError(f"{recipe.task.kind} on {recipe.data.source}: {error}") from error


def _check_model(assembly: Assembly) -> None:
    """Traces the model, for the training examples and, where these have another form, the held-out ones."""
    recipe, model = assembly.recipe, assembly.model
    source = assembly.train
    try:
        shapes = assembly.state_shapes
        inputs = model_inputs(recipe, assembly.task, assembly.test.spec)
        if inputs != assembly.inputs:  # images that are framed otherwise
            source = assembly.test
            jax.eval_shape(model.apply, shapes.variables(), *inputs)
    except (TypeError, ValueError, FlaxError) as error:
        raise RecipeError(f"model {recipe.model.name} with {_form(source.spec)} of {source.name}: {error}") from error
    try:
        transfer.check_patterns(shapes.params, recipe.freeze)
    except ValueError as error:
        raise RecipeError(f"freeze: {error}") from error
    try:
        transfer.check_named(shapes.params, recipe.optimizer.decay_only)
    except ValueError as error:
        raise RecipeError(f"optimizer.decay_only: {error}") from error


def _form(spec: Spec) -> str:
    """Such as "8x8x1 images"; of examples without an image their fields."""
    if "image" not in spec:
        return describe(spec)
    return "x".join(str(size or "any") for size in spec["image"].shape) + " images"


def _adapted(
    recipe: Recipe, model: nn.Module, part: str, inputs: tuple[Any, ...], optimizer: optax.GradientTransformation
) -> optax.GradientTransformation:
    """The optimiser with what the recipe says of single layers."""
    if recipe.freeze:
        optimizer = transfer.only_moving(optimizer, recipe.freeze)
    if recipe.optimizer.layer_decay < 1:
        optimizer = transfer.slower_below(optimizer, model, inputs, recipe.optimizer.layer_decay, part)
    return optimizer


def init_key(seed: int) -> Key[Array, ""]:
    """Draws the initial parameters of a run."""
    # A program that draws with this generator compiles four times faster than with jax's default one.
    return jax.random.key(seed, impl="rbg")
