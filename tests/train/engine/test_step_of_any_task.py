"""A step of any task: of dictionaries, of several calls of the model, of a batch without weight."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.train.engine.stepping import BATCH, IMAGES, compiled, run, state_of
from tests.train.small import Boxes, Detection, Net, Terms, detection_batch, make_state
from train.engine.optim import accumulated
from train.engine.state import fingerprint
from train.engine.step import make_evaluate, make_predict, make_update
from train.tasks.protocol import Aux, OneForward, Ratio


def test_a_task_of_dictionaries_trains_and_evaluates_unchanged():
    model, task, optimizer = Boxes(), Detection(), optax.sgd(0.3)
    batch = detection_batch()
    state = make_state(model, optimizer, *task.inputs(batch))
    update = jax.jit(make_update(model, task, optimizer, skip_nonfinite=True, ema=None))
    state, collected = run(update, state, [batch] * 20)
    assert collected[0]["confusion"].shape == (3, 3)
    assert collected[-1]["loss"] < 0.7 * collected[0]["loss"]
    assert collected[0]["boxes"] == collected[0]["weight"] == batch["objects"]["valid"].sum()
    totals = jax.jit(make_evaluate(model, task))(state.variables(), {**batch, "mask": np.arange(16) < 10})
    predictions = jax.jit(make_predict(model, task))(state.variables(), batch)
    assert totals["boxes"] == totals["confusion"].sum() == batch["objects"]["valid"][:10].sum()
    assert {name: leaf.shape for name, leaf in predictions.items()} == {"boxes": (16, 3, 4), "masks": (16, 3, 3, 3)}
    assert 0 <= task.scores(jax.device_get(totals))["error"] <= 1


class Twice(OneForward):
    """Calls the model twice with other dropout, and draws a number of its own: what a plain task does not."""

    def loss(self, apply, params, batch, keys):
        first, state = apply(params, batch["image"])
        second, state = apply(params, batch["image"], state=state, key=jax.random.fold_in(keys.dropout, 1))
        noise = jax.random.uniform(keys.task)
        difference = jnp.sum((first - second) ** 2) + 0 * noise
        totals = {"count": jnp.float32(len(first)), "difference": difference, "noise": noise}
        return Ratio(jnp.sum(first**2) + difference, jnp.float32(len(first))), Aux(totals, state)

    def objective(self, outputs, batch): ...

    def totals(self, outputs, batch): ...

    def decode(self, outputs): ...


def test_a_task_may_call_the_model_several_times_and_draw_from_its_key():
    model, optimizer = Net(dropout=0.5), optax.sgd(0.1)
    state = make_state(model, optimizer, IMAGES)
    update = jax.jit(make_update(model, Twice(), optimizer))
    new, sums = update(state, BATCH)
    _, sums_later = update(new, BATCH)
    assert float(sums.totals["difference"]) > 0
    assert float(sums.totals["noise"]) != float(sums_later.totals["noise"])
    mean, once = (s.model_state["batch_stats"]["block"]["norm"]["mean"] for s in (new, update_once(state)))
    np.testing.assert_allclose(mean, once + 0.9 * once, rtol=1e-4)  # the statistics moved twice


def update_once(state):
    return compiled(Net(dropout=0.5))(state.replace(opt_state=state_of(Net(dropout=0.5)).opt_state), BATCH)[0]


def test_a_batch_without_any_weight_moves_nothing():
    model, task, optimizer = Boxes(), Detection(), optax.sgd(0.1)
    batch = detection_batch()
    batch["objects"]["valid"] = np.zeros((16, 3), bool)
    state = make_state(model, optimizer, *task.inputs(batch))
    new, sums = jax.jit(make_update(model, task, optimizer))(state, batch)
    assert (float(sums.loss.total), float(sums.loss.weight), float(sums.finite)) == (0, 0, 1)
    assert fingerprint(new.params) == fingerprint(state.params)


def of_one_term(term):
    """The task whose loss is one term of two."""

    class Term(Terms):
        def objective(self, outputs, batch):
            return Ratio(*(sums[term] for sums in super().objective(outputs, batch)))

    return Term()


def test_a_loss_of_two_terms_moves_by_the_sum_of_their_gradients():
    model, optimizer, batch = Boxes(), optax.sgd(1.0), detection_batch()
    state = make_state(model, optimizer, *Terms().inputs(batch))

    def moved(task):
        new, sums = jax.jit(make_update(model, task, optimizer))(state, batch)
        return jax.tree.map(lambda after, before: np.asarray(after - before), new.params, state.params), sums

    (both, sums), *alone = (moved(task) for task in (Terms(), of_one_term(0), of_one_term(1)))
    jax.tree.map(
        lambda x, y, z: np.testing.assert_allclose(x, y + z, atol=1e-6), both, *(change for change, _ in alone)
    )
    assert sums.loss.weight[0] != sums.loss.weight[1] > 0
    np.testing.assert_allclose(sums.loss.mean(), sum(each.loss.mean() for _, each in alone), rtol=1e-6)


def test_steps_of_two_terms_accumulate_alike_but_for_those_without_any_weight():
    model, task, batch = Boxes(), Terms(), detection_batch()
    none = {**batch, "objects": {**batch["objects"], "valid": np.zeros((16, 3), bool)}}
    one, three = optax.sgd(1.0), accumulated(optax.sgd(1.0), 3)
    expected, _ = jax.jit(make_update(model, task, one, freeze=("norm/*",)))(
        make_state(model, one, *task.inputs(batch)), batch
    )
    update = jax.jit(make_update(model, task, three, freeze=("norm/*",)))
    found = make_state(model, three, *task.inputs(batch))
    for each in (batch, none, batch):
        found, _ = update(found, each)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), found.params, expected.params)
