"""What a paper trains on: samples as tensors, and the clips they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from emolib.corpora import splits
from emolib.training import Augment, Prepare, Samples


def as_stored(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Give the network what is stored."""
    return inputs


@dataclass(frozen=True)
class Dataset:
    """What a paper trains on: samples as tensors, and the clips they come from.

    Attributes
    ----------
    samples
        Rows in the order clip 0 segment 0, clip 0 segment 1, …: clips · n_segments in all.
    manifest
        One row for each clip.
    n_segments
        Samples per clip.
    classes
        Names of the labels 0, 1, ….
    prepare, augment
        As in `training.fit`.
    features
        What the inputs are: recipes, digests, counts of clips left out (goes into the result).
    standardise
        Input name → axes. The input is brought to mean 0 and sd 1 over these axes with the
        statistics of the training rows alone.
    copies
        Augmented twins of all samples, row by row; those of the training rows join training.
    images
        Per clip the numbers of the images it shows (clips, k), where images are dealt to
        clips, so that the split can be checked for shared ones.
    problems
        The files that could not be used: ``path, cause, remedy``.
    """

    samples: Samples
    manifest: pd.DataFrame
    n_segments: int
    classes: tuple[str, ...]
    prepare: Prepare = as_stored
    augment: Augment | None = None
    features: dict[str, Any] = field(default_factory=dict)
    standardise: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    copies: tuple[Samples, ...] = ()
    images: np.ndarray | None = None
    problems: pd.DataFrame = field(default_factory=pd.DataFrame)

    def parts(self, split: splits.Split, fold: int = 0) -> tuple[Samples, Samples, Samples]:
        """Return training, validation and test samples of one fold, as `run` uses them.

        Training includes the copies; all three are standardised with the training rows'
        statistics where the data set asks for it.
        """
        return self.take(self.rows(split, fold))

    def rows(self, split: splits.Split, fold: int = 0) -> dict[str, np.ndarray]:
        """Return the sample numbers of each part of a fold, ascending."""
        return {
            part: np.sort(split.indices(self.manifest, fold, part, self.n_segments))
            for part in splits.PARTS
        }

    def take(self, rows: Mapping[str, np.ndarray]) -> tuple[Samples, Samples, Samples]:
        """Return training, validation and test samples of the rows of each part."""
        train, valid, test = (self.samples.take(rows[part]) for part in splits.PARTS)
        scales = self.scales(rows)
        for copy in self.copies:
            train = train.join(copy.take(rows["train"]))
        return scaled(train, scales), scaled(valid, scales), scaled(test, scales)

    def scales(self, rows: Mapping[str, np.ndarray]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean and sd of the training rows of each input that is standardised."""
        scales = {}
        for name, axes in self.standardise.items():
            values = self.samples.inputs[name][rows["train"]].double()
            mean, sd = values.mean(axes, keepdim=True), values.std(axes, keepdim=True, correction=0)
            scales[name] = (mean, sd.clamp(min=1e-8))
        return scales

    def counts(self, rows: np.ndarray) -> dict[str, Any]:
        """Return how many samples of each class and each actor are among `rows`."""
        clips = self.manifest.iloc[rows // self.n_segments]
        by_class = clips["emotion"].value_counts().reindex(self.classes, fill_value=0)
        return {
            "n": len(rows),
            "clips": int(clips["clip_id"].nunique()),
            "by_class": by_class.to_dict(),
            "by_actor": clips["actor"].value_counts().sort_index().to_dict(),
        }

    def actors(self, split: splits.Split, fold: int = 0, part: str = "test") -> np.ndarray:
        """Return the actor of each clip of a part, in the order of its samples."""
        rows = split.indices(self.manifest, fold, part, self.n_segments)[:: self.n_segments]
        return self.manifest["actor"].to_numpy()[rows // self.n_segments]


def scaled(samples: Samples, scales: Mapping[str, tuple[Tensor, Tensor]]) -> Samples:
    """Return samples whose inputs are brought to mean 0 and sd 1 by what `Dataset.scales` says."""
    inputs = dict(samples.inputs)
    for name, (mean, sd) in scales.items():
        inputs[name] = ((inputs[name].double() - mean) / sd).float()
    return replace(samples, inputs=inputs)
