"""Talking faces made from a seed, listed like the recordings of any other corpus."""

from pathlib import Path

import pandas as pd

from emolib.corpora import ravdess
from emolib.corpora.manifest import CorpusError, build
from emolib.synthetic import CLASSES, RATE, clip_facts, ensure

__all__ = ["CLASSES", "manifest"]


def manifest(
    root: str | Path | None = None,
    actors: int = 4,
    seed: int = 0,
    modality: str = "audiovisual",
    *,
    statements: int = 2,
    full: bool = False,
    leak: str | None = None,
    n_jobs: int = 2,
    progress: bool = True,
) -> pd.DataFrame:
    """List the synthetic RAVDESS clips, rendering those that are missing.

    Parameters
    ----------
    modality
        ``"audiovisual"`` (``01-*.mp4``), ``"audio"`` (``03-*.wav``, the same sound) or
        ``"video"`` (``02-*.mp4``, the same pictures).

    Returns
    -------
    DataFrame
        A manifest with corpus ``synthetic`` and the further columns of RAVDESS, ``sex`` and
        ``twin``; ``clip_id`` is the RAVDESS file stem. In a leak corpus ``emotion`` is the label,
        not what is shown (see `cues`).
    """
    kinds = {"audiovisual": ("01", ".mp4"), "video": ("02", ".mp4"), "audio": ("03", ".wav")}
    if modality not in kinds:
        raise CorpusError(f"unknown modality {modality!r}: known are {', '.join(kinds)}")
    folder = ensure(
        actors, seed, root, statements=statements, full=full, leak=leak,
        silent=modality == "video", n_jobs=n_jobs, progress=progress,
    )  # fmt: skip
    code, suffix = kinds[modality]
    silent = {"channel": "none", "sample_rate": pd.NA} if modality == "video" else {}
    rows = []
    for stem, facts in clip_facts(actors, statements, full):
        home = folder / "ravdess" / f"Actor_{facts['actor']:02}"
        path = home / f"{code}-{stem}{suffix}"
        row = ravdess.parse(path) | {"path": str(path), "corpus": "synthetic", "twin": stem}
        row |= {name: str(facts[name]) for name in ("statement", "repetition")}
        duration = _duration(home / f"03-{stem}.wav")
        rows.append(row | {"duration_s": duration, "sample_rate": RATE} | silent)
    return build(rows)


def _duration(path: Path) -> float:
    import soundfile

    return soundfile.info(path).duration
