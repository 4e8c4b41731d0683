"""What keeping a small data set as tensors gains over feeding it item by item.

Both ways train Ding's network at batch 128 on the same stored samples (uint8 faces, MFCC) with
the same optimiser; the plain one is what most code for these corpora does, a `Dataset` whose items
are scaled one by one and a `DataLoader` with two workers. The ratio is printed and not asserted.
"""

import time
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from emolib import models, training
from emolib.experiments import ding
from emolib.training import Samples

pytestmark = pytest.mark.benchmark

N = 6 * 1440  # RAVDESS speech in sixths
EPOCHS = 2


def stored(modality):
    """Samples as the store keeps them: uint8 faces, float MFCC."""
    generator = torch.Generator().manual_seed(0)
    inputs = {
        "audio": torch.randn(N, 40, generator=generator),
        "video": torch.randint(0, 256, (N, 1, 64, 64), dtype=torch.uint8, generator=generator),
    }
    wanted = inputs if modality == "both" else {modality: inputs[modality]}
    return Samples(wanted, torch.randint(0, 8, (N,), generator=generator))


class Items(Dataset):
    """The same samples, one at a time."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        inputs = {name: values[index] for name, values in self.samples.inputs.items()}
        return ding.prepare(inputs, None), self.samples.labels[index]


def train_from_loader(model, samples):
    """Train one epoch as a plain PyTorch script does; return samples a second."""
    loader = DataLoader(Items(samples), batch_size=128, shuffle=True, num_workers=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    started = time.perf_counter()
    model.train()
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(**inputs), labels).backward()
            optimizer.step()
    return EPOCHS * len(samples) / (time.perf_counter() - started)


def train_from_tensors(model, samples):
    """Train the same epochs with `training.fit`; return samples a second of its epochs."""
    recipe = replace(ding.RECIPE, max_epochs=EPOCHS, patience=None)
    few = samples.take(range(2))  # validation costs next to nothing
    fitted = training.fit(
        model, samples, few, recipe, prepare=ding.prepare, device="cpu", progress=False
    )
    return EPOCHS * len(samples) / fitted.seconds


@pytest.mark.parametrize("modality", ["audio", "both"])
def test_tensors_against_a_loader_with_two_workers(modality, capsys):
    samples = stored(modality)
    rates = {"tensors": [], "loader": []}
    for _ in range(2):  # in turn, so that both meet the same load
        for name, way in (("loader", train_from_loader), ("tensors", train_from_tensors)):
            training.seed_everything(0)
            rates[name].append(way(models.build("ding", modality=modality), samples))
    tensors, loader = (max(rates[name]) for name in ("tensors", "loader"))
    with capsys.disabled():
        print(
            f"\nding ({modality}), batch 128: {tensors:,.0f} samples/s on tensors, {loader:,.0f} "
            f"from a loader with two workers: ratio {tensors / loader:.1f}"
        )
    assert min(tensors, loader) > 0
