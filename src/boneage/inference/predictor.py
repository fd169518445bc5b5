"""From a radiograph and a sex to a bone age: prepare, run the network, put the interval around it.

>>> from boneage import load
>>> predictor = load("runs/first/bundle")                       # doctest: +SKIP
>>> predictor.predict("hand.png", sex="female").bone_age_months  # doctest: +SKIP
131.4
"""

import collections
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boneage.errors import (
    BoneAgeError,
    BundleError,
    RadiographError,
    SettingsError,
    UnreadableError,
    UnsuitableError,
)
from boneage.inference.bundle import Bundle
from boneage.inference.catalogue import default_model
from boneage.inference.heatmap import HeatMap
from boneage.inference.prediction import Prediction, Query
from boneage.inference.preparing import ModelImage, ModelPreparation
from boneage.inference.session import Network, available_cpus
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.readers import read_radiograph

__all__ = ["Prediction", "Predictor", "Query", "load", "predict"]

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Ready:
    """A radiograph that waits for the network: all that is kept of it."""

    prepared: ModelImage
    sex: Sex
    warnings: tuple[str, ...]
    source: str


class Predictor:
    """A loaded model. Safe to use from several threads.

    Attributes:
        gives_heat_map: Whether its predictions have a heat map.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        level: float | None = None,
        intake: bool = True,
    ) -> None:
        """Load the network of a bundle; :func:`load` is the shorter way.

        Args:
            bundle: The opened bundle.
            threads: Threads for the network and for preparing, 1 or more; None for every
                available CPU.
            level: Level of the intervals, such as 0.8; None for the one on the card.
            intake: Refuse what is not one hand and turn hands upright before they are prepared;
                otherwise every image is taken for an upright hand. Models that were trained with
                preparation off take every image as it is in any case.

        Raises:
            BundleError: The model cannot be used by this release.
            SettingsError: ``threads`` is below 1, or the model has no interval of that level.
        """
        self.card = bundle.card
        interval = bundle.card.interval
        if level is not None:
            if interval is None:
                raise SettingsError(
                    f"--level {level:g}: the model {self.card.name} has no interval."
                )
            interval.check_level(level)
        self.level = interval.level if level is None and interval is not None else level
        self._preparation = ModelPreparation(bundle, intake=intake)
        self._network = Network(bundle, threads=threads)
        self.gives_heat_map = self._network.gives_heat_map
        if interval is not None and interval.scaled and not self._network.expects_error:
            raise BundleError(
                f"{bundle.path} contradicts itself: its interval is scaled by the expected error, "
                "and its network expects none. Get the model again."
            )
        self._threads = threads or available_cpus()

    def predict(
        self, radiograph: Radiograph | str | os.PathLike[str], sex: Sex | str | None = None
    ) -> Prediction:
        """Estimate the bone age on one radiograph.

        Args:
            radiograph: A radiograph, or the path of its file.
            sex: Sex of the child; None to take the radiograph's own. It is never assumed.

        Returns:
            The estimate in months with its interval.

        Raises:
            InputError: ``sex`` is not understood.
            UnreadableError: The file is no image, damaged or too large.
            UnsuitableError: It is no image to put a number on, or the sex is not known.
        """
        query = Query(radiograph, None if sex is None else Sex.parse(sex))
        result = self._answer([self._prepare(query)])[0]
        if isinstance(result, RadiographError):
            raise result
        return result

    def predict_many(
        self, queries: Iterable[Query], *, batch_size: int = 4
    ) -> Iterator[Prediction | RadiographError]:
        """Estimate the bone age on many radiographs, preparing some while others are estimated.

        What can go wrong with one radiograph is given in its place, not raised. The memory needed
        does not grow with the number of radiographs.

        Args:
            queries: The radiographs; they are taken as they are needed.
            batch_size: Number of images that the network gets at once, 1 to 1024. With the model
                that comes along, 8 are a twentieth quicker than 4 and need half as much memory
                again.

        Yields:
            For each query, in order, its prediction or the error that stands for it.

        Raises:
            SettingsError: ``batch_size`` is out of range.
        """
        if not 1 <= batch_size <= 1024:
            raise SettingsError(f"batch_size must be within 1 to 1024, not {batch_size}.")
        return self._run_many(iter(queries), batch_size)

    def _run_many(
        self, queries: Iterator[Query], batch_size: int
    ) -> Iterator[Prediction | RadiographError]:
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="boneage-prepare")
        pending: collections.deque[Future[_Ready | RadiographError]] = collections.deque()
        try:
            while True:
                # A batch ahead of the one in work: enough to keep every thread busy, and a bound.
                room = 2 * batch_size + self._threads - len(pending)
                pending.extend(
                    pool.submit(self._prepare_safely, query)
                    for query in itertools.islice(queries, room)
                )
                if not pending:
                    return
                batch = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
                yield from self._answer([future.result() for future in batch])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _prepare_safely(self, query: Query) -> _Ready | RadiographError:
        try:
            return self._prepare(query)
        except RadiographError as error:
            return error
        except BoneAgeError:
            raise
        except Exception as error:
            # One odd file must not cost the other thousand their rows; its own row says so.
            failure = UnreadableError(
                f"{_name_of(query.radiograph)}: could not be processed: "
                f"{type(error).__name__}: {error}"
            )
            failure.__cause__ = error
            return failure

    def _prepare(self, query: Query) -> _Ready:
        radiograph = query.radiograph
        if not isinstance(radiograph, Radiograph):
            radiograph = read_radiograph(radiograph)
        sex = query.sex or radiograph.sex
        if sex is None:
            raise UnsuitableError(
                f"{radiograph.source}: the sex is not known, and it is never assumed: use --sex "
                "or --labels with a row for its id (in Python: sex='female' or sex='male')."
            )
        if sex not in self.card.sexes:
            raise UnsuitableError(
                f"{radiograph.source}: the model {self.card.name} is not for the sex {sex}, only "
                f"for {' and '.join(self.card.sexes)}. Use another model."
            )
        warnings = []
        if radiograph.sex not in (None, sex):
            warnings.append(f"the sex given is {sex}, but the file says {radiograph.sex}")
        prepared = self._preparation(radiograph)
        return _Ready(prepared, sex, (*warnings, *prepared.warnings), radiograph.source)

    def _answer(self, batch: list[_Ready | RadiographError]) -> list[Prediction | RadiographError]:
        """Run the network on what is ready, and leave the errors where they are."""
        ready = [item for item in batch if isinstance(item, _Ready)]
        if not ready:
            return [item for item in batch if isinstance(item, RadiographError)]
        images = np.stack([item.prepared.image for item in ready])[:, np.newaxis]
        sexes = np.array([item.sex is Sex.MALE for item in ready], dtype=np.float32)
        answers = self._network(images, sexes).each()
        return [
            self._prediction(item, *next(answers)) if isinstance(item, _Ready) else item
            for item in batch
        ]

    def _prediction(
        self, item: _Ready, months: float, expected_error: float | None, heat: Values | None
    ) -> Prediction | RadiographError:
        if not math.isfinite(months) or not math.isfinite(expected_error or 0):
            return UnsuitableError(f"{item.source}: the model gives no number for this radiograph.")
        months = max(months, 0.0)
        interval = self.card.interval
        half = None
        if interval is not None:
            half = interval.half_width_months(expected_error, self.level)
        return Prediction(
            bone_age_months=months,
            lower_months=None if half is None else max(months - half, 0),
            upper_months=None if half is None else months + half,
            level=self.level,
            sex=item.sex,
            warnings=item.warnings,
            source=item.source,
            model_name=self.card.name,
            model_version=self.card.version,
            # A copy, so that one map does not keep those of its whole batch in memory.
            heat_map=None if heat is None else HeatMap(heat.copy(), item.prepared.placement),
        )


def load(
    bundle: str | os.PathLike[str] | Bundle | None = None,
    *,
    threads: int | None = None,
    level: float | None = None,
    intake: bool = True,
) -> Predictor:
    """Load a model.

    Args:
        bundle: Folder or zip of the model; None for the one in the environment variable
            ``BONEAGE_MODEL``, else for the one that comes with boneage.
        threads: Threads that predicting may use, 1 or more; None for every available CPU.
        level: Level of the intervals, such as 0.8; None for the one on the card.
        intake: Refuse what is not one hand and turn hands upright first.

    Returns:
        The model, ready to predict.

    Raises:
        BundleError: There is no such model, it is damaged, or it is of a release that this one
            cannot read.
        SettingsError: ``threads`` is below 1, or the model has no interval of that level.
    """
    if not isinstance(bundle, Bundle):
        bundle = Bundle.open(default_model() if bundle is None else bundle)
    return Predictor(bundle, threads=threads, level=level, intake=intake)


def predict(
    radiograph: Radiograph | str | os.PathLike[str],
    sex: Sex | str | None = None,
    *,
    model: str | os.PathLike[str] | Bundle | None = None,
) -> Prediction:
    """Estimate the bone age on one radiograph; for more than one, :func:`load` the model once.

    Args:
        radiograph: A radiograph, or the path of its file.
        sex: Sex of the child; None to take the radiograph's own. It is never assumed.
        model: Folder or zip of the model; None as in :func:`load`.

    Returns:
        The estimate in months with its interval.

    Raises:
        BundleError: The model cannot be used.
        InputError: ``sex`` is not understood.
        UnreadableError: The file is no image, damaged or too large.
        UnsuitableError: It is no image to put a number on, or the sex is not known.
    """
    return load(model).predict(radiograph, sex)


def _name_of(radiograph: Radiograph | str | os.PathLike[str]) -> str:
    if isinstance(radiograph, Radiograph):
        return radiograph.source
    return os.path.basename(os.fspath(radiograph))
