"""What a trial draws: it depends on the seed, on which draw it is and on the results before it. Lecture row L18.

So a sweep that was killed and goes on draws what it would have drawn. The sampler is TPE (Bergstra et al., 2011,
Algorithms for Hyper-Parameter Optimization).
"""

import typing
import warnings
from typing import Any

import numpy as np

if typing.TYPE_CHECKING:
    import optuna


def sampler(seed: int, startup: int) -> "optuna.samplers.BaseSampler":
    """TPE over all fields together, whose draws depend on which draw it is, in whatever process.

    Args:
      seed: of all draws.
      startup: trials that are drawn at random before any is drawn by TPE.
    """
    from optuna import samplers

    class Drawn(samplers.BaseSampler):
        def __init__(self) -> None:
            self._number, self._tpe = -1, None

        def _of(self, study: Any, number: int) -> Any:
            if self._number != number:
                fresh = [t for t in study.get_trials(deepcopy=False) if t.number < number and _was_drawn(t)]
                own = _seed_of(seed, len(fresh))
                with warnings.catch_warnings(action="ignore"):  # earlier versions of Optuna call options experimental
                    self._tpe = samplers.TPESampler(
                        n_startup_trials=startup,
                        seed=own,
                        multivariate=True,
                        constant_liar=True,  # those of other processes that are not finished keep it away from theirs
                        warn_independent_sampling=False,
                    )
                self._number = number
            return self._tpe

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return self._of(study, trial.number).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return self._of(study, trial.number).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return self._of(study, trial.number).sample_independent(study, trial, param_name, param_distribution)

    return Drawn()


def _was_drawn(trial: "optuna.trial.FrozenTrial") -> bool:
    """Whether a trial drew values of its own; one that goes on with another's did not."""
    return "again" not in trial.user_attrs and bool(trial.params)


def _seed_of(seed: int, draw: int) -> int:
    """Another one for each draw."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1)[0])
