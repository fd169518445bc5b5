"""Pulls a bone age to the standards that readers give, by amounts that were learned elsewhere."""

import torch
from torch import Tensor, nn

__all__ = ["Standards"]


class Standards(nn.Module):
    """Moves answers by sex and age; between two whole months the amounts are interpolated.

    Args:
        pulls_months: Months to add to an answer of 0, 1, 2, ... months, for girls and for boys,
            float, shape (2, K). Answers beyond are moved like the last.
    """

    def __init__(self, pulls_months: Tensor) -> None:
        super().__init__()
        # Not among the weights to train on from: each cross-validation learns its own.
        self.register_buffer("pulls_months", pulls_months.float(), persistent=False)
        self.pulls_months: Tensor

    def forward(self, months: Tensor, sex: Tensor) -> Tensor:
        """Bone ages in months, shape (N,), pulled.

        Args:
            months: Bone ages, shape (N,).
            sex: 1 for male, 0 for female, float, shape (N,).
        """
        ages = torch.arange(self.pulls_months.shape[1]).to(months)
        inside = months.clamp(0, len(ages) - 1)
        # Of all whole months only the two next to the answer have a share, and the shares are 1.
        shares = torch.relu(1 - (inside[:, None] - ages).abs())
        female, male = (shares @ self.pulls_months.to(months).mT).unbind(1)
        return months + female + sex * (male - female)
