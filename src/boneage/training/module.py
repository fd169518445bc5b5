"""One training step, one validation step: the Lightning module."""

import math
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.nn import functional

from boneage.errors import TrainingError
from boneage.network.build import Answer, BoneAgeNetwork
from boneage.training.augmentation import augment, draw_augmentation
from boneage.training.batches import Batch, epoch_seed
from boneage.training.settings import TrainingSettings

__all__ = ["LABEL_SD_MONTHS", "BoneAgeModule", "distribution_loss", "spread_loss", "weight_groups"]

_AUGMENTATION, _DROPOUT = 1, 2
LABEL_SD_MONTHS = 8.0
"""Standard deviation of the distribution that stands for a label, in months."""

_SHAPE_WEIGHT = 0.2
# Enough for the expected error to be learned, little enough to leave the answer in charge.
_SPREAD_WEIGHT = 0.1


def weight_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights with decay, and biases and normalisation without it; frozen ones in neither."""
    learning = [p for p in network.parameters() if p.requires_grad]
    decayed = [p for p in learning if p.ndim > 1]
    plain = [p for p in learning if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def spread_loss(spread: Tensor, months: Tensor, labels: Tensor) -> Tensor:
    """How badly the expected errors fit the errors made: minus a Laplace log likelihood.

    The errors count as given, so that the expected error learns from the answer and the answer
    never trades accuracy for a likelier error.

    Args:
        spread: Expected absolute errors in months, shape (N,), above 0.
        months: Answers in months, shape (N,).
        labels: Bone ages in months, shape (N,).

    Returns:
        The mean over the batch.
    """
    errors = (months - labels).abs().detach()
    return (spread.log() + errors / spread).mean()


def distribution_loss(logits: Tensor, labels: Tensor, ages_months: Tensor) -> Tensor:
    """Cross-entropy against a normal distribution about each label (label distribution learning).

    A label is one reading to the nearest of an atlas's plates, so neighbouring ages are nearly as
    right as the one that was written down. After Gao et al. 2017, doi:10.1109/TIP.2017.2689998.

    Args:
        logits: Shape (N, ages).
        labels: Bone ages in months, shape (N,).
        ages_months: The ages, shape (ages,).

    Returns:
        The mean over the batch.
    """
    away = (ages_months - labels[:, None]) / LABEL_SD_MONTHS
    wanted = torch.softmax(-0.5 * away.square(), dim=1)
    return -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()


class BoneAgeModule(lightning.LightningModule):
    """Trains a :class:`~boneage.network.build.BoneAgeNetwork`.

    Args:
        network: Answers in months.
        settings: How to train.
    """

    def __init__(self, network: BoneAgeNetwork, settings: TrainingSettings) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = settings
        self._generator = torch.Generator()
        self._train_loss = self._train_error = self._validation_error = 0.0
        self._train_count = self._validation_count = 0

    def on_train_epoch_start(self) -> None:
        """Seed the epoch by its number: an epoch begun again takes the same course."""
        moment = self.settings.seed, self.current_epoch
        rank = self.trainer.global_rank
        self._generator.manual_seed(epoch_seed(*moment, _AUGMENTATION, rank))
        torch.manual_seed(epoch_seed(*moment, _DROPOUT, rank))
        self._train_loss = self._train_error = 0.0
        self._train_count = 0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of an augmented batch.

        Raises:
            TrainingError: The loss is not finite.
        """
        images = batch["image"].float() / 255
        if not self.settings.augmentation.is_off:
            draw = draw_augmentation(
                len(images), self.settings.augmentation, generator=self._generator
            )
            images = augment(images, draw)
        images = images.contiguous(memory_format=torch.channels_last)
        answers = self.network.answers(images, batch["sex"], learning=True)
        loss = torch.stack([self._loss(answer, batch["months"]) for answer in answers]).mean()
        months = torch.stack([answer.months for answer in answers]).mean(dim=0)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"The loss is not finite in epoch {self.current_epoch + 1}, step {index + 1}. "
                "Try a lower --learning-rate or --precision float32."
            )
        count = len(months)
        self._train_loss += value * count
        self._train_error += float((months.detach() - batch["months"]).abs().sum())
        self._train_count += count
        # The gradients of all processes are averaged, whatever the sizes of their slices.
        share = count * self.trainer.world_size / int(batch["whole"])
        return loss if share == 1 else loss * share

    def validation_step(self, batch: Batch, index: int) -> None:  # noqa: ARG002
        """Sum up absolute errors in months."""
        months = self.network(batch["image"].float() / 255, batch["sex"])
        self._validation_error += float((months - batch["months"]).abs().sum())
        self._validation_count += len(months)

    def on_validation_epoch_start(self) -> None:
        """Start the sums anew."""
        self._validation_error, self._validation_count = 0.0, 0

    def on_validation_epoch_end(self) -> None:
        """Report the validation MAE in months."""
        error, count = self._of_all(self._validation_error, self._validation_count)
        self.log("validation_mae_months", error / max(1, count), prog_bar=True, sync_dist=True)

    def on_train_epoch_end(self) -> None:
        """Report loss and MAE of the epoch."""
        self.log_dict(self.train_figures(), sync_dist=True)

    def train_figures(self) -> dict[str, float]:
        """Loss and MAE in months of the epoch so far, as trained (augmented, dropout on).

        They are those of all processes, so every one of them must ask.
        """
        loss, error, count = self._of_all(self._train_loss, self._train_error, self._train_count)
        return {
            "train_loss": loss / max(1, count),
            "train_mae_months": error / max(1, count),
        }

    def _of_all(self, *sums: float) -> list[float]:
        """Sums over all processes; every one of them must ask."""
        if self.trainer.world_size == 1:
            return list(sums)
        mine = torch.tensor(sums, dtype=torch.float64, device=self.device)
        together: list[float] = self.trainer.strategy.reduce(mine, reduce_op="sum").tolist()
        return together

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip the norm of the gradient.

        Lightning refuses to do it for fused optimisers, which might unscale gradients; bf16 and
        float32 have none that are scaled.
        """
        if gradient_clip_val:
            nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)

    def _loss(self, answer: Answer, labels: Tensor) -> Tensor:
        """How far an answer is from the labels, and how badly it expects that."""
        loss = self._months_loss(answer, labels)
        if answer.expected_error_months is None:
            return loss
        return loss + _SPREAD_WEIGHT * spread_loss(
            answer.expected_error_months, answer.months, labels
        )

    def _months_loss(self, answer: Answer, labels: Tensor) -> Tensor:
        scale = self.network.sd_months
        predicted, wanted = answer.months / scale, labels / scale
        if self.settings.loss == "distribution" and answer.logits is not None:
            shape = distribution_loss(answer.logits, labels, self.network.ages_months)
            return functional.l1_loss(predicted, wanted) + _SHAPE_WEIGHT * shape
        if self.settings.loss == "smooth_l1":
            return functional.smooth_l1_loss(predicted, wanted, beta=0.25)
        if self.settings.loss == "mse":
            return functional.mse_loss(predicted, wanted)
        return functional.l1_loss(predicted, wanted)

    def configure_optimizers(self) -> Any:
        """AdamW; a linear warm-up, then half a cosine to zero, step by step."""
        settings = self.settings
        optimizer = torch.optim.AdamW(
            weight_groups(self.network, settings.weight_decay),
            lr=settings.learning_rate,
            fused=True,
        )
        steps = max(1, cast(int, self.trainer.estimated_stepping_batches))
        warmup = round(settings.warmup * steps)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
