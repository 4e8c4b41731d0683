"""Lu's system on one clip: 15 faces, one voice, one fused decision, and the time of each stage.

What the companion robot does (Sections III and V-C): cut the clip into 15 equal parts, find the
face in the middle of each, average the MFCC of the sound over time, ask both networks, and take
the geometric mean of their answers. What is missing is said, never guessed: without a sound
track the face decides alone, without a face the voice.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emolib import evaluation, paths
from emolib.app.predict import PredictionError, Reading, network, publish
from emolib.features import audio, video
from emolib.features.store import FeatureProblem
from emolib.models.mostafa import shared_classes
from emolib.papers import engine, lu

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
        readings = {
            name: reading.to_dict() if reading else None
            for name, reading in (
                ("face", self.face), ("voice", self.voice), ("fusion", self.fusion),
            )
        }  # fmt: skip
        return {
            "file": self.file,
            **readings,
            "missed_frames": self.missed_frames,
            "notes": list(self.notes),
            "milliseconds": {name: round(ms, 1) for name, ms in self.milliseconds.items()},
            "paper_milliseconds": PAPER_MS,
        }


def decide(path: str | Path, *, confidence: float = 0.0, folder: Path = WEIGHTS) -> Decision:
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
    notes = []
    faces, missed, said = _faces(path, eyes.card["input"], spent)
    notes += said
    if missed:
        notes.append(f"no face in {missed} of {len(faces)} frames: the nearest found face instead")
    sound, why = _sound(path, spent)
    if sound is None:
        notes.append(why)
    if faces is None and sound is None:
        raise PredictionError(f"{path}: {'; '.join(notes)}: give a clip with a face or a voice")
    face = voice = fusion = None
    if faces is not None:
        with _stage(spent, "face network"):
            given = lu.prepare({"video": torch.from_numpy(faces)[None]}, None)["video"]
            answers = eyes.probabilities(given)[0]
        face = Reading.of(eyes.classes, answers, confidence)
    if sound is not None:
        with _stage(spent, "voice network"):
            scale = ears.card["input"]["standardise"]
            mean, sd = (np.array(scale[name], np.float32)[:, None] for name in ("mean", "sd"))
            answers = ears.probabilities(torch.from_numpy((sound - mean) / sd)[None])[0]
        voice = Reading.of(ears.classes, answers, confidence)
    if face and voice:
        with _stage(spent, "fusion"):
            fusion = fuse(face, voice, confidence)
    spent["total"] = sum(spent.values())
    return Decision(str(path), face, voice, fusion, spent, tuple(notes), missed)


def fuse(face: Reading, voice: Reading, confidence: float = 0.0) -> Reading:
    """Return the geometric mean over the emotions both know, renormalised (eq. 8).

    FER2013 has no calm face: calm is left out, and the voice's other emotions brought back to a
    sum of one.
    """
    names, _, _ = shared_classes(tuple(face.probabilities), tuple(voice.probabilities))
    parts = [np.array([[one.probabilities[name] for name in names]]) for one in (face, voice)]
    parts = [part / part.sum() for part in parts]
    return Reading.of(names, evaluation.fuse(parts, "geometric")[0], confidence)


@contextmanager
def _stage(spent: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:  # what found nothing has taken its time too
        spent[name] = 1000 * (time.perf_counter() - started)


def _faces(
    path: str | Path, wanted: Mapping[str, Any], spent: dict[str, float]
) -> tuple[np.ndarray | None, int, list[str]]:
    """Return faces (F, 1, S, S) uint8, how many frames had none, and what there is to say.

    Without a face in any frame the faces are None, and what is said is why.
    """
    frames_wanted, _, size, _ = wanted["shape"]
    recipe = lu.face_recipe(frames_wanted, size, detector="mtcnn")
    try:
        with _stage(spent, "read frames"):
            said = unusual(video.probe(path), frames_wanted)
            frames = video.read_frames(path, frames_wanted)
        with _stage(spent, "find faces"):
            values, noted = recipe.faces_in(frames, {"path": str(path), "clip_id": str(path)})
    except FeatureProblem as problem:
        return None, 0, [problem.cause]
    # FER2013's pictures are grey, so the network has seen grey faces only (ITU-R 601).
    grey = np.tensordot(np.float32([0.299, 0.587, 0.114]), values, axes=(0, 1))
    return np.rint(grey).astype(np.uint8)[:, None], noted["missed_frames"], said


def unusual(clip: video.VideoInfo, frames: int) -> list[str]:
    """Return what a clip of which `frames` frames are asked has about it, and what is done."""
    said = []
    if clip.frames < frames:
        said.append(f"the clip has {clip.frames} of {frames} frames: some are shown repeatedly")
    if clip.variable_rate:
        said.append("its frames are unequally spaced: taken by their times, not by their numbers")
    if clip.rotation:
        said.append(f"it is stored turned by {clip.rotation}°: faces are looked for upright")
    return said


def _sound(path: str | Path, spent: dict[str, float]) -> tuple[np.ndarray | None, str]:
    """Return the clip's mean MFCC (40, 1), or why there are none."""
    recipe = lu.mfcc_recipe()
    try:
        with _stage(spent, "read sound"):
            samples, rate = audio.load(path)
        with _stage(spent, "MFCC"):
            return recipe.coefficients(samples, rate).mean(axis=1, keepdims=True), ""
    except FeatureProblem as problem:
        return None, problem.cause


def publish_all(*, seed: int = 0, fold: int = 0) -> list[Path]:
    """Copy the weights of both branches with their cards; they say how inputs are scaled."""
    face, voice = PUBLISHED
    frames, side = lu.FRAMES, lu.SIDE
    files = [
        publish(
            face, key="lu", seed=seed, fold=fold,
            said={"input": {
                "shape": [frames, 1, side, side], "range": [-1, 1],
                "what": "grey faces from the middles of equal parts of a clip, cut square",
            }},
        )
    ]  # fmt: skip
    asked = engine.paper("lu").FULL[voice]
    dataset = lu.load(asked.corpus, asked.modality, "full", progress=False)
    rows = dataset.rows(engine.splits.make(asked.split, dataset.manifest), fold)["train"]
    values = dataset.samples.inputs["audio"][rows].double()
    axes = dataset.standardise["audio"]
    mean, sd = values.mean(axes).tolist(), values.std(axes, correction=0).tolist()
    said = {
        "input": {
            "shape": [lu.N_MFCC, 1],
            "what": f"MFCC averaged over the clip: {lu.mfcc_recipe()!r}",
            "standardise": {"mean": mean, "sd": sd},
        }
    }
    return [*files, publish(voice, key="lu", seed=seed, fold=fold, said=said)]
