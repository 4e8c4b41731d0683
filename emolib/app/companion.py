"""Lu's system on one clip: 15 faces, one voice, one fused decision, and the time of each stage.

What the companion robot does (Sections III and V-C): cut the clip into 15 equal parts, find the
face in the middle of each, average the MFCC of the sound over time, ask both networks, and take
the geometric mean of their answers. What is missing is said, never guessed: without a sound
track the face decides alone, without a face the voice.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emolib import paths
from emolib.app.predict import CONFIDENCE, Reading, fuse, in_lines
from emolib.app.weights import PredictionError, PublishedNetwork, network, publish
from emolib.features import audio, video
from emolib.features.store import FeatureProblem

WEIGHTS = paths.WEIGHTS / "lu"
PAPER_MS = 58  # Table V: "inference time" of one sample, on hardware that is not named beside it
#: What the book shows: the paper's choice of each branch, first seed and fold.
PUBLISHED = ("paired-video-F4", "audio-actor")


@dataclass(frozen=True)
class Decision:
    """What both streams say of one clip, and what it took.

    Attributes
    ----------
    face, voice
        Reading of each stream, or None where there is nothing to read.
    fusion
        Geometric mean over the emotions that both know, or None.
    milliseconds
        Stage → time; "total" is their sum.
    notes
        What is missing, and why.
    missed_frames
        Frames without a face of those looked at; each takes the nearest found one.
    """

    file: str
    face: Reading | None = None
    voice: Reading | None = None
    fusion: Reading | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    missed_frames: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "file": self.file,
            **{name: one.to_dict() if one else None for name, one in self._readings().items()},
            "missed_frames": self.missed_frames,
            "notes": list(self.notes),
            "milliseconds": {name: round(ms, 1) for name, ms in self.milliseconds.items()},
            "paper_milliseconds": PAPER_MS,
        }

    def lines(self) -> list[str]:
        """Return the decision as a terminal shows it, with the time of every stage."""
        times = {**self.milliseconds, "the paper": PAPER_MS}
        stages = [f"{stage:>14} {ms:8.1f} ms" for stage, ms in times.items()]
        return in_lines(self._readings(), self.notes) + stages

    def _readings(self) -> dict[str, Reading | None]:
        return {"face": self.face, "voice": self.voice, "fusion": self.fusion}


def decide(
    path: str | Path,
    *,
    confidence: float = CONFIDENCE,
    folder: Path = WEIGHTS,
    progress: Callable[[float], None] = lambda share: None,
) -> Decision:
    """Judge one video with both networks.

    Parameters
    ----------
    path
        A video that FFmpeg reads: of any frame rate, also a varying one, turned or not, with or
        without sound. A clip of fewer than 15 frames shows the nearest one repeatedly.
    confidence
        Least probability of a named emotion; below it the answer is "unsure".
    folder
        Where the weights lie.
    progress
        Called with the finished share, 0 to 1.

    Raises
    ------
    PredictionError
        If the weights are missing or belong to other classes, the file is missing or damaged, or
        it holds neither a face nor a sound.
    """
    if not Path(path).is_file():
        raise PredictionError(f"{path} does not exist: check the path")
    eyes, ears = network("video", folder), network("audio", folder)
    spent: dict[str, float] = {}
    face, missed, notes = _look(path, eyes, confidence, spent)
    progress(0.8)
    voice, why = _listen(path, ears, confidence, spent)
    notes += [] if voice else [why]
    if not face and not voice:
        raise PredictionError(f"{path}: {'; '.join(notes)}: give a clip with a face or a voice")
    with _stage(spent, "fusion"):
        fusion = fuse(face, voice, confidence, "geometric")
    spent["total"] = sum(spent.values())
    progress(1.0)
    return Decision(str(path), face, voice, fusion, spent, tuple(notes), missed)


@contextmanager
def _stage(spent: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:  # what found nothing has taken its time too
        spent[name] = 1000 * (time.perf_counter() - started)


def _look(
    path: str | Path, eyes: PublishedNetwork, confidence: float, spent: dict[str, float]
) -> tuple[Reading | None, int, list[str]]:
    """Return the reading of a clip's faces, how many frames had none, and what there is to note.

    Without a face in any frame there is no reading, and the note is why.
    """
    import torch

    from emolib.papers import lu

    count, _, size, _ = eyes.card["input"]["shape"]
    recipe = lu.face_recipe(count, size, detector="mtcnn")
    try:
        with _stage(spent, "read frames"):
            notes = unusual(video.probe(path), count)
            frames = video.read_frames(path, count)
        with _stage(spent, "find faces"):
            values, noted = recipe.faces_in(frames, {"path": str(path), "clip_id": str(path)})
    except FeatureProblem as problem:
        return None, 0, [problem.cause]
    missed = noted["missed_frames"]
    if missed:
        notes.append(f"no face in {missed} of {count} frames: the nearest found face instead")
    with _stage(spent, "face network"):
        # FER2013's pictures are grey, so the network has seen grey faces only (ITU-R 601).
        grey = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), values, axes=(0, 1))
        faces = torch.from_numpy(np.rint(grey).astype(np.uint8)[None, None, :, None])
        answers = eyes.probabilities(lu.prepare({"video": faces}, None)["video"])
    return Reading.of(eyes.classes, answers[0], confidence), missed, notes


def unusual(clip: video.VideoInfo, frames: int) -> list[str]:
    """Return what a clip of which `frames` frames are asked has about it, and what is done."""
    notes = []
    if clip.frames < frames:
        notes.append(f"the clip has {clip.frames} of {frames} frames: some are shown repeatedly")
    if clip.variable_rate:
        notes.append("its frames are unequally spaced: taken by their times, not by their numbers")
    if clip.rotation:
        notes.append(f"it is stored turned by {clip.rotation}°: faces are looked for upright")
    return notes


def _listen(
    path: str | Path, ears: PublishedNetwork, confidence: float, spent: dict[str, float]
) -> tuple[Reading | None, str]:
    """Return the reading of a clip's mean MFCC on the scale of the training, or why none."""
    import torch

    from emolib.papers import lu

    try:
        with _stage(spent, "read sound"):
            samples, rate = audio.load(path)
        with _stage(spent, "MFCC"):
            means = lu.mfcc_recipe().coefficients(samples, rate).mean(axis=1)
    except FeatureProblem as problem:
        return None, problem.cause
    with _stage(spent, "voice network"):
        scale = ears.card["input"]["standardise"]
        scaled = (means - np.array(scale["mean"])) / np.array(scale["sd"])
        answers = ears.probabilities(torch.from_numpy(scaled.astype(np.float32)[None, :, None]))
    return Reading.of(ears.classes, answers[0], confidence), ""


def publish_all(*, seed: int = 0, fold: int = 0) -> list[Path]:
    """Copy the weights of both branches with their cards; they say how inputs are scaled."""
    from emolib.papers import engine, lu

    face, voice = PUBLISHED
    dataset, split, _ = engine.prepared("lu", voice)
    values = dataset.samples.inputs["audio"][dataset.rows(split, fold)["train"]].double()
    axes = dataset.standardise["audio"]
    mean, sd = values.mean(axes).tolist(), values.std(axes, correction=0).tolist()
    inputs = {
        face: {
            "shape": [lu.FRAMES, 1, lu.SIDE, lu.SIDE],
            "range": [-1, 1],
            "what": "grey faces from the middles of equal parts of a clip, cut square",
        },
        voice: {
            "shape": [lu.N_MFCC, 1],
            "what": f"MFCC averaged over the clip: {lu.mfcc_recipe()!r}",
            "standardise": {"mean": mean, "sd": sd},
        },
    }
    return [
        publish(name, key="lu", seed=seed, fold=fold, entries={"input": entry})
        for name, entry in inputs.items()
    ]
