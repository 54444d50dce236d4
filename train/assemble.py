"""Puts together what a recipe names: sources, task, model, optimiser, placement and the step."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.errors import FlaxError
from jaxtyping import Array, Float, Key, PyTree

import zoo
from train import data, transfer
from train.feed import Feed, GrainFeed, MemoryFeed, choose_steps_per_dispatch
from train.optim import make_optimizer, make_schedule
from train.placement import MeshPlacement, make_placement
from train.recipe import Recipe, RecipeError, model_options
from train.state import TrainState, initial_state
from train.step import make_evaluate, make_update
from train.tasks import Batch, Rows, Task, make_task


@dataclasses.dataclass(frozen=True)
class Assembly:
    """The parts of a run, ready to be started."""

    recipe: Recipe
    train: data.Source
    test: data.Source
    task: Task
    model: nn.Module
    placement: MeshPlacement
    schedule: optax.Schedule
    optimizer: optax.GradientTransformation
    steps_per_epoch: int
    total_steps: int

    @property
    def init_key(self) -> Key[Array, ""]:
        """Draws the initial parameters."""
        # A program that draws with this generator compiles four times faster than with jax's default one.
        return jax.random.key(self.recipe.seed, impl="rbg")

    def make_state(self, variables: PyTree[Array] | None = None) -> TrainState:
        """The state before the first step, of random variables or these; pure, so that shapes alone can be traced."""
        if variables is None:
            variables = zoo.init(self.model, self.init_key, self.train.image_shape)
        run_key = jax.random.key(self.recipe.seed)
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
        try:
            file = transfer.weights_file(recipe.model.name, recipe.weights)
            loaded = zoo.load_weights(self.model, file, self.train.image_shape, self.init_key)
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
        file = transfer.weights_file(self.recipe.model.name, self.recipe.weights)
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
    def learning_rates(self) -> Float[np.ndarray, "updates"]:
        """The learning rate after each number of updates, all computed at once: one by one costs milliseconds."""
        updates = jnp.arange(self.total_steps // self.recipe.optimizer.accumulate + 1)
        return np.asarray(jax.jit(jax.vmap(self.schedule))(updates))

    def card(self) -> dict[str, Any]:
        """What `recipe.json` says of model and data, so that predictions need neither the data nor a guess."""
        params = self.state_shapes.params
        return {
            "model": {"parameters": sum(leaf.size for leaf in jax.tree.leaves(params))},
            "data": {
                "train_examples": len(self.train),
                "test_examples": len(self.test),
                "image_shape": list(self.train.image_shape),
            },
            "task": dataclasses.asdict(self.task),
            "steps_per_epoch": self.steps_per_epoch,
            "total_steps": self.total_steps,
        }

    def make_feed(self) -> Feed:
        """The training batches, bound to the step."""
        recipe, placement = self.recipe, self.placement
        update = make_update(
            self.model,
            self.task,
            self.optimizer,
            ema=recipe.optimizer.ema,
            skip_nonfinite=recipe.on_nan == "skip",
            axis_name=placement.axis_name,
            freeze=recipe.freeze,
        )
        transform = data.augment(recipe.augment)
        pipeline = data.make_pipeline(
            self.train,
            recipe.data.batch_size,
            recipe.seed,
            recipe.data.pipeline,
            recipe.data.workers,
            jax.process_index(),
            jax.process_count(),
        )
        if isinstance(pipeline, data.GrainPipeline):
            return GrainFeed(pipeline, placement, transform, update)
        chunk = choose_steps_per_dispatch(recipe.steps_per_dispatch, placement, self.state_shapes.params)
        return MemoryFeed(pipeline, placement, transform, update, chunk)

    def make_evaluate(self) -> Callable[..., Any]:
        """`evaluate(variables, batch) -> (sums, predictions)`, compiled."""
        evaluate = make_evaluate(self.model, self.task)
        preprocess = data.preprocess(self.recipe.augment)

        def of_raw(variables: Any, batch: Batch) -> Any:
            return evaluate(variables, preprocess(batch))

        return self.placement.evaluate(of_raw)


def assemble(recipe: Recipe, prototypes: Rows | None = None) -> Assembly:
    """Everything a recipe names, checked against each other before anything is computed.

    Args:
      recipe: of the run.
      prototypes: of a run that is there, of a task that has some: a search gives others on another kind of processor.

    Raises:
      RecipeError: parts do not fit, such as the batch size and the number of devices.
      UnknownNameError: a model, option, source or field does not exist.
      DataError: the examples cannot be read.
    """
    config = recipe.data
    train = data.load(config.source, "train", config.data_dir, config.limit, config.framing("train"), config.part)
    test = data.load(config.source, "test", config.data_dir, framing=config.framing("test"), part=config.part)
    if not len(test):
        raise data.DataError(f"{test.name}: none of its {len(train)} examples can be held out for the test")
    task = make_task(recipe.task, train, prototypes)
    whole_batches = recipe.task.name == "class_means"
    if (recipe.task.learns_value or whole_batches) and (recipe.augment.mixup or recipe.augment.cutmix):
        raise RecipeError(f"augment.mixup and augment.cutmix mix labels: they do not go with {recipe.task.name}")
    if whole_batches and recipe.placement == "pmap":
        raise RecipeError("class_means compares all examples of a batch: expected placement jit or fsdp, got pmap")
    placement = make_placement(recipe.placement)
    if config.batch_size % placement.mesh.size:
        raise RecipeError(f"data.batch_size: {config.batch_size} does not divide over {placement.mesh.size} devices")
    channels = train.image_shape[-1]
    for field in ("mean", "std"):
        values = getattr(recipe.augment, field)
        if len(values) not in (0, 1, channels):
            raise RecipeError(f"augment.{field}: expected one value or {channels}, one a channel, got {values}")
    steps_per_epoch = len(train) // config.batch_size
    if not steps_per_epoch:
        raise RecipeError(f"data.batch_size: {config.batch_size} is more than the {len(train)} examples")
    total_steps = recipe.steps or recipe.epochs * steps_per_epoch
    updates = total_steps // recipe.optimizer.accumulate
    if not updates:
        accumulate = recipe.optimizer.accumulate
        raise RecipeError(f"optimizer.accumulate: {accumulate} steps an update, and the run has {total_steps}")
    schedule = make_schedule(recipe.schedule, recipe.optimizer.learning_rate, updates)
    model = make_model(recipe, task, placement.axis_name)
    if hasattr(model, "backbone"):
        _check_wrapped(recipe)
    assembly = Assembly(
        recipe=recipe,
        train=train,
        test=test,
        task=task,
        model=model,
        placement=placement,
        schedule=schedule,
        optimizer=make_optimizer(recipe.optimizer, schedule, functools.partial(_adapted, recipe, model, train)),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    source = train
    try:
        shapes = assembly.state_shapes  # traces the model
        if test.image_shape != train.image_shape:  # images that are framed otherwise
            source = test
            jax.eval_shape(model.apply, shapes.variables(), _one_image(test))
    except (TypeError, ValueError, FlaxError) as error:
        shape = "x".join(map(str, source.image_shape))
        raise RecipeError(f"model {recipe.model.name} with {shape} images of {source.name}: {error}") from error
    try:
        transfer.check_patterns(shapes.params, recipe.freeze)
    except ValueError as error:
        raise RecipeError(f"freeze: {error}") from error
    return assembly


def _check_wrapped(recipe: Recipe) -> None:
    """Refuses what knows the layers of the catalog's models alone, where the task has layers on top of one."""
    set_ = {"weights": recipe.weights is not None, "optimizer.layer_decay": recipe.optimizer.layer_decay < 1}
    if fields := [name for name, is_set in set_.items() if is_set]:
        raise RecipeError(f"{recipe.task.name} has layers of its own on the model: it does without {', '.join(fields)}")


def _adapted(
    recipe: Recipe, model: nn.Module, train: data.Source, optimizer: optax.GradientTransformation
) -> optax.GradientTransformation:
    """The optimiser with what the recipe says of single layers."""
    if recipe.freeze:
        optimizer = transfer.only_moving(optimizer, recipe.freeze)
    if recipe.optimizer.layer_decay < 1:
        optimizer = transfer.slower_below(optimizer, model, _one_image(train), recipe.optimizer.layer_decay)
    return optimizer


def _one_image(source: data.Source) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *source.image_shape), jnp.float32)


def make_model(recipe: Recipe, task: Task, axis_name: str | None = None) -> nn.Module:
    """The recipe's model, with a head that fits the task."""
    options: dict[str, Any] = {"num_classes": task.num_outputs, "dtype": jnp.dtype(recipe.model.dtype)}
    if recipe.model.remat:
        options["remat"] = True
    try:
        model = zoo.create(recipe.model.name, **options | model_options(recipe))
    except TypeError as error:
        raise RecipeError(f"model.options: {error}") from error
    if axis_name is not None and "axis_name" in {field.name for field in dataclasses.fields(model)}:
        model = model.clone(axis_name=axis_name)  # batch norm averages over the devices
    return task.wrap(model)
