"""A face network that is trained once, on pictures that no clip shows, and then stays as it is.

Training MobileNetV2 anew in every fold costs a hundred times what the rest of a small
audio-visual network costs. The usual way out is to take its features from a network trained on
other faces. The paired corpus has them: of the 30,771 FER2013 pictures its clips show a sixth.
The others, less their near-duplicates of shown ones, train the face network, so that no fold's
test pictures have any part in it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emolib import models, paths, training
from emolib.papers.augment import augmenter, mirror
from emolib.training import Samples, TrainingRecipe

#: A tenth of the pictures validates. No paper says anything of this step, so it is kept short.
RECIPE = TrainingRecipe(
    optimizer="adam", lr=3e-3, batch_size=128, max_epochs=5, scheduler="onecycle", monitor="loss"
)
#: FER2013's grey values, on a scale of 0 to 1.
MEAN, SD = 0.5, 0.25


@dataclass(frozen=True)
class PictureNetwork:
    """MobileNetV2 or ShuffleNetV2 without its classifier, as it was left by training.

    Parameters
    ----------
    name
        "mobilenetv2" or "shufflenetv2".
    spatial
        The network: faces ``(B, 3, H, W)`` to features ``(B, width)``.
    said
        How it came about; goes into the results.
    """

    name: str
    spatial: torch.nn.Module
    said: dict

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 ``(…, width)`` for grey uint8 pictures ``(…, H, W)``."""
        flat = torch.from_numpy(np.ascontiguousarray(pictures)).flatten(0, -3)  # (N, H, W)
        self.spatial.eval()
        with torch.inference_mode():
            parts = [self.spatial(normalised(part)) for part in flat.split(256)]
        return torch.cat(parts).numpy().reshape(*pictures.shape[:-2], -1)


def normalised(pictures: Tensor) -> Tensor:
    """Return ``(…, 3, H, W)`` with mean about 0 and sd about 1 for grey uint8 ``(…, H, W)``."""
    grey = (pictures.float() / 255 - MEAN) / SD
    return grey.unsqueeze(-3).expand(*grey.shape[:-2], 3, *grey.shape[-2:])


def untrained(name: str, seed: int = 0) -> PictureNetwork:
    """Return a network with random weights: it tells faces apart, but nobody told it how."""
    return PictureNetwork(
        name, _classifier(name, seed).get_submodule("spatial"), {"network": name, "trained": "no"}
    )


def trained(
    name: str,
    pictures: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    recipe: TrainingRecipe = RECIPE,
    device: str = "auto",
    progress: bool = True,
) -> PictureNetwork:
    """Return a network trained to name the emotion of single pictures; made once, then stored.

    Parameters
    ----------
    name
        "mobilenetv2" or "shufflenetv2".
    pictures
        Grey uint8 ``(N, H, W)``.
    labels
        Numbers of the emotions ``(N,)``.
    """
    pictures, labels = np.ascontiguousarray(pictures), np.asarray(labels, np.int64)
    n_classes = int(labels.max()) + 1
    recipe_of_all = {
        "network": name,
        "recipe": recipe.digest(),
        "seed": seed,
        "pictures": hashlib.sha256(pictures.tobytes()).hexdigest()[:16],
        "labels": hashlib.sha256(labels.tobytes()).hexdigest()[:16],
    }
    digest = hashlib.sha256(json.dumps(recipe_of_all, sort_keys=True).encode()).hexdigest()[:12]
    file = paths.FEATURES / f"face-network-{digest}" / "network.pt"
    if not file.exists():
        samples = Samples(
            {"video": torch.from_numpy(pictures[:, None])},  # (N, 1, H, W)
            torch.from_numpy(labels),
        )
        fresh = _classifier(name, seed, n_classes)
        _train(fresh, samples, recipe, file, seed=seed, device=device, progress=progress)
    stored = torch.load(file, map_location="cpu", weights_only=True)
    # A new network, and not the one just trained: the layout of its weights in memory is another,
    # and with it the last digit of every feature.
    model = _classifier(name, seed, n_classes)
    model.load_state_dict(stored["weights"])
    said = {
        "network": name,
        "trained": f"{len(labels)} pictures that no clip shows, {recipe.max_epochs} epochs",
        "valid_accuracy": stored["valid_accuracy"],
        "digest": digest,
    }
    return PictureNetwork(name, model.get_submodule("spatial"), said)


def _classifier(name: str, seed: int, n_classes: int = 7) -> torch.nn.Module:
    """Return Yang's own video stream: a picture is a video of one frame."""
    training.seed_everything(seed)
    return models.build("yang", n_classes=n_classes, modality="video", spatial=name)


def _train(
    model: torch.nn.Module, samples: Samples, recipe: TrainingRecipe, file: Path, **options: Any
) -> None:
    """Keep what a tenth of the samples calls the best weights; `options` are `training.fit`'s."""
    order = np.random.default_rng(options["seed"]).permutation(len(samples))
    cut = len(order) // 10
    fitted = training.fit(
        model,
        samples.take(order[cut:]),
        samples.take(order[:cut]),
        recipe,
        augment=augmenter([("video", mirror)]),
        prepare=lambda inputs, _: {"video": normalised(inputs["video"])},
        **options,
    )
    best = fitted.history.iloc[fitted.best_epoch - 1]
    weights = {name: values.cpu() for name, values in fitted.model.state_dict().items()}
    accuracy = round(float(best["valid_accuracy"]), 4)
    with paths.atomic(file) as temporary:
        torch.save({"weights": weights, "valid_accuracy": accuracy}, temporary)
