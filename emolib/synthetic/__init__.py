"""Talking faces and voices made from a seed, in the layouts of five real corpora.

Every loader, decoder, detector and feature runs on these files as on the real ones, and what
carries each emotion is known (`PLANTED`), as are the 68 landmarks of every frame. The corpus is
for checking machinery: no accuracy on it is ever a finding about people.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emolib import paths
from emolib.emotions import EMOTIONS
from emolib.errors import EmolibError
from emolib.synthetic.media import write_media, write_wav
from emolib.synthetic.performance import FPS, SIZE, Cue, Take, apex
from emolib.synthetic.person import Person, person
from emolib.synthetic.planted import LEAKS, PLANTED, REGIONS, Leak, Planted
from emolib.synthetic.tables import table
from emolib.synthetic.voice import RATE, SENTENCES

__all__ = [
    "CLASSES", "CORPORA", "FPS", "LEAKS", "PLANTED", "RATE", "REGIONS", "SIZE", "WORDS", "Leak",
    "Person", "Planted", "SynthesisError", "apex_frame", "clip_facts",
    "cues", "ensure", "landmarks", "person",
]  # fmt: skip

#: The emotions of the default corpus, those of RAVDESS.
CLASSES = EMOTIONS[:8]
_LAYOUTS = table("layouts")
#: Layouts that can be written.
CORPORA = ("ravdess", *_LAYOUTS)
#: Goes up when the same seed gives other files; files of an older version are made anew.
VERSION = 3

WORDS = tuple(SENTENCES)
_NOTE = "corpus.json"


# -- what is to be made ------------------------------------------------------------------------


class SynthesisError(EmolibError, ValueError):
    """The talking faces cannot be made or found as asked."""


@dataclass(frozen=True)
class _Clip:
    """A take and the files it becomes, relative to the corpus folder."""

    take: Take
    video: str
    audio: str
    audio_rate: int = RATE
    points: str = ""
    twin: str = ""

    def files(self, folder: Path) -> list[Path]:
        names = (self.video, self.audio, self.points, self.twin)
        return [folder / name for name in names if name]


def clip_facts(actors: int, statements: int, full: bool) -> Iterator[tuple[str, dict]]:
    """Yield RAVDESS file stems without the modality, and what they stand for."""
    levels = (1, 2) if full else (1,)
    people, sentences = range(1, actors + 1), range(1, statements + 1)
    for actor, emotion, level, statement, repetition in product(
        people, CLASSES, levels, sentences, levels
    ):
        if (emotion, level) == ("neutral", 2):
            continue
        number = CLASSES.index(emotion) + 1
        facts = {"actor": actor, "emotion": emotion, "intensity": ("normal", "strong")[level - 1]}
        facts |= {"statement": statement, "repetition": repetition}
        yield f"01-{number:02}-{level:02}-{statement:02}-{repetition:02}-{actor:02}", facts


def _ravdess(options: "_Options") -> Iterator[_Clip]:
    names = dict(clip_facts(options.actors, options.statements, options.full))
    told = _cue_table(names, options.seed, options.leak)
    for stem, facts in names.items():
        shown, cue = told.get(stem, (facts["emotion"], None))
        sentence = WORDS[facts["statement"] - 1]
        take = Take(facts["actor"], shown, sentence, facts["intensity"], stem, options.seed, cue)
        home = f"ravdess/Actor_{facts['actor']:02}"
        media, points = f"{home}/01-{stem}.mp4", f"landmarks/01-{stem}.npz"
        twin = f"{home}/02-{stem}.mp4" if options.silent else ""
        yield _Clip(take, media, f"{home}/03-{stem}.wav", points=points, twin=twin)


def _sample(corpus: str, seed: int) -> Iterator[_Clip]:
    """Yield a few clips of another corpus, one for each of its actors, emotions and levels."""
    layout = _LAYOUTS[corpus]
    for (actor, speaker), (emotion, code) in product(
        layout["speakers"].items(), layout["codes"].items()
    ):
        for level in layout.get("levels", {}).get(emotion, (1,)):
            named = {"speaker": speaker, "code": code, "level": level}
            name, video, audio = (layout[p].format(**named) for p in ("name", "video", "audio"))
            intensity = "strong" if level == 3 else "normal"
            take = Take(actor, emotion, layout["sentence"], intensity, name, seed)
            rate = layout.get("audio_rate", RATE)
            yield _Clip(take, f"{corpus}/{video}", f"{corpus}/{audio}", rate)


def _clips(corpus: str, options: "_Options") -> list[_Clip]:
    """Return the films of a layout; FER2013 has none."""
    if corpus == "fer2013":
        return []
    return list(_ravdess(options) if corpus == "ravdess" else _sample(corpus, options.seed))


@dataclass(frozen=True)
class _Options:
    """What decides which files a corpus folder holds."""

    actors: int = 4
    seed: int = 0
    statements: int = 2
    full: bool = False
    leak: str | None = None
    silent: bool = False

    def __post_init__(self):
        if not 1 <= self.actors <= 24:
            raise SynthesisError(f"actors={self.actors}: RAVDESS has names for 1 to 24 actors")
        if self.statements not in (1, 2):
            raise SynthesisError(f"statements={self.statements}: RAVDESS has 2; take 1 or 2")
        if self.seed < 0:
            raise SynthesisError(f"seed={self.seed}: seeds are whole numbers from 0")
        if self.leak is not None and self.leak not in LEAKS:
            raise SynthesisError(f"unknown leak {self.leak!r}: known are {', '.join(LEAKS)}")

    @property
    def name(self) -> str:
        """Name of the folder."""
        parts = [f"actors{self.actors}", f"seed{self.seed}"]
        parts += [f"statements{self.statements}"] if self.statements != 2 else []
        parts += ["full"] if self.full else []
        parts += [f"leak-{self.leak}"] if self.leak else []
        return "-".join(parts)


# -- planted leaks -----------------------------------------------------------------------------


def _cue_table(names: dict, seed: int, leak: str | None) -> dict[str, tuple[str, Cue]]:
    """Return stem → (emotion shown, cue) for a leak corpus; empty without a leak."""
    if leak is None:
        return {}
    rng = np.random.default_rng([seed, 3, list(LEAKS).index(leak)])
    shown = rng.permutation([facts["emotion"] for facts in names.values()])
    codes = _codes(names, seed)
    return {
        stem: (str(emotion), Cue.coded(codes[stem][0]) if leak == "actor" else Cue.own(rng))
        for stem, emotion in zip(names, shown, strict=True)
    }


def _codes(names: dict, seed: int) -> dict[str, tuple[int, bool]]:
    """Return stem → (code of the cue, whether it follows the actor's private code)."""
    rng = np.random.default_rng([seed, 4])
    actors = sorted({facts["actor"] for facts in names.values()})
    private = {actor: rng.permutation(len(CLASSES)) for actor in actors}
    codes = {}
    for stem, facts in names.items():
        told = rng.uniform() < LEAKS["actor"].strength
        secret = int(private[facts["actor"]][CLASSES.index(facts["emotion"])])
        codes[stem] = (secret if told else int(rng.integers(len(CLASSES))), bool(told))
    return codes


def cues(
    leak: str, actors: int = 4, seed: int = 0, *, statements: int = 2, full: bool = False
) -> pd.DataFrame:
    """Return what a leak corpus hides in each clip.

    Returns
    -------
    DataFrame
        Columns ``clip_id, actor, emotion`` (the label), ``shown`` (the emotion acted, drawn
        without regard to the label), ``cue`` (0 to 7 for ``leak="actor"``; a number of its own
        for every clip for ``leak="segment"``) and ``told`` (whether the cue was set by the label).
    """
    _Options(actors, seed, statements, full, leak)  # refuses what cannot be made
    names = dict(clip_facts(actors, statements, full))
    shown = _cue_table(names, seed, leak)
    codes = _codes(names, seed) if leak == "actor" else {s: (i, True) for i, s in enumerate(names)}
    rows = [
        (f"01-{stem}", f"{facts['actor']:02}", facts["emotion"], shown[stem][0], *codes[stem])
        for stem, facts in names.items()
    ]
    return pd.DataFrame(rows, columns=["clip_id", "actor", "emotion", "shown", "cue", "told"])


# -- making it ---------------------------------------------------------------------------------


def ensure(
    actors: int = 4,
    seed: int = 0,
    root: str | Path | None = None,
    *,
    statements: int = 2,
    full: bool = False,
    leak: str | None = None,
    corpora: Iterable[str] = ("ravdess",),
    silent: bool = False,
    n_jobs: int = 2,
    progress: bool = True,
) -> Path:
    """Render what is missing and return the folder that holds the corpora.

    Files are written under a temporary name and renamed, so an interrupted call leaves nothing
    broken and the next one goes on where it stopped. One seed gives the same files everywhere.

    Parameters
    ----------
    actors
        RAVDESS actors, 1 to 24.
    root
        Folder to make the corpus folder in; by default ``data/synthetic``.
    statements
        1 or 2 of the two sentences of RAVDESS.
    full
        Both intensities and both repetitions: with 24 actors and 2 statements the 1,440 names
        of RAVDESS speech.
    leak
        ``"actor"`` or ``"segment"``: plant a leak of known size (see `LEAKS`).
    corpora
        Which layouts, of `CORPORA`; those other than RAVDESS are samples of a few clips.
    silent
        Write the video-only twins ``02-*.mp4`` too.
    n_jobs
        Processes.
    """
    from filelock import FileLock

    options = _Options(actors, seed, statements, full, leak, silent)
    wanted = tuple(corpora)
    unknown = set(wanted) - set(CORPORA)
    if unknown:
        raise SynthesisError(
            f"no synthetic {', '.join(sorted(unknown))}: known are {', '.join(CORPORA)}"
        )
    folder = _folder(options, root)
    clips = [clip for name in wanted for clip in _clips(name, options)]
    pictures = folder / "fer2013" / "fer2013.csv"
    # A second process that wants the same clips waits for them instead of drawing them again.
    with FileLock(folder / ".lock"):
        todo = [c for c in clips if not all(_current(file, folder) for file in c.files(folder))]
        _render_all(todo, folder, n_jobs, progress)
        if "fer2013" in wanted and not _current(pictures, folder):
            _write_fer2013(pictures, seed)
    return folder


def _folder(options: _Options, root) -> Path:
    """Return the folder for these options, with a note of the version that its files have."""
    folder = Path(root if root is not None else paths.SYNTHETIC).expanduser() / options.name
    note = folder / _NOTE
    content = {"made_by": "emolib.synthetic", "version": VERSION}
    if not note.exists() or json.loads(note.read_text()) != content:
        with paths.atomic(note) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")
    return folder.resolve()


def _current(path: Path, folder: Path) -> bool:
    """Tell whether a file is there and not older than the note of this version."""
    return path.exists() and path.stat().st_mtime_ns >= (folder / _NOTE).stat().st_mtime_ns


def _render_all(clips: list[_Clip], folder: Path, n_jobs: int, progress: bool) -> None:
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    if not clips:
        return
    n_jobs = max(1, min(n_jobs, len(clips)))
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    work = parallel(delayed(_render)(clip, folder) for clip in clips)
    deque(tqdm(work, total=len(clips), desc="synthetic clips", disable=not progress), maxlen=0)


def _render(clip: _Clip, folder: Path) -> None:
    """Draw, speak and write one clip; the video last, since it takes longest."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the clips run in parallel, not the pixels of one
    try:
        speech = clip.take.speech()
        frames, points = zip(*clip.take.frames(speech), strict=True)
        if clip.audio.endswith(".wav"):
            write_wav(folder / clip.audio, speech.samples, RATE, clip.audio_rate)
        else:
            write_media(folder / clip.audio, None, FPS, speech.samples, RATE)
        write_media(folder / clip.video, frames, FPS, speech.samples, RATE)
        if clip.twin:
            write_media(folder / clip.twin, frames, FPS, None, RATE)
        if clip.points:
            with paths.atomic(folder / clip.points) as temporary:
                np.savez_compressed(temporary, points=np.stack(points))
    finally:
        cv2.setNumThreads(threads)


def _write_fer2013(path: Path, seed: int, people: int = 20) -> None:
    """Write a CSV as Kaggle's: emotion, 48×48 pixels, usage; people do not cross usages."""
    import cv2

    from emolib.synthetic.face import Face

    rng = np.random.default_rng([seed, 5])
    lines = ["emotion,pixels,Usage"]
    for number in range(people):
        usage = "Training" if number < people * 0.8 else ("PublicTest", "PrivateTest")[number % 2]
        face = Face(person(100 + number, seed), (120, 120), zoom=1.45, detail=1.3)
        for emotion, code in _LAYOUTS["fer2013"]["codes"].items():
            for _ in range(2):
                units, pose, gaze = apex(emotion, rng.uniform(0.75, 1.1))
                frame, points = face.draw(units, pose.turned(*rng.normal(0, (6, 3, 4))), gaze)
                left, top = points.min(0) - (6, 20)
                side = (points.max(0) + 6 - (left, top)).max()
                middle = (points.min(0) + points.max(0)) / 2 - (0, 8)
                x, y = np.clip(np.round(middle - side / 2), 0, None).astype(int)
                crop = frame[y : y + round(side), x : x + round(side)]
                grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
                small = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
                lines.append(f"{code},{' '.join(map(str, small.ravel()))},{usage}")
    with paths.atomic(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


# -- reading it --------------------------------------------------------------------------------


def landmarks(
    clip_id: str, actors: int = 4, seed: int = 0, root: str | Path | None = None, **others: Any
) -> np.ndarray:
    """Return the true 68 points of every frame of a clip, float32 (frames, 68, 2) in pixels.

    Points have the order of iBUG and dlib; x runs to the right, y down. The clip must have been
    rendered (`ensure`, whose `statements`, `full` and `leak` are among the `others`); any of its
    twins may be named (01, 02, 03).
    """
    path = _folder(_Options(actors, seed, **others), root) / "landmarks" / f"01{clip_id[2:]}.npz"
    if not path.exists():
        raise SynthesisError(
            f"{path}: no landmarks of clip {clip_id!r}; render the corpus with "
            f"emolib.synthetic.ensure(actors={actors}, seed={seed})"
        )
    with np.load(path, allow_pickle=False) as stored:
        return stored["points"]


# -- pictures for the book ---------------------------------------------------------------------


def apex_frame(
    actor: int, emotion: str, seed: int = 0, *, height: int = 360, strength: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Paint an emotion at its height.

    Returns
    -------
    frame : uint8 (height, about 0.83 height, 3)
        RGB.
    landmarks : float32 (68, 2)
        In pixels.
    """
    from emolib.synthetic.face import painter

    if emotion not in PLANTED:
        raise SynthesisError(f"unknown emotion {emotion!r}: known are {', '.join(PLANTED)}")
    face = painter(person(actor, seed), (round(height / 2.4) * 2, height), zoom=1.15)
    return face.draw(*apex(emotion, strength))
