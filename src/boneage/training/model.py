"""``Model``: the face of training."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boneage.dataset.data import Data
from boneage.errors import TrainingError
from boneage.evaluation.metrics import Metrics
from boneage.inference.bundle import WEIGHTS_FILE, Bundle, write_bundle
from boneage.inference.predictor import Prediction, Predictor, load
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.training.crossval import CrossvalRun, crossval_run
from boneage.training.measuring import evaluate_bundle
from boneage.training.run import TrainedRun, train_run
from boneage.training.settings import TrainingSettings

if TYPE_CHECKING:
    from boneage.training.search.results import SearchRun

__all__ = ["Model"]


class Model:
    """Trains on a :class:`~boneage.Data`, evaluates and predicts.

    Example:
        >>> model = Model(epochs=3, architecture="hypermodel").train(Data("phantoms"), out="run")
        >>> model.metrics.mae_months  # doctest: +SKIP

    Attributes:
        settings: How it trains.
        run: The finished training run, or None before :meth:`train`.
        crossvalidation: The finished cross-validation, or None before :meth:`crossvalidate`.
        found: The finished search, or None before :meth:`search`.
        bundle: The trained model's folder or zip, or None before there is one.
    """

    def __init__(self, settings: TrainingSettings | None = None, **changes: Any) -> None:
        """Set up a model; nothing is computed yet.

        Args:
            settings: How to train; the defaults if None.
            changes: Single settings by name, of the network and the augmentation too
                (``epochs=5, dropout=0.1``).

        Raises:
            SettingsError: A name is unknown or a value out of range.
        """
        self.settings = (settings or TrainingSettings()).updated(**changes)
        self.run: TrainedRun | None = None
        self.crossvalidation: CrossvalRun | None = None
        self.bundle: Path | None = None
        self.found: SearchRun | None = None
        self._scratch: dict[str, tempfile.TemporaryDirectory[str]] = {}
        self._predictor: Predictor | None = None

    def train(
        self,
        data: Data,
        out: str | os.PathLike[str] | None = None,
        *,
        split: str | os.PathLike[str] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        workers: int | None = None,
    ) -> "Model":
        """Train on ``data``, choosing the epoch on a validation part of it.

        Args:
            data: Radiographs with labels.
            out: Run folder; without one the run lives as long as this object.
            split: CSV ``id,split`` that says who trains and who validates.
            resume: Go on with the run in ``out``.
            overwrite: Replace the run in ``out``.
            workers: Processes that prepare images; all cores by default.

        Returns:
            This model, trained.

        Raises:
            BoneAgeError: See :func:`boneage.training.run.train_run`.
        """
        self.run = train_run(
            data,
            self.settings,
            self._folder(out, "run"),
            split=None if split is None else Path(split),
            resume=resume,
            overwrite=overwrite,
            workers=workers,
        )
        self.crossvalidation = None
        self.bundle = self.run.bundle
        self._predictor = None
        return self

    def search(
        self,
        data: Data,
        space: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] | None = None,
        *,
        fraction: float | None = None,
        trials: int | None = None,
        split: str | os.PathLike[str] | None = None,
        storage: str | None = None,
        study: str | None = None,
        pruning: bool = True,
        resume: bool = False,
        overwrite: bool = False,
        workers: int | None = None,
    ) -> "Model":
        """Find settings that suit ``data`` and take them; nothing is trained with them yet.

        Args:
            data: Radiographs with labels.
            space: Lists or ranges to search (see :meth:`Space.from_dict`), or a space file; by
                default the four lists of the hypermodel.
            out: Run folder; without one it lives as long as this object.
            fraction: Share of all combinations to try, 0.25 where nothing else is said.
            trials: Trials to finish, instead of ``fraction``.
            split: CSV ``id,split`` that says who trains and who validates.
            storage: ``journal:PATH`` or a database URL; a journal in the run folder by default.
            study: Its name there; the run folder's name by default.
            pruning: Give up trials that are poorer than the median of the others.
            resume: Go on with the search in ``out``, or begin it.
            overwrite: Replace the search in ``out``.
            workers: Processes that prepare images; all cores by default.

        Returns:
            This model with the best settings; the search is at :attr:`found`.

        Raises:
            BoneAgeError: See :func:`boneage.training.search.run.search_run`.
        """
        from boneage.training.search.run import search_run
        from boneage.training.search.space import read_space

        self.found = search_run(
            data,
            self.settings,
            space if space is None or isinstance(space, Mapping) else read_space(Path(space)),
            self._folder(out, "search"),
            fraction=fraction,
            trials=trials,
            split=None if split is None else Path(split),
            storage=storage,
            study=study,
            pruning=pruning,
            resume=resume,
            overwrite=overwrite,
            workers=workers,
        )
        self.settings = self.found.best_settings
        return self

    def crossvalidate(
        self,
        data: Data,
        out: str | os.PathLike[str] | None = None,
        *,
        folds: int = 5,
        result: str = "ensemble",
        split: str | os.PathLike[str] | None = None,
        test: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        workers: int | None = None,
    ) -> "Model":
        """Train a network on all folds but one, for each fold, and become what they give.

        Args:
            data: Radiographs with labels.
            out: Run folder; without one the run lives as long as this object.
            folds: Number of folds, 2 to 50.
            result: ``ensemble`` of the folds' networks, or ``refit``: one trained on all folds.
            split: CSV ``id,split``: only its part train is dealt into folds.
            test: Score the test set of ``data`` (four-part layout) once.
            resume: Go on with the run in ``out``.
            overwrite: Replace the run in ``out``.
            workers: Processes that prepare images; all cores by default.

        Returns:
            This model, trained; :attr:`metrics` are then the out-of-fold figures.

        Raises:
            BoneAgeError: See :func:`boneage.training.crossval.crossval_run`.
        """
        done = crossval_run(
            data,
            self.settings,
            self._folder(out, "crossval"),
            folds=folds,
            result=result,
            split=None if split is None else Path(split),
            test=test,
            resume=resume,
            overwrite=overwrite,
            workers=workers,
        )
        assert done.combined is not None  # no fold was left out
        self.run, self.crossvalidation = None, done
        self.bundle = done.combined.bundle
        self._predictor = None
        return self

    def _folder(self, out: str | os.PathLike[str] | None, name: str) -> Path:
        """The run folder, or one that goes with this object."""
        if out is not None:
            return Path(out)
        self._scratch[name] = tempfile.TemporaryDirectory(prefix="boneage-")
        return Path(self._scratch[name].name) / name

    @property
    def metrics(self) -> Metrics:
        """Figures on the validation part of the training run, or out of fold.

        Raises:
            TrainingError: This model was not trained here.
        """
        if self.crossvalidation is not None and self.crossvalidation.combined is not None:
            return self.crossvalidation.combined.out_of_fold
        if self.run is None:
            raise TrainingError("This model has no training run: call train(data) first.")
        return self.run.metrics

    @property
    def predictor(self) -> Predictor:
        """The trained model as it predicts, by ONNX Runtime.

        Raises:
            TrainingError: There is no trained model yet.
        """
        if self._predictor is None:
            self._predictor = load(self._opened())
        return self._predictor

    def _opened(self) -> Bundle:
        if self.bundle is None:
            raise TrainingError("This model is not trained yet: call train(data) or load(bundle).")
        return Bundle.open(self.bundle)

    def predict(
        self, radiograph: Radiograph | str | os.PathLike[str], sex: Sex | str | None = None
    ) -> Prediction:
        """Bone age of one radiograph; see :meth:`boneage.Predictor.predict`."""
        return self.predictor.predict(radiograph, sex=sex)

    def evaluate(self, data: Data) -> Metrics:
        """Figures on other data, prepared as this model wants it.

        Args:
            data: Radiographs with labels that this model was not trained on.

        Raises:
            BoneAgeError: The data cannot be prepared, or there is no trained model.
        """
        return evaluate_bundle(self._opened(), data)

    def save(self, bundle: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the trained model as a bundle, a folder or (``.zip``) one file.

        Args:
            bundle: Where to.
            overwrite: Replace a bundle that is there.

        Returns:
            The bundle's path.

        Raises:
            TrainingError: There is no trained model yet.
            RunExistsError: Something is there already.
            OutputError: The system refused to write.
        """
        opened = self._opened()
        weights = opened.read_weights()
        with tempfile.TemporaryDirectory() as scratch:
            file = None if weights is None else Path(scratch) / WEIGHTS_FILE
            if file is not None and weights is not None:
                file.write_bytes(weights)
            graph, card = opened.onnx_bytes, opened.card
            return write_bundle(bundle, onnx=graph, card=card, weights=file, overwrite=overwrite)

    @classmethod
    def load(cls, bundle: str | os.PathLike[str]) -> "Model":
        """Open a trained model.

        Raises:
            BundleError: It is missing, damaged or of another release.
        """
        opened = Bundle.open(bundle)
        settings = opened.card.trained_on.get("settings", {})
        model = cls(TrainingSettings.from_dict(settings))
        model.bundle = Path(bundle)
        return model
