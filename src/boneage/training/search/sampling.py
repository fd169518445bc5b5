"""Which combination is tried next: tree-structured Parzen estimators, and nothing twice."""

import random
from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from boneage.training.search.space import Space

__all__ = ["SpaceSampler", "tried"]

_DRAWS = 32
# A combination that failed is not drawn again; whether it is tried again is decided elsewhere.
_TRIED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)


class SpaceSampler(BaseSampler):
    """Draws from a space by multivariate TPE (Bergstra et al., NeurIPS 2011; Falkner et al., 2018).

    The draw depends on the seed, the number of the trial and the trials that are known, not on the
    process: a search that was stopped goes on with the same draws. A combination of a finite space
    is not drawn again, because training is deterministic and would only give the same error.

    Args:
        space: What is searched.
        seed: Another seed, other draws.
        startup: Finished trials from which the draw is no longer random.
    """

    def __init__(self, space: Space, *, seed: int, startup: int) -> None:
        self._space = space
        self._seed = seed
        self._startup = startup

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        """All settings, drawn together; none for a trial that is started again."""
        if trial.distributions:
            return {}
        return {
            name: distribution
            for name, distribution in self._space.distributions().items()
            if not distribution.single()
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw a combination that was not tried."""
        if not search_space:
            return {}
        numbers = random.Random(f"{self._seed} {trial.number}")
        seed = numbers.getrandbits(32)
        tpe = TPESampler(n_startup_trials=self._startup, multivariate=True, seed=seed)
        uniform = RandomSampler(seed=seed)
        taken = tried(study.get_trials(deepcopy=False), list(search_space))
        for _ in range(_DRAWS):
            drawn = tpe.sample_relative(study, trial, search_space) or {
                name: uniform.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
            if self._space.size is None or _key(drawn, search_space) not in taken:
                return drawn
        left = [
            item for item in self._space.combinations() if _key(item, search_space) not in taken
        ]
        chosen = numbers.choice(left)
        return {name: chosen[name] for name in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Not used: all settings are drawn together."""
        raise NotImplementedError(param_name, study, trial, param_distribution)


def tried(trials: list[FrozenTrial], names: list[str]) -> set[tuple[Any, ...]]:
    """The combinations that were drawn before, whatever became of them."""
    return {
        _key(trial.params, names)
        for trial in trials
        if trial.state in _TRIED and trial.params.keys() >= set(names)
    }


def _key(params: Mapping[str, Any], names: Mapping[str, Any] | list[str]) -> tuple[Any, ...]:
    """A combination for comparing; steps of a range may differ in the last digit."""
    values = (params[name] for name in names)
    return tuple(round(value, 12) if isinstance(value, float) else value for value in values)
