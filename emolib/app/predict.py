"""One picture, sound or video in; the emotions of its faces and of its voice out.

The two networks are those of the Mostafa chapter, trained and committed in
``data/weights/mostafa``, each with a card that says on which data, and how well. What cannot be
judged is said (no face, no voice, not sure), never guessed.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emolib import corpora, paths, registry
from emolib.errors import EmolibError
from emolib.features import audio
from emolib.features.store import FeatureProblem
from emolib.models.mostafa import shared_classes
from emolib.papers.mostafa import SIDE, LogMel, decibels_to_input, faces_to_input

WEIGHTS = paths.WEIGHTS / "mostafa"
FILES = {"video": "face", "audio": "voice"}
#: Below this probability of the likeliest emotion, the answer is "unsure".
CONFIDENCE = 0.35
UNSURE = "unsure"

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".m4a", ".aac", ".opus")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".flv", ".m4v", ".mpg", ".mpeg", ".wmv")

LARGEST_PIXELS = 120_000_000
LONGER_SIDE = 1600  # larger pictures are shrunk to this before faces are looked for
FRAMES = 24  # of a video, evenly spaced, however long it is
WINDOW_S = 3.0  # of sound, what the network was trained on
SHORTEST_S = 0.5
_BROKEN = "the file is damaged or was not fetched to its end: fetch it again"


class PredictionError(EmolibError, ValueError):
    """A file or weights that cannot be used; the message names the cause and the remedy."""


# --- the networks and their cards ----------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A trained network and its card."""

    model: torch.nn.Module
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(self.card["classes"])

    def probabilities(self, inputs: torch.Tensor) -> np.ndarray:
        """Return class probabilities (B, C) of prepared inputs (B, 1, H, W)."""
        with torch.inference_mode():
            logits = self.model(**{self.card["modality"]: inputs})
        return logits.softmax(1).numpy()


@lru_cache(maxsize=4)
def network(modality: str, folder: Path = WEIGHTS) -> Network:
    """Return the trained network for "video" (faces) or "audio" (voices).

    Raises
    ------
    PredictionError
        If weights or card are missing, do not belong together, or were trained with another
        order of the emotions than the corpus has.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    from emolib import models

    file = Path(folder) / f"{FILES[modality]}.safetensors"
    card_file = file.with_suffix(".json")
    paper = file.parent.name if file.parent.name in registry.PAPERS else "mostafa"
    for needed in (file, card_file):
        if not needed.is_file():
            raise PredictionError(
                f"{needed} is missing: get it from the repository, or train it with "
                f"`emolib train {paper}` and predict.publish"
            )
    try:
        card = json.loads(card_file.read_text())
        with safe_open(file, "pt") as opened:
            said = json.loads((opened.metadata() or {}).get("classes", "[]"))
    except (SafetensorError, ValueError) as error:
        raise PredictionError(f"{file}: not readable ({error}): fetch it again") from error
    known = [c for c in corpora.classes(card["corpus"]) if c in card["classes"]]
    if not card["classes"] == said == known:
        raise PredictionError(
            f"{file} orders its outputs {', '.join(said) or '(not said)'}, its card "
            f"{', '.join(card['classes'])}, {card['corpus']} {', '.join(known)}: labels would be "
            "mixed up; take weights and card from the same training"
        )
    if paths.sha256(file) != card["sha256"]:
        raise PredictionError(f"{file} is not the file its card describes: fetch both again")
    model = models.build(card.get("paper", "mostafa"), n_classes=len(said), **card["options"])
    try:
        model.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise PredictionError(
            f"{file} does not fit the network {card['options']}: take both from one training"
        ) from error
    return Network(model.eval().to(memory_format=torch.channels_last), card)


def publish(
    experiment: str,
    *,
    key: str = "mostafa",
    seed: int = 0,
    fold: int = 0,
    folder: Path | None = None,
    said: Mapping[str, Any] | None = None,
) -> Path:
    """Copy the weights of a finished run beside a card made from its committed result.

    Parameters
    ----------
    experiment, key, seed, fold
        Which run of which paper.
    folder
        By default ``data/weights/<key>``.
    said
        Entries of the card in place of those made here, such as "input".

    Raises
    ------
    ResultError
        If the run's weights are not stored on this machine.
    """
    from safetensors.torch import load_file, save_file

    from emolib import results

    result = results.load(key, experiment)
    run = next(run for run in result.runs if (run.seed, run.fold) == (seed, fold))
    source = result.weights(seed, fold)
    trained_on = sorted(run.counts["train"]["by_actor"])
    card = {
        "name": f"{key}-{FILES[result.modality]}",
        "paper": key,
        "title": result.title,
        "experiment": experiment,
        "corpus": result.corpus,
        "modality": result.modality,
        "classes": result.classes,
        "options": result.model.options,
        "parameters": result.model.parameters,
        "input": _INPUTS[result.modality],
        "split": result.split.name,
        "seed": seed,
        "fold": fold,
        "clips": {part: run.counts[part]["n"] for part in ("train", "valid", "test")},
        "trained_on_actors": trained_on if trained_on != [""] else [],
        "test_metrics": {name: round(value, 4) for name, value in run.metrics.items()},
        # One fold can be lucky: what all of them reached is what a new speaker may expect.
        "all_runs": {"n": len(result.runs)}
        | {name: round(result.summary[name].mean, 4) for name in ("accuracy", "uar")},
        "made": result.provenance.date[:10],
        "commit": run.commit,
        "recipe": result.recipe,
        "licence": _LICENCES[result.corpus],
        "use": "research and teaching; not for decisions about people",
        **(said or {}),
    }
    return write(folder or paths.WEIGHTS / key, load_file(source), card, save_file)


def write(folder: Path, weights: dict[str, torch.Tensor], card: dict[str, Any], save) -> Path:
    """Write weights and card; the order of the labels is in both."""
    file = Path(folder) / f"{FILES[card['modality']]}.safetensors"
    with paths.atomic(file) as part:
        save(
            {name: value.contiguous() for name, value in weights.items()},
            part,
            metadata={"classes": json.dumps(card["classes"])},
        )
    sealed = card | {"bytes": file.stat().st_size, "sha256": paths.sha256(file)}
    with paths.atomic(file.with_suffix(".json")) as part:
        part.write_text(json.dumps(sealed, indent=2) + "\n")
    return file


_INPUTS = {
    "video": {"shape": [1, SIDE, SIDE], "range": [-1, 1], "what": "a grey face, cut square"},
    "audio": {
        "shape": [1, 64, 94],
        "range": "mean 0, sd 1 of each clip",
        "what": f"three seconds of speech as {LogMel()!r}",
    },
}
_LICENCES = {
    "fer2013": "FER2013 is for research (Kaggle terms of the 2013 contest): so are these weights",
    "ravdess": "RAVDESS is CC BY-NC-SA 4.0 (Livingstone & Russo 2018): so are these weights",
    "paired": "RAVDESS is CC BY-NC-SA 4.0 and FER2013 is for research: so are these weights",
    "synthetic": "MIT",
}


# --- answers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """Probabilities of emotions, and the name that may be said aloud.

    Attributes
    ----------
    probabilities
        Emotion → probability; they sum to one.
    emotion
        The likeliest emotion, or "unsure" when its probability is below what was asked for.
    confidence
        Probability of the likeliest emotion.
    """

    probabilities: dict[str, float]
    emotion: str
    confidence: float

    @classmethod
    def of(cls, names: Sequence[str], values: np.ndarray, least: float) -> "Reading":
        """Name the likeliest of `values` (C,) if it reaches `least`."""
        best = int(np.argmax(values))
        confidence = float(values[best])
        return cls(
            {name: float(value) for name, value in zip(names, values, strict=True)},
            names[best] if confidence >= least else UNSURE,
            confidence,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, rounded to four digits."""
        return {
            "emotion": self.emotion,
            "confidence": round(self.confidence, 4),
            "probabilities": {name: round(value, 4) for name, value in self.probabilities.items()},
        }


@dataclass(frozen=True)
class FaceReading:
    """One face: where it is (left, top, right, bottom in pixels), and its reading."""

    box: tuple[float, float, float, float]
    reading: Reading

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {"box": [round(edge) for edge in self.box], **self.reading.to_dict()}


@dataclass(frozen=True)
class Answer:
    """What was found in one file.

    Attributes
    ----------
    kind
        "picture", "sound" or "video".
    faces
        Faces of the picture, the largest first; of a video one: the mean over its frames.
    voice, fusion
        Reading of the sound, and of both together (on the emotions that both networks know).
    notes
        What could not be judged, and why: "no face …", "no voice …".
    picture
        The picture, or the video's frame with the most certain face: uint8 (H, W, 3).
    frames
        Frames looked at, and those of them with a face (videos).
    """

    file: str
    kind: str
    faces: list[FaceReading] = field(default_factory=list)
    voice: Reading | None = None
    fusion: Reading | None = None
    notes: list[str] = field(default_factory=list)
    picture: np.ndarray | None = field(default=None, repr=False)
    frames: tuple[int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "file": self.file,
            "kind": self.kind,
            "faces": [face.to_dict() for face in self.faces],
            "voice": self.voice.to_dict() if self.voice else None,
            "fusion": self.fusion.to_dict() if self.fusion else None,
            "notes": self.notes,
            **({"frames": self.frames[0], "with_face": self.frames[1]} if self.frames else {}),
        }


def predict(
    path: str | Path,
    *,
    confidence: float = CONFIDENCE,
    frames: int = FRAMES,
    folder: Path = WEIGHTS,
    progress: Callable[[float], None] | None = None,
) -> Answer:
    """Judge one file.

    Parameters
    ----------
    path
        A picture, a sound, or a video of any length: at most `frames` frames of it are held one
        after the other, and three seconds of its sound.
    confidence
        Least probability that is given a name, 0 to 1.
    frames
        Frames of a video to look at.
    folder
        Where weights and cards lie.
    progress
        Called with the finished share, 0 to 1.

    Raises
    ------
    PredictionError
        If the file is missing, empty, of an unknown type, or damaged; or the weights are.
    """
    path = Path(path)
    if not 0 <= confidence <= 1:
        raise PredictionError(f"a confidence of {confidence} is none: give 0 to 1")
    if not path.is_file():
        raise PredictionError(f"{path} does not exist: check the path")
    if path.stat().st_size == 0:
        raise PredictionError(f"{path} is empty: {_BROKEN}")
    suffix = path.suffix.lower()
    judge = next(
        (
            judge
            for kinds, judge in ((PICTURES, _picture), (SOUNDS, _sound), (VIDEOS, _video))
            if suffix in kinds
        ),
        None,
    )
    if judge is None:
        raise PredictionError(
            f"{path}: files of type {suffix or '(none)'} are not known; give a picture "
            f"({', '.join(PICTURES)}), a sound ({', '.join(SOUNDS)}) or a video "
            f"({', '.join(VIDEOS)})"
        )
    told = progress or (lambda share: None)
    try:
        answer = judge(path, confidence, frames, folder, told)
    except FeatureProblem as problem:
        raise PredictionError(str(problem)) from problem
    told(1.0)
    return answer


def fuse(face: Reading | None, voice: Reading | None, confidence: float) -> Reading | None:
    """Return the mean of both readings over the emotions that both know, or None.

    The voice network knows calm, the face network does not: calm is left out and the rest
    brought back to a sum of one.
    """
    if face is None or voice is None:
        return None
    names, _, _ = shared_classes(tuple(face.probabilities), tuple(voice.probabilities))
    parts = [np.array([one.probabilities[name] for name in names]) for one in (face, voice)]
    return Reading.of(names, sum(part / part.sum() for part in parts) / 2, confidence)


# --- pictures ------------------------------------------------------------------------------


def read_picture(path: str | Path) -> np.ndarray:
    """Read a picture as RGB, upright: uint8 (H, W, 3), its longer side at most 1600.

    Grey, palette, RGBA (over white), CMYK and 16-bit pictures become RGB.

    Raises
    ------
    PredictionError
        If it is damaged, or larger than 120 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise PredictionError(
                    f"{path} has {image.width}×{image.height} pixels, more than "
                    f"{LARGEST_PIXELS / 1e6:.0f} million: make it smaller first"
                )
            image.draft("RGB", (LONGER_SIDE, LONGER_SIDE))  # JPEGs are decoded smaller
            if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
                image = _eight_bit(image)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((LONGER_SIDE, LONGER_SIDE))
            return np.asarray(upright)
    except Image.DecompressionBombError as error:
        raise PredictionError(f"{path}: {error}; make it smaller first") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, PredictionError):
            raise
        raise PredictionError(f"{path}: not readable as a picture ({error}): {_BROKEN}") from error


def _eight_bit(image):
    """Scale the values of a 16-bit or float picture to 0…255."""
    from PIL import Image

    values = np.asarray(image, dtype=np.float64)
    top = 65535 if values.max() > 255 else 255
    return Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))


def faces_of(image: np.ndarray, detector: str = "mtcnn") -> list:
    """Return the faces of an RGB picture, the largest first (`features.faces.Face`)."""
    from emolib.features import faces

    if detector == "haar":
        return faces.haar_faces(image, max_side=400, min_face=0.1 * min(image.shape[:2]))
    found = faces.mtcnn_faces([image])[0]
    return [face for face in found if face.probability >= 0.9]


def face_probabilities(image: np.ndarray, found: Sequence, folder: Path = WEIGHTS) -> np.ndarray:
    """Return the emotions of faces of one picture: probabilities (n, 7)."""
    import cv2

    from emolib.features.faces import crop

    judge = network("video", folder)
    if not len(found):
        return np.empty((0, len(judge.classes)), np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cut = np.stack([crop(grey, face, SIDE) for face in found])[:, None]
    return judge.probabilities(faces_to_input(torch.from_numpy(cut)))


def _picture(path, confidence, frames, folder, told) -> Answer:
    image = read_picture(path)
    found = faces_of(image)
    told(0.7)
    names = network("video", folder).classes
    readings = [
        FaceReading(face.box, Reading.of(names, values, confidence))
        for face, values in zip(found, face_probabilities(image, found, folder), strict=True)
    ]
    notes = [] if readings else ["no face found in this picture"]
    return Answer(str(path), "picture", readings, notes=notes, picture=image)


# --- sounds --------------------------------------------------------------------------------


def voiced_share(samples: np.ndarray, rate: int) -> float:
    """Return the share of 40 ms frames that sound like a voice: loud enough, and periodic.

    A frame is periodic when its normalised autocorrelation exceeds 0.5 at some lag of a pitch
    between 70 and 400 Hz. Hiss and rumble are not.
    """
    width = int(0.04 * rate)
    count = len(samples) // width
    if count == 0:
        return 0.0
    framed = samples[: count * width].reshape(count, width).astype(np.float64)
    framed = framed - framed.mean(1, keepdims=True)
    power = (framed**2).mean(1)
    loud = power > max(1e-7, power.max() * 1e-3)  # −70 dB of full scale, −30 dB of the loudest
    spectrum = np.abs(np.fft.rfft(framed, 2 * width)) ** 2
    correlation = np.fft.irfft(spectrum)[:, :width]
    # Fewer samples overlap at longer lags: without this, a pure tone would fade out.
    correlation /= np.maximum(correlation[:, :1], 1e-12) * (1 - np.arange(width) / width)
    pitched = correlation[:, rate // 400 : min(rate // 70, width * 3 // 4)].max(1) > 0.5
    return float((loud & pitched).mean())


def voice_probabilities(
    samples: np.ndarray, rate: int, folder: Path = WEIGHTS
) -> np.ndarray | None:
    """Return the emotions of up to three seconds of mono sound (8,), or None without a voice."""
    import librosa

    recipe = LogMel()
    if rate != recipe.sample_rate:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=recipe.sample_rate)
    heard = len(samples) >= SHORTEST_S * recipe.sample_rate
    if not heard or voiced_share(samples, recipe.sample_rate) < 0.08:
        return None
    fitted = audio.fit_length(samples, round(recipe.duration_s * recipe.sample_rate))
    decibels = torch.from_numpy(recipe.decibels(fitted, recipe.sample_rate))
    return network("audio", folder).probabilities(decibels_to_input(decibels[None, None]))[0]


def _listen(path: Path, folder: Path, told) -> tuple[np.ndarray | None, str]:
    """Return the mean of the windows with a voice, or None and why."""
    heard, seconds = [], 0.0
    for samples, rate, share in windows(path):
        seconds += len(samples) / rate
        found = voice_probabilities(samples, rate, folder)
        if found is not None:
            heard.append(found)
        told(share)
    if heard:
        return np.mean(heard, axis=0), ""
    if seconds < SHORTEST_S:
        return None, f"no voice: {seconds:.2f} s of sound, at least {SHORTEST_S} s are needed"
    return None, f"no voice in {seconds:.1f} s of sound (silence, noise or music only)"


def windows(path: str | Path) -> Iterator[tuple[np.ndarray, int, float]]:
    """Yield the sound of a file in pieces of about three seconds, one in memory at a time.

    A recording of less than two windows comes whole.

    Yields
    ------
    tuple
        Mono samples, rate, and the share of the file that has been read.
    """
    held, rate, first = [], 1, True
    for block, rate, share in _blocks(Path(path)):
        held.append(block)
        size = int(WINDOW_S * rate)
        # Two windows' worth is awaited, so that the last piece is never a short rest.
        while sum(map(len, held)) >= 2 * size:
            joined = np.concatenate(held)
            yield joined[:size], rate, share
            held, first = [joined[size:]], False
    rest = np.concatenate(held) if held else np.empty(0, np.float32)
    if len(rest) or first:
        yield rest, rate, 1.0


def _blocks(path: Path) -> Iterator[tuple[np.ndarray, int, float]]:
    """Yield mono float32 blocks of about a second, the rate, and the share read."""
    if path.suffix.lower() in (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif"):
        import soundfile

        try:
            with soundfile.SoundFile(path) as file:
                total = max(1, file.frames)
                for block in file.blocks(file.samplerate, dtype="float32", always_2d=True):
                    yield block.mean(axis=1), file.samplerate, min(1.0, file.tell() / total)
        except soundfile.LibsndfileError as error:
            raise PredictionError(f"{path}: not readable as sound ({error}): {_BROKEN}") from error
        return
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            stream.thread_type = "AUTO"
            plain = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
            total = float(container.duration or 0) / 1e6
            for frame in container.decode(stream):
                for piece in plain.resample(frame):
                    share = min(1.0, (frame.time or 0) / total) if total else 0.0
                    yield piece.to_ndarray()[0], stream.rate, share
    except av.error.FFmpegError as error:
        raise PredictionError(f"{path}: not readable as sound ({error}): {_BROKEN}") from error


def _sound(path, confidence, frames, folder, told) -> Answer:
    values, why = _listen(path, folder, told)
    if values is None:
        return Answer(str(path), "sound", notes=[why])
    reading = Reading.of(network("audio", folder).classes, values, confidence)
    return Answer(str(path), "sound", voice=reading)


# --- videos --------------------------------------------------------------------------------


def frames_of(path: str | Path, k: int) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the frames at the centres of k equal parts of a video, one in memory at a time.

    Each is found by seeking, so that a film of three hours takes no longer than a clip.

    Yields
    ------
    tuple
        Seconds from the start, and the frame: uint8 (H, W, 3), RGB, upright.
    """
    import av

    from emolib.features.video import frame_times

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise PredictionError(f"{path}: no video stream: give a sound as .wav or .m4a")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            length = float(stream.duration * stream.time_base) if stream.duration else 0.0
            length = length or (container.duration or 0) / 1e6
            start = float((stream.start_time or 0) * stream.time_base)
            times = frame_times(length, k) if length > 0 else [0.0]
            for at in times:
                container.seek(round((start + at) / stream.time_base), stream=stream)
                frame = None
                for frame in container.decode(stream):
                    if frame.time is None or frame.time - start >= at:
                        break
                if frame is None:
                    continue
                image = frame.to_ndarray(format="rgb24")
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                yield at, np.ascontiguousarray(np.rot90(image, turns))
    except av.error.FFmpegError as error:
        raise PredictionError(f"{path}: not readable as video ({error}): {_BROKEN}") from error


def _video(path, confidence, frames, folder, told) -> Answer:

    seen, found, best = 0, [], (-math.inf, None, None)
    for _, image in frames_of(path, frames):
        seen += 1
        candidates = faces_of(_shrunk(image))
        told(0.6 * seen / frames)
        if not candidates:
            continue
        face = candidates[0]
        values = face_probabilities(_shrunk(image), [face], folder)[0]
        found.append(values)
        if values.max() > best[0]:
            best = (values.max(), _shrunk(image), face)
    if not seen:
        raise PredictionError(f"{path}: no frame can be decoded: {_BROKEN}")
    notes, readings = [], []
    if found:
        names = network("video", folder).classes
        mean = Reading.of(names, np.mean(found, axis=0), confidence)
        readings = [FaceReading(best[2].box, mean)]
    else:
        notes.append(f"no face found in {seen} frames")
    values, why = _listen(path, folder, lambda share: told(0.6 + 0.4 * share))
    voice = None
    if values is None:
        notes.append(why)
    else:
        voice = Reading.of(network("audio", folder).classes, values, confidence)
    fusion = fuse(readings[0].reading if readings else None, voice, confidence)
    return Answer(str(path), "video", readings, voice, fusion, notes, best[1], (seen, len(found)))


def _shrunk(image: np.ndarray) -> np.ndarray:
    """Return a frame with at most 960 pixels on its longer side."""
    import cv2

    scale = 960 / max(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


# --- drawing -------------------------------------------------------------------------------


def annotate(image: np.ndarray, faces: Sequence[FaceReading], voice: str = "") -> np.ndarray:
    """Draw an ellipse around every face with its emotion at it, and the voice below (Fig. 2).

    A label stands above its face or, where that would cover another face or label, below it.
    """
    import cv2

    from emolib.plots import EMOTION_COLORS

    drawn = np.ascontiguousarray(image).copy()
    scale = max(0.45, drawn.shape[1] / 1100)
    thick = max(1, round(2 * scale))
    for face in faces:
        left, top, right, bottom = (round(edge) for edge in face.box)
        hexa = EMOTION_COLORS.get(face.reading.emotion, "#ffffff")
        color = tuple(int(hexa[i : i + 2], 16) for i in (1, 3, 5))
        middle = ((left + right) // 2, (top + bottom) // 2)
        axes = (max(1, (right - left) // 2), max(1, round((bottom - top) * 0.6)))
        cv2.ellipse(drawn, middle, axes, 0, 0, 360, color, 2 * thick, cv2.LINE_AA)
    # Among several faces there is no room for the word, and no need of it.
    word = "FACE: " if len(faces) == 1 else ""
    small = scale if len(faces) == 1 else 0.8 * scale
    placed: list[Strip] = []
    for face in faces:
        said = face.reading.emotion.upper()
        if face.reading.emotion != UNSURE:
            said += f" {face.reading.confidence:.0%}"
        others = [other.box for other in faces if other is not face]
        size = _size(word + said, small, thick)
        placed.append(label_strip(face.box, size, drawn.shape[:2], [*placed, *others]))
        _write(drawn, word + said, placed[-1], small, thick)
    if voice:
        width, height = _size(voice, scale, thick)
        low = drawn.shape[0] - 6
        _write(drawn, voice, (8, low - height, 8 + width, low), scale, thick)
    return drawn


Strip = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def label_strip(
    box: Strip, size: tuple[int, int], frame: tuple[int, int], taken: Sequence[Strip]
) -> Strip:
    """Return where a label of `size` (width, height) goes: above or below, over nothing taken.

    Parameters
    ----------
    box
        The face.
    frame
        Height and width of the picture; the label stays inside it where it fits.
    taken
        What it should not cover. Where everything is taken it covers the least.
    """
    width, height = size
    left = float(np.clip((box[0] + box[2] - width) / 2, 0, max(0, frame[1] - width)))
    face = box[3] - box[1]
    tops = (box[1] - 0.12 * face - height, box[3] + 0.12 * face)  # clear of the ellipse
    steps = [
        top + sign * k * height for k in (0, 1, 2) for top, sign in zip(tops, (-1, 1), strict=True)
    ]
    strips = []
    for top in np.clip(steps, 0, max(0, frame[0] - height)):
        strips.append((left, float(top), left + width, float(top) + height))
    return min(strips, key=lambda strip: sum(_overlap(strip, other) for other in taken))


def _overlap(one: Strip, other: Strip) -> float:
    """Return the area that two rectangles share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _size(text: str, scale: float, thick: int) -> tuple[int, int]:
    """Return width and height of the strip behind a text."""
    import cv2

    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    return width + 6, height + below + 4


def _write(image: np.ndarray, text: str, strip: Strip, scale: float, thick: int) -> None:
    """Write white on a dark strip: readable on any picture."""
    import cv2

    left, top, right, bottom = (round(edge) for edge in strip)
    font = cv2.FONT_HERSHEY_SIMPLEX
    _, below = cv2.getTextSize(text, font, scale, thick)
    cv2.rectangle(image, (left, top), (right, bottom), (25, 25, 25), -1)
    start = (left + 3, bottom - below)
    cv2.putText(image, text, start, font, scale, (255, 255, 255), thick, cv2.LINE_AA)
