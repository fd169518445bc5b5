"""The intake network: one look at the whole picture."""

import torch
from torch import nn
from torch.nn import functional


def _step(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
    )


class Stage(nn.Module):
    """Half the size, more channels, then ``depth`` residual convolutions."""

    def __init__(self, inside: int, outside: int, depth: int) -> None:
        super().__init__()
        self.down = _step(inside, outside, 2)
        self.more = nn.ModuleList(_step(outside, outside, 1) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of half the height and width."""
        x = functional.relu(self.down(x))
        for layer in self.more:
            x = functional.relu(x + layer(x))
        return x


class IntakeNetwork(nn.Module):
    """Class probabilities, direction of the fingers, distance from what was trained on.

    Attributes:
        widths: Channels of the four stages.
    """

    widths = (16, 32, 64, 88)

    def __init__(self, classes: int) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Sequential(_step(1, self.widths[0], 2), nn.ReLU())]
        depths = (2, 2, 1)
        for inside, outside, depth in zip(self.widths, self.widths[1:], depths, strict=False):
            stages.append(Stage(inside, outside, depth))
        self.features = nn.Sequential(*stages)
        wide = self.widths[-1]
        self.kind = nn.Linear(wide, classes)
        self.toward = nn.Linear(wide, 2)
        self.register_buffer("centre", torch.zeros(wide))
        self.register_buffer("whiten", torch.eye(wide))

    def embed(self, image: torch.Tensor) -> torch.Tensor:
        """The penultimate features, shape (N, width)."""
        return self.features(image).mean((2, 3))

    def heads(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, classes) and direction (N, 2)."""
        return self.kind(features), self.toward(features)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the graph gives: probabilities (N, classes), direction (N, 2), distance (N,)."""
        features = self.embed(image)
        logits, direction = self.heads(features)
        away = (features - self.centre) @ self.whiten
        return logits.softmax(1), direction, away.square().mean(1).sqrt()
