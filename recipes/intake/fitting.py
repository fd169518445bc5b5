"""Training the intake network, and setting its thresholds on radiographs that it has not seen."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from intake_network import IntakeNetwork
from numpy.typing import NDArray
from pool import Hand
from samples import CLASSES, Pools, draw_sample, lay
from torch.nn import functional

from boneage.inference.intake import intake_image

HAND = CLASSES.index("hand")


@dataclass(frozen=True)
class Plan:
    """How it is trained.

    Attributes:
        size_px: Side of what the network sees.
        steps: Steps of the optimiser.
        fresh: New samples a step. Each is learned from in one of its seven other positions too
            (quarter turns and mirrored), because making it costs more than looking at it.
        learning_rate: The highest, reached after a tenth of the steps.
        seed: Of the samples and the weights.
    """

    size_px: int = 80
    steps: int = 3500
    fresh: int = 32
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Images (N, 1, S, S), labels (N,), directions (N, 2) as cosine and sine, NaN where none."""

    images: torch.Tensor
    labels: torch.Tensor
    directions: torch.Tensor


def train(pools: Pools, plan: Plan) -> IntakeNetwork:
    """Train a network from nothing."""
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    network = IntakeNetwork(len(CLASSES)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=0.03)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.learning_rate, total_steps=plan.steps, pct_start=0.1
    )
    network.train()
    started, seen = time.monotonic(), np.zeros(4)
    for step in range(1, plan.steps + 1):
        batch = draw_batch(pools, plan, rng)
        logits, direction = network.heads(network.embed(batch.images))
        kind_loss = functional.cross_entropy(logits, batch.labels, label_smoothing=0.02)
        known = ~batch.directions[:, 0].isnan()
        direction_loss = (direction - batch.directions)[known].square().sum(1).mean()
        loss = kind_loss + direction_loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        right = (logits.argmax(1) == batch.labels).float().mean()
        seen += [kind_loss.item(), direction_loss.item(), right.item(), 1]
        if step % 100 == 0:
            kind, toward, share, _ = seen / seen[3]
            spent = time.monotonic() - started
            print(
                f"{step:5} kind {kind:.3f} right {share:.3f} direction {toward:.3f} {spent:.0f} s"
            )
            seen[:] = 0
    return network.eval()


def draw_batch(pools: Pools, plan: Plan, rng: np.random.Generator) -> Batch:
    """Fresh samples, then each of them in another position."""
    samples = [draw_sample(pools, plan.size_px, rng) for _ in range(plan.fresh)]
    images = [sample.image for sample in samples]
    angles = [sample.angle_deg for sample in samples]
    for sample in samples:
        position = int(rng.integers(1, 8))
        image, angle = sample.image, sample.angle_deg
        if position >= 4:
            image, angle = image[:, ::-1], -angle
        images.append(np.rot90(image, position % 4))
        angles.append(angle + 90 * (position % 4))
    radians = np.radians(np.array(angles, np.float32))
    return Batch(
        torch.from_numpy(np.stack(images)[:, None]).contiguous(memory_format=torch.channels_last),
        torch.tensor([sample.label for sample in samples] * 2),
        torch.from_numpy(np.stack([np.cos(radians), np.sin(radians)], 1)),
    )


@torch.inference_mode()
def fit_distance(network: IntakeNetwork, pools: Pools, plan: Plan, count: int = 4000) -> None:
    """Centre and whitening of the features of hands, laid and framed as hands are in training."""
    rng = np.random.default_rng(plan.seed + 1)
    features = []
    while len(features) * 50 < count:
        images = []
        for _ in range(50):
            hand = pools.hand(rng)
            picture = hand.image if rng.random() < 0.5 else lay(hand.image, rng)[0]
            images.append(intake_image(picture, plan.size_px))
        features.append(network.embed(torch.from_numpy(np.stack(images)[:, None])))
    known = torch.cat(features).double()
    centred = known - known.mean(0)
    covariance = centred.T @ centred / len(centred)
    # A little of the mean variance keeps directions in which hands hardly vary from deciding all.
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(len(covariance))
    values, vectors = torch.linalg.eigh(covariance)
    network.centre.copy_(known.mean(0))
    network.whiten.copy_(vectors @ torch.diag(values.rsqrt()))


@torch.inference_mode()
def judge(network: IntakeNetwork, hands: list[Hand], plan: Plan) -> dict[str, NDArray[Any]]:
    """The outputs for hands as they are, in each of the four positions: shape (hands, 4).

    Each is the mean of the image and its mirror image, as the gate takes it.
    """
    probabilities, distances = [], []
    for hand in hands:
        image = intake_image(hand.image, plan.size_px)
        turned = np.stack([np.rot90(image, turns) for turns in range(4)])
        both = np.stack([turned, turned[..., ::-1]], 1).reshape(8, 1, *image.shape)
        outputs = network(torch.from_numpy(both))
        probabilities.append(outputs[0][:, HAND].reshape(4, 2).mean(1).numpy())
        distances.append(outputs[2].reshape(4, 2).mean(1).numpy())
    return {"hand_probability": np.stack(probabilities), "distance": np.stack(distances)}


def set_thresholds(outputs: dict[str, NDArray[Any]]) -> dict[str, float]:
    """Limits from hands that were held out of training.

    The probability refuses 1 hand in 250 (but it never has to be above 0.6), the distance 1 in
    1,000. Below a certainty of 0.3 no direction is given.
    """
    probability = min(0.6, float(np.quantile(outputs["hand_probability"], 0.004)))
    return {
        "hand_probability": round(max(0.3, probability), 3),
        "distance": round(float(np.quantile(outputs["distance"], 0.999)), 3),
        "certainty": 0.3,
    }
