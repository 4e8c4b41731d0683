"""What keeping a small data set as tensors gains over feeding it item by item.

All ways train Ding's network at batch 128 on the same stored samples (uint8 faces, MFCC) with the
same optimiser. The plain ones are what most code for these corpora does, a `Dataset` and a
`DataLoader` with two workers: once with items that lie in memory and are only scaled one by one,
and once with each item in files of its own, a picture and an array, as features are usually kept.
The ratios are printed and not asserted: one of wall time, which on a busy machine favours the side
with more processes, and one of the processor time of all processes, which does not.
"""

import logging
import resource
import time
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_tensor

from emolib import models, training
from emolib.papers import ding
from emolib.training import Samples

pytestmark = pytest.mark.benchmark

# RAVDESS speech in sixths is 8,640 samples; pictures cost forty times as much to train on.
SAMPLES = {"audio": 6 * 1440, "both": 2 * 1440}
EPOCHS = 2
ROUNDS = 3


def stored(modality):
    """Samples as the store keeps them: uint8 faces, float MFCC."""
    n, generator = SAMPLES[modality], torch.Generator().manual_seed(0)
    inputs = {
        "audio": torch.randn(n, 40, generator=generator),
        "video": torch.randint(0, 256, (n, 1, 64, 64), dtype=torch.uint8, generator=generator),
    }
    wanted = inputs if modality == "both" else {modality: inputs[modality]}
    return Samples(wanted, torch.randint(0, 8, (n,), generator=generator))


class Items(Dataset):
    """The same samples from memory, one at a time."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        one = {name: values[index : index + 1] for name, values in self.samples.inputs.items()}
        given = ding.prepare(one, None)
        return {name: values[0] for name, values in given.items()}, self.samples.labels[index]


class Files(Dataset):
    """The same samples from one picture and one array each."""

    def __init__(self, samples, folder):
        self.labels, self.names, self.folder = samples.labels, list(samples.inputs), folder
        for index in range(len(samples)):
            for name, values in samples.inputs.items():
                if name == "video":
                    Image.fromarray(values[index, 0].numpy()).save(folder / f"{index}.png")
                else:
                    np.save(folder / f"{index}.npy", values[index].numpy())

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        inputs = {}
        if "video" in self.names:
            inputs["video"] = to_tensor(Image.open(self.folder / f"{index}.png"))
        if "audio" in self.names:
            inputs["audio"] = torch.from_numpy(np.load(self.folder / f"{index}.npy"))
        return inputs, self.labels[index]


def train_from_loader(model, items):
    """Train as a plain PyTorch script does."""
    loader = DataLoader(items, batch_size=128, shuffle=True, num_workers=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    model.train()
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(**inputs), labels).backward()
            optimizer.step()


def train_from_tensors(model, samples, precision="32-true"):
    """Train the same epochs with `training.fit`."""
    recipe = replace(ding.RECIPE, max_epochs=EPOCHS, patience=None, precision=precision)
    few = samples.take(range(2))  # validation costs next to nothing
    training.fit(model, samples, few, recipe, prepare=ding.prepare, device="cpu", progress=False)


def processor_seconds():
    """Processor time of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("modality", ["audio", "both"])
def test_tensors_against_a_loader_with_two_workers(modality, tmp_path, capsys, monkeypatch):
    # Fabric's notes on precision would go to a stream that pytest has closed by then.
    monkeypatch.setattr(logging.root.manager, "disable", logging.INFO)
    samples = stored(modality)
    tensors = partial(train_from_tensors, samples=samples)
    ways = {
        "loader, items in memory": partial(train_from_loader, items=Items(samples)),
        "loader, items in files": partial(train_from_loader, items=Files(samples, tmp_path)),
        "tensors": tensors,
        # As the chapter's runs on faces are trained; a plain script knows nothing of it.
        "tensors, bfloat16 convolutions": partial(tensors, precision="bf16-mixed"),
    }
    wall, processor = ({name: [] for name in ways} for _ in range(2))
    train_from_tensors(models.build("ding", modality=modality), samples.take(range(256)))  # imports
    for _ in range(ROUNDS):  # in turn, so that all meet the same load
        for name, way in ways.items():
            training.seed_everything(0)
            model = models.build("ding", modality=modality)
            started, used = time.perf_counter(), processor_seconds()
            way(model)
            wall[name].append(time.perf_counter() - started)
            processor[name].append(processor_seconds() - used)
    lines = []
    for what, spent in (("second", wall), ("processor second", processor)):
        rate = {name: EPOCHS * len(samples) / min(seconds) for name, seconds in spent.items()}
        lines.append(f"ding ({modality}), batch 128, samples a {what}:")
        lines += [f"    {each:>8,.0f}  {name}" for name, each in rate.items()]
        lines += [
            f"    {rate[ours] / rate[plain]:>8.1f}  {ours} : {plain}"
            for ours, plain in product(list(ways)[2:], list(ways)[:2])
        ]
    with capsys.disabled():
        print("\n" + "\n".join(lines))
