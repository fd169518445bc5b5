"""What a training at full resolution costs: operations, counted, and processor time, measured.

    python benchmarks/training_cost.py [--config recipes/shipped.json] [--sizes 128 512]

Counts the floating-point operations of the network of a recipe, forward, for a radiograph (a
multiply-add is two; a step that trains all weights needs about three times as many), and times some
steps on one thread of this machine: augmentation, forward, backward and optimiser, in the processor
time that they took, so that whatever else runs here matters little.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from boneage.network.build import build_network
from boneage.training.augmentation import augment, draw_augmentation
from boneage.training.module import BoneAgeModule, weight_groups
from boneage.training.recipe import read_recipe
from boneage.training.settings import TrainingSettings


def step_loss(module: BoneAgeModule, settings: TrainingSettings, count: int) -> torch.Tensor:
    """Loss of a batch of noise, augmented as in training."""
    images = torch.rand(count, 1, settings.size_px, settings.size_px)
    draw = draw_augmentation(count, settings.augmentation, generator=torch.Generator())
    answer = module.network.answer(augment(images, draw), torch.ones(count))
    return module._loss(answer, torch.full((count,), 100.0))


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("recipes/shipped.json"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--all-blocks", action="store_true", help="freeze nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("size  parameters  GFLOP forward  CPU s/radiograph  radiographs/s on one thread")
    for size_px in arguments.sizes:
        settings = read_recipe(arguments.config).settings.updated(size_px=size_px)
        network = build_network(settings.network, size_px=size_px)
        blocks = 0 if arguments.all_blocks else settings.frozen_blocks
        network.freeze(blocks, settings.frozen_regions)
        module = BoneAgeModule(network, settings).train()
        optimizer = torch.optim.AdamW(weight_groups(network, 0.02), fused=True)
        counter = FlopCounterMode(display=False)
        # Forward only: of grouped convolutions the counter gets the backward pass wrong.
        with counter, torch.inference_mode():
            network(torch.zeros(1, 1, size_px, size_px), torch.zeros(1))
        seconds = []
        for _ in range(arguments.steps + 1):
            start = time.process_time()
            optimizer.zero_grad()
            step_loss(module, settings, arguments.batch_size).backward()
            optimizer.step()
            seconds.append((time.process_time() - start) / arguments.batch_size)
        middle = statistics.median(seconds[1:])
        parameters = sum(p.numel() for p in network.parameters())
        flops = counter.get_total_flops() / 1e9
        print(f"{size_px:4d}  {parameters:10,}  {flops:13.2f}  {middle:16.3f}  {1 / middle:.2f}")


if __name__ == "__main__":
    main()
