"""A synthetic hand radiograph whose bones mature with bone age and sex.

For demonstrating, teaching and testing without any patient's data. The growth is approximate; see
:mod:`~boneage.radiographs.phantom.anatomy` for the sources.
"""

from boneage.radiographs.phantom.dataset import write_phantom_dataset
from boneage.radiographs.phantom.draws import draw_parameters
from boneage.radiographs.phantom.parameters import (
    PhantomChild,
    PhantomFilm,
    PhantomMarker,
    PhantomParameters,
    PhantomPose,
)
from boneage.radiographs.phantom.rendering import draw_phantom, render

__all__ = [
    "PhantomChild",
    "PhantomFilm",
    "PhantomMarker",
    "PhantomParameters",
    "PhantomPose",
    "draw_parameters",
    "draw_phantom",
    "render",
    "write_phantom_dataset",
]
