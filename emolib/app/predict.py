"""One picture, sound or video in; the emotions of its faces and of its voice out.

The two networks are those of the Mostafa chapter, trained and committed in
``data/weights/mostafa``, each with a card that says on which data, and how well. What cannot be
judged is said (no face, no voice, not sure), never guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from emolib.app.weights import FILES, WEIGHTS, PredictionError, network, own_networks
from emolib.features.store import FeatureProblem

#: Below this probability of the likeliest emotion, the answer is "unsure".
CONFIDENCE = 0.35
UNSURE = "unsure"

#: Endings of the files that can be judged.
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".m4a", ".aac", ".opus")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".flv", ".m4v", ".mpg", ".mpeg", ".wmv")

LARGEST_PIXELS = 120_000_000
LONGER_SIDE = 1600  # larger pictures are shrunk to this before faces are looked for
FRAMES = 24  # of a video, evenly spaced, however long it is
TOGETHER = 8  # of them are held in memory and searched for faces at once
CERTAIN = 0.9  # the least probability of a face that counts
TALKING_HEAD = 0.1  # of a film's shorter side: no smaller face is looked for in it
WINDOW_S = 3.0  # of sound, what the network was trained on
SHORTEST_S = 0.5
_BROKEN = "the file is damaged or was not fetched to its end: fetch it again"


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

    def __str__(self) -> str:
        """Return what is said of it: the emotion, and how sure that is."""
        if self.emotion == UNSURE:
            return f"{UNSURE} ({self.confidence:.0%} at most)"
        return f"{self.emotion} {self.confidence:.0%}"

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

    def lines(self) -> list[str]:
        """Return the answer as a terminal shows it."""
        boxes = [", ".join(str(round(edge)) for edge in face.box) for face in self.faces]
        faces = {
            f"face {number} ({box})": face.reading
            for number, (box, face) in enumerate(zip(boxes, self.faces, strict=True), 1)
        }
        return in_lines(faces | {"voice": self.voice, "fusion": self.fusion}, self.notes)


def in_lines(readings: Mapping[str, Reading | None], notes: Iterable[str]) -> list[str]:
    """Return readings by name, those that there are, and notes, each a line."""
    return [f"{name}: {one}" for name, one in readings.items() if one] + [*notes]


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
    judge = _judge_of(path)
    if own_networks(folder):
        judge = _by_own
    told = progress or (lambda share: None)
    try:
        answer = judge(path, confidence, frames, folder, told)
    except FeatureProblem as problem:
        raise PredictionError(str(problem)) from problem
    told(1.0)
    return answer


def _judge_of(path: Path) -> Callable[..., Answer]:
    """Return what judges files of this kind; refuse what cannot be judged at all."""
    if path.is_dir():
        raise PredictionError(f"{path} is a folder: give a file in it")
    if not path.is_file():
        raise PredictionError(f"{path} does not exist: check the path")
    if path.stat().st_size == 0:
        raise PredictionError(f"{path} is empty: {_BROKEN}")
    suffix = path.suffix.lower()
    for endings, judge in ((PICTURES, _picture), (SOUNDS, _sound), (VIDEOS, _video)):
        if suffix in endings:
            return judge
    raise PredictionError(
        f"{path}: files of type {suffix or '(none)'} are not known; give a picture "
        f"({', '.join(PICTURES)}), a sound ({', '.join(SOUNDS)}) or a video ({', '.join(VIDEOS)})"
    )


def fuse(
    face: Reading | None, voice: Reading | None, confidence: float, rule: str = "arithmetic"
) -> Reading | None:
    """Return both readings together, over the emotions that both know, or None.

    The voice network knows calm, the face network does not: calm is left out and the rest
    brought back to a sum of one.

    Parameters
    ----------
    face, voice
        What is fused; without either there is nothing to fuse.
    confidence
        Least probability that is given a name.
    rule
        As in `evaluation.fuse`: "arithmetic" (Mostafa et al.) or "geometric" (Lu et al., eq. 8).
    """
    if face is None or voice is None:
        return None
    from emolib import evaluation

    names = [name for name in voice.probabilities if name in face.probabilities]
    parts = [np.array([[one.probabilities[name] for name in names]]) for one in (face, voice)]
    fused = evaluation.fuse([part / part.sum() for part in parts], rule)
    return Reading.of(names, fused[0], confidence)


def _by_own(path: Path, confidence: float, frames: int, folder: Path, told) -> Answer:
    """Judge a file with a reader's own networks, each by the streams of its paper."""
    from emolib.app import own
    from emolib.corpora import table
    from emolib.papers.streams import MODALITIES

    try:
        kind = table.held(path)["modality"]
    except table.FileProblem as problem:
        raise PredictionError(f"{path}: {problem}") from problem
    has = {one for one in ("audio", "video") if kind in table.SOURCES["table"].has[one]}
    readings, notes = {}, []
    for name in own_networks(folder):
        if not set(MODALITIES[name]) <= has:
            lacking = ", ".join(sorted({*MODALITIES[name]} - has))
            notes.append(f"the network {FILES[name]} is not asked: the file has no {lacking}")
            continue
        judge = network(name, folder)
        try:
            values = own.probabilities(judge, {"clip_id": path.name, "path": str(path)})
            readings[name] = Reading.of(judge.classes, values, confidence)
        except FeatureProblem as problem:
            notes.append(f"{FILES[name]}: {problem.cause}")
        told(0.9)
    face, voice = readings.get("video"), readings.get("audio")
    both = readings.get("both") or fuse(face, voice, confidence)
    picture, faces = None, []
    if "video" in has:
        picture, box = _looked_at(path)
        faces = [FaceReading(box, face)] if face else []
    said = {"audio": "sound", "image": "picture"}.get(kind, "video")
    return Answer(str(path), said, faces, voice, both, notes, picture)


def _looked_at(path: Path) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Return the middle frame, and where its largest face is; all of it where none is found."""
    from emolib.features import video

    image = _shrunk(video.read_frames(path, 1)[0])
    height, width = image.shape[:2]
    found = faces_of(image, "haar")
    return image, found[0].box if found else (0.0, 0.0, float(width), float(height))


def _reading(modality: str, values: np.ndarray, confidence: float, folder: Path) -> Reading:
    return Reading.of(network(modality, folder).classes, values, confidence)


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
        with Image.open(path) as file:
            image: Image.Image = file
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
    """Return the faces of an RGB picture, the largest first (`features.faces.FaceBox`)."""
    from emolib.features import faces

    if detector == "haar":
        return faces.haar_faces(image, max_side=400, min_face=0.1 * min(image.shape[:2]))
    return [face for face in faces.mtcnn_faces([image])[0] if face.probability >= CERTAIN]


def face_probabilities(image: np.ndarray, faces: Sequence, folder: Path = WEIGHTS) -> np.ndarray:
    """Return the emotions of faces of one picture: probabilities (n, 7)."""
    import cv2
    import torch

    from emolib.features.faces import crop
    from emolib.models.mostafa import IMAGE
    from emolib.papers.augment import faces_to_input

    judge = network("video", folder)
    if not len(faces):
        return np.empty((0, len(judge.classes)), np.float32)
    if judge.own:
        from emolib.app import own

        return np.stack([own.of_face(judge, image, face) for face in faces])
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cut = np.stack([crop(grey, face, IMAGE) for face in faces])[:, None]
    return judge.probabilities(faces_to_input(torch.from_numpy(cut)))


def _picture(path, confidence, frames, folder, told) -> Answer:
    image = read_picture(path)
    faces = faces_of(image)
    told(0.7)
    readings = [
        FaceReading(face.box, _reading("video", values, confidence, folder))
        for face, values in zip(faces, face_probabilities(image, faces, folder), strict=True)
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
    import torch

    from emolib.features import audio
    from emolib.papers.mostafa import LogMel, decibels_to_input

    recipe = LogMel()
    wanted = recipe.sample_rate or rate
    if rate != wanted:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=wanted)
    if len(samples) < SHORTEST_S * wanted or voiced_share(samples, wanted) < 0.08:
        return None
    if network("audio", folder).own:
        from emolib.app import own

        return own.of_sound(network("audio", folder), samples, wanted)
    fitted = audio.fit_length(samples, round(WINDOW_S * wanted))
    decibels = torch.from_numpy(recipe.decibels(fitted, wanted))
    return network("audio", folder).probabilities(decibels_to_input(decibels[None, None]))[0]


def _listen(path: Path, confidence: float, folder: Path, told) -> tuple[Reading | None, str]:
    """Return the reading of all windows with a voice, or None and why."""
    heard, seconds = [], 0.0
    for samples, rate, share in windows(path):
        seconds += len(samples) / rate
        values = voice_probabilities(samples, rate, folder)
        if values is not None:
            heard.append(values)
        told(share)
    if heard:
        return _reading("audio", np.mean(heard, axis=0), confidence, folder), ""
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
    """Yield mono float32 blocks of less than a second, the rate, and the share read."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            plain = av.AudioResampler(format="fltp", rate=stream.rate)
            total = float(container.duration or 0) / 1e6
            for frame in container.decode(stream):
                share = min(1.0, (frame.time or 0) / total) if total else 0.0
                for piece in plain.resample(frame):
                    yield piece.to_ndarray().mean(axis=0), stream.rate, share
    except av.error.FFmpegError as error:
        raise PredictionError(f"{path}: not readable as sound ({error}): {_BROKEN}") from error


def _sound(path, confidence, frames, folder, told) -> Answer:
    voice, why = _listen(path, confidence, folder, told)
    return Answer(str(path), "sound", voice=voice, notes=[] if voice else [why])


# --- videos --------------------------------------------------------------------------------


def frames_of(path: str | Path, k: int) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the frames at the centres of k equal parts of a video, one in memory at a time.

    Each is found by seeking, so that a film of three hours takes no longer than a clip.

    Yields
    ------
    tuple
        Seconds from the start, and the frame: uint8 (H, W, 3), RGB, upright.
    """
    from emolib.features import video

    with video.opened(path) as (container, stream):
        length = float(stream.duration * stream.time_base) if stream.duration else 0.0
        length = length or (container.duration or 0) / 1e6
        start = float((stream.start_time or 0) * stream.time_base)
        for at in video.frame_times(length, k) if length > 0 else [0.0]:
            container.seek(round((start + at) / stream.time_base), stream=stream)
            frame = None
            for frame in container.decode(stream):
                if frame.time is None or frame.time - start >= at:
                    break
            if frame is not None:
                yield at, video.upright(frame)


def _video(path, confidence, frames, folder, told) -> Answer:
    seen, answers, best = _watch(path, frames, folder, lambda share: told(0.6 * share))
    voice, why = _listen(path, confidence, folder, lambda share: told(0.6 + 0.4 * share))
    faces, picture, face = [], None, None
    if best:
        picture, box = best
        face = _reading("video", np.mean(answers, axis=0), confidence, folder)
        faces = [FaceReading(box, face)]
    notes = [] if best else [f"no face found in {seen} frames"]
    notes += [] if voice else [why]
    both = fuse(face, voice, confidence)
    return Answer(str(path), "video", faces, voice, both, notes, picture, (seen, len(answers)))


def _watch(path, frames, folder, told) -> tuple[int, list[np.ndarray], tuple | None]:
    """Return how many frames there are, the answers to their faces, and the surest with its box.

    Faces are looked for in a few frames at once, and none smaller than a talking head.
    """
    from emolib.features.faces import mtcnn_faces

    seen, answers, best = 0, [], None
    shown = (_shrunk(frame) for _, frame in frames_of(path, frames))
    while images := [*islice(shown, TOGETHER)]:
        smallest = TALKING_HEAD * min(images[0].shape[:2])
        for image, found in zip(images, mtcnn_faces(images, min_face=smallest), strict=True):
            for face in [face for face in found if face.probability >= CERTAIN][:1]:
                answers += [*face_probabilities(image, [face], folder)]
                if answers[-1].max() >= np.max(answers):
                    best = image, face.box
        seen += len(images)
        told(seen / frames)
    if not seen:
        raise PredictionError(f"{path}: no frame can be decoded: {_BROKEN}")
    return seen, answers, best


def _shrunk(image: np.ndarray) -> np.ndarray:
    """Return a frame with at most 960 pixels on its longer side."""
    import cv2

    scale = 960 / max(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
