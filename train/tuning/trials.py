"""The trials of a sweep: Optuna's, in a database that several processes share and that outlives them. Lecture row L18.

Akiba et al., 2019, Optuna. What is worse than the median of the others at the same evaluation is pruned.
"""

import contextlib
import json
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from train.tuning.sampler import sampler
from train.tuning.search import Choices, Range, Search, Values
from train.tuning.sweep_folder import SweepError, SweepFolder

if typing.TYPE_CHECKING:
    import optuna

FINISHED, PRUNED, DIVERGED, REFUSED = "finished", "pruned", "diverged", "refused"
INTERRUPTED, RUNNING, WAITING = "interrupted", "running", "waiting"
"""What can be said of a trial. A refused one asked for something impossible; of an interrupted one another trial goes
on."""


_NOT_FINITE = "the metric is not finite"


class Record(NamedTuple):
    """What there is to say of a trial."""

    number: int
    state: str
    values: Values
    """By field."""
    result: float
    """The metric at its last evaluation; nan where there was none."""
    course: Mapping[int, float]
    """The metric at each evaluation, by its number."""
    folder: str
    """Of its run, in that of the sweep."""
    seconds: float
    note: str
    """Why it diverged or was refused."""
    losses: Sequence[tuple[int, float]] = ()
    """Training steps, and the mean loss since those before, where it is known."""


class Plan(NamedTuple):
    """What a sweep's trials have in common."""

    name: str
    """Of the sweep, in the database."""
    searches: tuple[Search, ...]
    higher_is_better: bool
    seed: int
    startup: int
    """Trials that are drawn at random, and finished before any is pruned."""
    unpruned: int
    """Evaluations of a trial after which it cannot be pruned yet."""
    prunes: bool


class Trials:
    """The trials of one sweep.

    Args:
      storage: the database, such as sqlite:///FILE; None: a file in the sweep's folder.
      plan: what they have in common.
      folder: of the sweep.
      card: what has to be the same for the sweep to go on; another one of its name may be in the database.

    Raises:
      SweepError: Optuna is not installed, or the database cannot be opened, or holds another sweep of this name, or
        this one in another folder.
    """

    def __init__(
        self, storage: str | None, plan: Plan, folder: SweepFolder, card: Mapping[str, Any] | None = None
    ) -> None:
        optuna = _optuna()
        self._plan, self._folder = plan, folder
        pruner = optuna.pruners.MedianPruner(plan.startup, n_warmup_steps=plan.unpruned + 1)
        url = storage or _sqlite(folder.database)
        self._said = hidden(storage) or folder.database
        try:
            self._storage = optuna.storages.RDBStorage(url, engine_kwargs=_patient(url))
            self.study = optuna.create_study(
                storage=self._storage,
                sampler=sampler(plan.seed, plan.startup),
                pruner=pruner if plan.prunes else optuna.pruners.NopPruner(),
                study_name=plan.name,
                direction="maximize" if plan.higher_is_better else "minimize",
                load_if_exists=True,
            )
        except Exception as error:  # the database's own
            raise SweepError(f"storage {self._said}: {_first_line(error)}") from error
        own = {"card": json.loads(json.dumps(card)), "folder": folder.token()}
        for name, value in own.items():
            if self.study.user_attrs.get(name, value) != value:
                self.close()
                which = f"another sweep {plan.name}" if name == "card" else f"a sweep {plan.name} of another folder"
                raise SweepError(f"storage {self._said}: it holds {which}; choose a workdir of another name")
            self.study.set_user_attr(name, value)

    def close(self) -> None:
        """Lets go of the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @contextlib.contextmanager
    def in_words(self) -> Iterator[None]:
        """Says in a line what is wrong with the database.

        Raises:
          SweepError: it cannot be read or written any more.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, _optuna().exceptions.StorageInternalError) as error:
            raise SweepError(f"storage {self._said}: {_first_line(error.__cause__ or error)}") from error

    def ask(self, worker: str, most: int) -> "optuna.trial.Trial | None":
        """The next trial, now of this process, if fewer than `most` were taken; those of dead processes come first."""
        with self._folder.locked():
            self._recover()
            trials = self.study.get_trials(deepcopy=False)
            if sum(map(_is_taken, trials)) >= most:
                return None
            trial = self.study.ask({search.field: _distribution(search) for search in self._plan.searches})
            trial.set_user_attr("worker", worker)
            if "folder" not in trial.user_attrs:
                trial.set_user_attr("folder", f"trial-{trial.number}")
        return trial

    def finish(self, trial: "optuna.trial.Trial", result: float) -> None:
        """Notes what a trial came to; what is not finite has diverged."""
        if math.isfinite(result):
            self.study.tell(trial, result)
        else:
            self.diverge(trial, _NOT_FINITE)

    def prune(self, trial: "optuna.trial.Trial", result: float) -> None:
        """Notes that a trial was stopped early, with its result until then."""
        if math.isfinite(result):
            self.study.tell(trial, state=_state("PRUNED"))
        else:
            self.diverge(trial, _NOT_FINITE)

    def diverge(self, trial: "optuna.trial.Trial", why: str) -> None:
        """Notes that a trial diverged: to the sampler it is among the worst, where a failed one would not count."""
        trial.set_user_attr(DIVERGED, why)
        self.study.tell(trial, state=_state("PRUNED"))

    def refuse(self, trial: "optuna.trial.Trial", why: str) -> None:
        """Notes that a trial asked for something impossible."""
        trial.set_user_attr(REFUSED, why)
        self.study.tell(trial, state=_state("FAIL"))

    def give_back(self, number: int) -> None:
        """Ends a trial that did not come to its end, and has another go on in its folder; under the folder's lock."""
        (trial,) = (trial for trial in self.study.get_trials(deepcopy=False) if trial.number == number)
        self.study.tell(number, state=_state("FAIL"))
        if trial.params:  # else it had drawn nothing
            attributes = {"folder": trial.user_attrs.get("folder", f"trial-{number}"), "again": number}
            self.study.enqueue_trial(trial.params, user_attrs=attributes)

    def add(self, values: Values, result: float, diverged: str, more: Mapping[str, Any]) -> None:
        """Notes a trial that was trained elsewhere: its result, why it diverged, if it did, and more of its record."""
        optuna = _optuna()
        self.study.add_trial(
            optuna.create_trial(
                state=_state("PRUNED" if diverged else "COMPLETE"),
                value=None if diverged else result,
                params=dict(values),
                distributions={search.field: _distribution(search) for search in self._plan.searches},
                user_attrs={**more, **({DIVERGED: diverged} if diverged else {})},
            )
        )

    def widen(self, searches: tuple[Search, ...]) -> None:
        """Trials that are added from now on are of these ranges."""
        self._plan = self._plan._replace(searches=searches)

    def records(self) -> list[Record]:
        """All trials, in order."""
        return [_record(trial) for trial in self.study.get_trials(deepcopy=False)]

    def best(self) -> Record | None:
        """The best of those that are finished, the first of equals."""
        finished = [record for record in self.records() if record.state == FINISHED]
        sign = 1 if self._plan.higher_is_better else -1
        return max(finished, key=lambda record: sign * record.result, default=None)

    def importances(self) -> dict[str, float]:
        """The share of each field in the variance of the results, by fANOVA (Hutter et al., 2014), the largest first.

        Empty where too few trials are finished, or all are alike.
        """
        optuna = _optuna()
        fields = len(self._plan.searches)
        if sum(record.state == FINISHED for record in self.records()) < max(2, fields + 1):
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            found = optuna.importance.get_param_importances(self.study, evaluator=evaluator)
            return {field: float(share) for field, share in found.items()}
        except (RuntimeError, ValueError):  # all results are equal
            return {}

    def _recover(self) -> None:
        """Gives back the trials of processes that are not alive."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == _state("RUNNING"):
                worker = trial.user_attrs.get("worker", "")
                if not worker or not self._folder.is_at_work(worker):
                    self.give_back(trial.number)
                    if worker:
                        self._folder.sweep_away(worker)


def check_installed() -> None:
    """Refuses a sweep where Optuna is not installed.

    Raises:
      SweepError: it is not.
    """
    _optuna()


def _optuna() -> Any:
    """Optuna, which says nothing of its own accord.

    Raises:
      SweepError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SweepError('a sweep: expected Optuna, which is not installed: pip install -e ".[sweep]"') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _state(name: str) -> "optuna.trial.TrialState":
    return _optuna().trial.TrialState[name]


def hidden(storage: str | None) -> str | None:
    """The address of a database without its password.

    Raises:
      SweepError: it is none.

    >>> hidden("postgresql://me:secret@host/db")
    'postgresql://me:***@host/db'
    """
    if storage is None:
        return None
    from sqlalchemy.engine import make_url

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except Exception as error:  # sqlalchemy's own
        raise SweepError(f"storage {storage}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _sqlite(file: Path) -> str:
    """The address of a file, whatever characters its path has."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(file.absolute())).render_as_string(hide_password=False)


def _patient(url: str) -> dict[str, Any]:
    """How a file waits for other processes, which write for milliseconds."""
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}


def _distribution(search: Search) -> Any:
    distributions = _optuna().distributions
    match search:
        case Range(_, low, high, log, whole):
            return (distributions.IntDistribution if whole else distributions.FloatDistribution)(low, high, log=log)
        case Choices(_, texts):
            return distributions.CategoricalDistribution(texts)


def _is_taken(trial: "optuna.trial.FrozenTrial") -> bool:
    """Whether a trial counts: not one that waits, nor one that another goes on with."""
    return trial.state != _state("WAITING") and (trial.state != _state("FAIL") or REFUSED in trial.user_attrs)


def _record(trial: "optuna.trial.FrozenTrial") -> Record:
    attributes, course = trial.user_attrs, dict(sorted(trial.intermediate_values.items()))
    words = {"COMPLETE": FINISHED, "FAIL": INTERRUPTED, "RUNNING": RUNNING, "WAITING": WAITING, "PRUNED": PRUNED}
    state = next((word for word in (DIVERGED, REFUSED) if word in attributes), words[trial.state.name])
    result = trial.value if trial.value is not None else next(reversed(course.values()), math.nan)
    seconds = attributes.get("seconds", math.nan if trial.duration is None else trial.duration.total_seconds())
    folder, note, losses = attributes.get("folder", ""), attributes.get(state, ""), attributes.get("losses", ())
    return Record(trial.number, state, trial.params, result, course, folder, seconds, note, losses)
