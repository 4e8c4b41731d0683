"""From clips to arrays: what the loaders of all papers share.

A paper's `load` takes a manifest, has one or more inputs made of each clip, keeps the clips
that have them all, and brings the values into the manifest's order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from emolib import corpora
from emolib.corpora.manifest import subset
from emolib.features.store import FeatureRecipe
from emolib.papers.experiment import ExperimentError
from emolib.papers.experiment import choose as choose

#: Clip ids, values (clips, …), and what goes into the result about them.
Part = tuple[list[str], np.ndarray, dict[str, Any]]


def refuse_silent_pictures(corpus: str, modality: str) -> None:
    """Refuse to look for faces in RAVDESS's sound files."""
    if corpus == "ravdess" and modality != "audio":
        raise ExperimentError(
            "the RAVDESS recordings of this book are its sound files: use modality='audio', or "
            "corpus='paired' (RAVDESS voices with FER2013 faces) for pictures"
        )


# --- which clips ---------------------------------------------------------------------------


def quarter(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the clips of one statement and one repetition: for quick runs."""
    return subset(manifest, (manifest["statement"] == "01") & (manifest["repetition"] == "01"))


def complete(manifest: pd.DataFrame, ids: Iterable[Iterable[str]]) -> tuple[pd.DataFrame, int]:
    """Return the clips that all of the lists name, and how many others there were.

    A clip counts only if every modality could be extracted.
    """
    kept = manifest["clip_id"].isin(set.intersection(*map(set, ids)))
    return subset(manifest, kept), int((~kept).sum())


def classes(corpus: str, manifest: pd.DataFrame) -> tuple[tuple[str, ...], Tensor]:
    """Return the emotions of a corpus that occur, and each clip's number among them."""
    names = tuple(name for name in corpora.classes(corpus) if name in set(manifest["emotion"]))
    return names, torch.tensor([names.index(emotion) for emotion in manifest["emotion"]])


# --- values of each clip -------------------------------------------------------------------


def extracted(manifest: pd.DataFrame, recipe: FeatureRecipe, n_jobs: int, progress: bool) -> Part:
    """Return a recipe's features of all clips that have them, from the store where it can."""
    from emolib.features import store

    features = store.extract(manifest, recipe, n_jobs=n_jobs, progress=progress)
    said = {"recipe": repr(recipe), "digest": recipe.digest(), "problems": len(features.problems)}
    for column in ("missed_frames", "beyond_end"):
        if column in features.manifest:
            said[column] = int(features.manifest[column].sum())
    return features.manifest["clip_id"].tolist(), np.asarray(features.values), said


def versions(
    manifest: pd.DataFrame, recipes: Mapping[str, FeatureRecipe], n_jobs: int, progress: bool
) -> Part:
    """Return several versions of each clip, (clips, versions, …), of clips that have them all.

    Parameters
    ----------
    recipes
        Name → recipe; the original comes first.
    """
    parts = [extracted(manifest, recipe, n_jobs, progress) for recipe in recipes.values()]
    manifest, _ = complete(manifest, [ids for ids, _, _ in parts])
    values = np.stack([aligned(ids, array, manifest) for ids, array, _ in parts], axis=1)
    digests = {name: said["digest"] for name, (_, _, said) in zip(recipes, parts, strict=True)}
    return manifest["clip_id"].tolist(), values, {**parts[0][2], "versions": digests}


def one_version(values: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw one version of each sample in training, and take the original outside of it.

    Parameters
    ----------
    values
        Shape (B, versions, …), the original first.
    generator
        None outside training.

    Returns
    -------
    Tensor
        Shape (B, …).
    """
    n, count = values.shape[:2]
    if generator is None or count == 1:
        return values[:, 0]
    which = torch.randint(count, (n,), generator=generator, device=generator.device)
    return values[torch.arange(n, device=values.device), which.to(values.device)]


def augmenter(changes: Sequence[tuple[str, Callable]]) -> Callable | None:
    """Return an ``augment`` for `training.fit` that applies changes in order, or None for none.

    Parameters
    ----------
    changes
        (input, change): ``change(values, generator)`` returns the changed values of that input;
        a batch without the input is left as it is.
    """
    if not changes:
        return None

    def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        changed = dict(inputs)
        for name, change in changes:
            if name in changed:
                changed[name] = change(changed[name], generator)
        return changed

    return augment


def aligned(ids: Iterable[str], values: np.ndarray, manifest: pd.DataFrame) -> np.ndarray:
    """Return the values in the order of the manifest, all of whose clips must be among `ids`."""
    at = pd.Index(ids).get_indexer(manifest["clip_id"])
    if (at < 0).any():
        raise ValueError(f"no values for clip {manifest['clip_id'].iloc[int(at.argmin())]}")
    return np.ascontiguousarray(values[at])


def below(root: str | Path | None, name: str) -> Path | None:
    """Return the folder `name` in `root`, or None to look where corpora usually lie."""
    return Path(root) / name if root else None


# --- pictures dealt to voices (the paired corpus) ------------------------------------------


def dealt_faces(
    manifest: pd.DataFrame, frames: int, size: int, seed: int, root: str | Path | None
) -> Part:
    """Return the FER2013 pictures of paired clips: uint8 (clips, frames, size, size).

    FER2013 holds no larger faces than 48×48; others are made from them by interpolation.
    """
    from emolib.corpora import fer2013, paired

    rows = paired.frames(manifest, frames, seed, root=root)
    values = np.array(fer2013.images(below(root, "fer2013"))[rows])
    if size != values.shape[-1]:
        resized = F.interpolate(
            torch.from_numpy(values).float(), (size, size), mode="bilinear", align_corners=False
        )
        values = resized.round().clamp(0, 255).to(torch.uint8).numpy()
    said = {"recipe": f"{frames} FER2013 pictures a clip, {size}×{size}", "seed": seed}
    return manifest["clip_id"].tolist(), values, said


def dealt_groups(
    manifest: pd.DataFrame, frames: int, seed: int, root: str | Path | None
) -> np.ndarray:
    """Return the groups of near-duplicates that each clip's pictures belong to, (clips, frames)."""
    from emolib.corpora import fer2013, paired, pictures

    groups = pictures.near_duplicates(fer2013.images(below(root, "fer2013")))
    return groups[paired.frames(manifest, frames, seed, root=root)]
