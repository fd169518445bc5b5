"""``Model``: the face of training."""

import os
import tempfile
from pathlib import Path
from typing import Any

from boneage.dataset.data import Data
from boneage.errors import SettingsError, TrainingError
from boneage.evaluation.metrics import Metrics, evaluate
from boneage.inference.bundle import WEIGHTS_FILE, Bundle, write_bundle
from boneage.inference.predictor import Prediction, Predictor, load
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.training.crossval import CrossvalRun, crossval_run
from boneage.training.measuring import predict_prepared
from boneage.training.run import TrainedRun, train_run
from boneage.training.settings import TrainingSettings

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
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
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
            self._run_folder(out),
            split=None if split is None else Path(split),
            resume=resume,
            overwrite=overwrite,
            workers=workers,
        )
        self.crossvalidation = None
        self.bundle = self.run.bundle
        self._predictor = None
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
            result: ``ensemble`` of the folds' networks, or ``refit``: one network that is trained
                once more, on all folds.
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
            self._run_folder(out),
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

    def _run_folder(self, out: str | os.PathLike[str] | None) -> Path:
        """The folder that was asked for, or one that lives as long as this object."""
        if out is not None:
            return Path(out)
        self._scratch = tempfile.TemporaryDirectory(prefix="boneage-")
        return Path(self._scratch.name) / "run"

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
            raise TrainingError(
                "This model is not trained yet: call train(data), or Model.load(bundle)."
            )
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
        bundle = self._opened()
        preparation = bundle.card.preparation
        wanted = None if preparation is None else dict(preparation)
        given = None if data.preparation is None else data.preparation.to_dict()
        if given != wanted:
            settings = None if wanted is None else f"PreparationSettings.from_dict({wanted})"
            raise SettingsError(
                "The data is not prepared as this model was trained: give "
                f"Data(..., preparation={settings})."
            )
        prepared = data.prepare()
        predicted, _ = predict_prepared(bundle, prepared)
        sexes = [Sex.MALE if value else Sex.FEMALE for value in prepared.sexes]
        return evaluate(prepared.bone_ages_months, predicted, sexes)

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
            file = Path(scratch) / WEIGHTS_FILE
            if weights is not None:
                file.write_bytes(weights)
            return write_bundle(
                bundle,
                onnx=opened.onnx_bytes,
                card=opened.card,
                weights=None if weights is None else file,
                overwrite=overwrite,
            )

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
