"""Talking faces and voices made from a seed, in the layouts of six real corpora.

Every loader, decoder, detector and feature runs on these files as on the real ones, and what
carries each emotion is known (`PLANTED`), as are the 68 landmarks of every frame. The corpus is
for checking machinery: no accuracy on it is ever a finding about people.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emolib import paths
from emolib.emotions import EMOTIONS
from emolib.errors import EmolibError
from emolib.synthetic import stills, votes
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

#: The emotions of the default corpus, those of RAVDESS, and those that its actors sing.
CLASSES = EMOTIONS[:8]
SUNG = CLASSES[:6]
_LAYOUTS = table("layouts")
#: Layouts that can be written.
CORPORA = ("ravdess", *_LAYOUTS)
#: Goes up when the same seed gives other files; files of an older version are made anew.
VERSION = 3

WORDS = tuple(SENTENCES)
_NOTE = "corpus.json"
#: A brief clip: pictures of half the size, and the middle second of what is said.
_BRIEF_SIZE, _BRIEF_FRAMES = (SIZE[0] // 2, SIZE[1] // 2), FPS


# -- what is to be made ------------------------------------------------------------------------


class SynthesisError(EmolibError, ValueError):
    """The talking faces cannot be made or found as asked."""


@dataclass(frozen=True)
class _Clip:
    """A take and the files it becomes, relative to the corpus folder ("" for none)."""

    take: Take
    video: str
    audio: str = ""
    audio_rate: int = RATE
    points: str = ""
    twin: str = ""

    def files(self, folder: Path) -> list[Path]:
        names = (self.video, self.audio, self.points, self.twin)
        return [folder / name for name in names if name]


def clip_facts(
    actors: int, statements: int, full: bool, *, sung: bool = False
) -> Iterator[tuple[str, dict]]:
    """Yield RAVDESS file stems without the modality, and what they stand for.

    What is sung is another take of the same words: this voice cannot sing.
    """
    levels = (1, 2) if full else (1,)
    people, sentences = range(1, actors + 1), range(1, statements + 1)
    for actor, emotion, level, statement, repetition in product(
        people, CLASSES, levels, sentences, levels
    ):
        if (emotion, level) == ("neutral", 2) or (sung and emotion not in SUNG):
            continue
        number = CLASSES.index(emotion) + 1
        channel = "02" if sung else "01"
        facts = {"actor": actor, "emotion": emotion, "intensity": ("normal", "strong")[level - 1]}
        facts |= {"statement": statement, "repetition": repetition}
        yield f"{channel}-{number:02}-{level:02}-{statement:02}-{repetition:02}-{actor:02}", facts


def _ravdess(options: "_Options") -> Iterator[_Clip]:
    names = dict(clip_facts(options.actors, options.statements, options.full))
    told = _cue_table(names, options.seed, options.leak)
    if options.song:
        names |= clip_facts(options.actors, options.statements, options.full, sung=True)
    for stem, facts in names.items():
        shown, cue = told.get(stem, (facts["emotion"], None))
        sentence = WORDS[facts["statement"] - 1]
        take = Take(facts["actor"], shown, sentence, facts["intensity"], stem, options.seed, cue)
        home = f"ravdess/Actor_{facts['actor']:02}"
        media, points = f"{home}/01-{stem}.mp4", f"landmarks/01-{stem}.npz"
        twin = f"{home}/02-{stem}.mp4" if options.silent else ""
        yield _Clip(take, media, f"{home}/03-{stem}.wav", points=points, twin=twin)


def _sample(corpus: str, options: "_Options") -> Iterator[_Clip]:
    """Yield a few clips of another corpus: of each actor, emotion, sentence and level."""
    layout = _LAYOUTS[corpus]
    people = list(layout["speakers"].items())[: options.actors]
    sentences = list(layout["sentences"].items())[: options.statements]
    for (actor, speaker), (emotion, code), (number, words) in product(
        people, layout["codes"].items(), sentences
    ):
        for level in layout.get("levels", {}).get(emotion, (1,)):
            named = {"speaker": speaker, "code": code, "level": level, "sentence": number}
            name, video, audio = (layout[p].format(**named) for p in ("name", "video", "audio"))
            intensity = "strong" if level == 3 else "normal"
            take = Take(actor, emotion, words, intensity, name, options.seed)
            rate = layout.get("audio_rate", RATE)
            yield _Clip(take, f"{corpus}/{video}", f"{corpus}/{audio}", rate)
            for view, yaw in layout.get("views", {}).items():
                seen = video.replace("/front/", f"/{view}/")
                yield _Clip(replace(take, turn=yaw), f"{corpus}/{seen}")


def _clips(corpus: str, options: "_Options") -> list[_Clip]:
    """Return the films of a layout; corpora of pictures have none."""
    if corpus in stills.CORPORA:
        return []
    clips = _ravdess(options) if corpus == "ravdess" else _sample(corpus, options)
    return [clip for clip in clips if clip.take.emotion in (options.emotions or EMOTIONS)]


@dataclass(frozen=True)
class _Options:
    """What decides which files a corpus folder holds."""

    actors: int = 4
    seed: int = 0
    statements: int = 2
    full: bool = False
    leak: str | None = None
    silent: bool = False
    song: bool = False
    brief: bool = False
    emotions: tuple[str, ...] = ()

    def __post_init__(self):
        if not 1 <= self.actors <= 24:
            raise SynthesisError(f"actors={self.actors}: RAVDESS has names for 1 to 24 actors")
        if self.statements not in (1, 2):
            raise SynthesisError(f"statements={self.statements}: RAVDESS has 2; take 1 or 2")
        if self.seed < 0:
            raise SynthesisError(f"seed={self.seed}: seeds are whole numbers from 0")
        if self.leak is not None and self.leak not in LEAKS:
            raise SynthesisError(f"unknown leak {self.leak!r}: known are {', '.join(LEAKS)}")
        if unknown := sorted(set(self.emotions) - set(EMOTIONS)):
            raise SynthesisError(f"unknown emotion {unknown[0]!r}: known are {', '.join(EMOTIONS)}")

    @property
    def name(self) -> str:
        """Name of the folder."""
        parts = [f"actors{self.actors}", f"seed{self.seed}"]
        parts += [f"statements{self.statements}"] if self.statements != 2 else []
        parts += ["full"] if self.full else []
        parts += [f"leak-{self.leak}"] if self.leak else []
        parts += ["brief"] if self.brief else []
        parts += ["-".join(self.emotions)] if self.emotions else []
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
    song: bool = False,
    brief: bool = False,
    emotions: Iterable[str] = (),
    n_jobs: int = 2,
    progress: bool = True,
) -> Path:
    """Render what is missing and return the folder that holds the corpora.

    Files are written under a temporary name and renamed, so an interrupted call leaves nothing
    broken and the next one goes on where it stopped. One seed gives the same files everywhere.

    Parameters
    ----------
    actors
        RAVDESS actors, 1 to 24; other layouts know up to four.
    root
        Folder to make the corpus folder in; by default ``data/synthetic``.
    statements
        1 or 2 sentences, in RAVDESS the two that it has.
    full
        Both intensities and both repetitions: with 24 actors and 2 statements the 1,440 names
        of RAVDESS speech.
    leak
        ``"actor"`` or ``"segment"``: plant a leak of known size (see `LEAKS`).
    corpora
        Which layouts, of `CORPORA`; those other than RAVDESS are samples of a few clips.
    silent
        Write RAVDESS' video-only twins ``02-*.mp4`` too.
    song
        Write RAVDESS' second channel, ``0?-02-*``, too.
    brief
        Small pictures and one second a clip, to try machinery fast.
    emotions
        Only these; all by default.
    n_jobs
        Processes.
    """
    from filelock import FileLock

    options = _Options(actors, seed, statements, full, leak, silent, song, brief, tuple(emotions))
    wanted = tuple(corpora)
    unknown = set(wanted) - set(CORPORA)
    if unknown:
        raise SynthesisError(
            f"no synthetic {', '.join(sorted(unknown))}: known are {', '.join(CORPORA)}"
        )
    folder = _folder(options, root)
    clips = [clip for name in wanted for clip in _clips(name, options)]
    # A second process that wants the same clips waits for them instead of drawing them again.
    with FileLock(folder / ".lock"):
        todo = [c for c in clips if not all(_current(file, folder) for file in c.files(folder))]
        _render_all(todo, folder, brief, n_jobs, progress)
        _write_tables(wanted, clips, folder, options)
    return folder


def _write_tables(
    wanted: Iterable[str], clips: list[_Clip], folder: Path, options: _Options
) -> None:
    """Write what a corpus has beside its films, and the corpora that have none."""
    if "cremad" in wanted:
        names = [Path(clip.video).stem for clip in clips if clip.video.startswith("cremad/")]
        sexes = {
            speaker: person(actor, options.seed).sex
            for actor, speaker in _LAYOUTS["cremad"]["speakers"].items()
        }
        votes.write(folder / "cremad", names, sexes)
    pictures = folder / "fer2013" / "fer2013.csv"
    if "fer2013" in wanted and not _current(pictures, folder):
        stills.write_fer2013(pictures, options.seed, emotions=options.emotions)
    if "fer2013" in wanted:
        votes.write_ferplus(pictures)
    if "ckplus" in wanted and not _current(folder / "ckplus" / stills.LAST, folder):
        stills.write_ckplus(folder / "ckplus", options.actors, options.seed, options.emotions)


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


def _render_all(clips: list[_Clip], folder: Path, brief: bool, n_jobs: int, progress: bool) -> None:
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    if not clips:
        return
    n_jobs = max(1, min(n_jobs, len(clips)))
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    work = parallel(delayed(_render)(clip, folder, brief) for clip in clips)
    deque(tqdm(work, total=len(clips), desc="synthetic clips", disable=not progress), maxlen=0)


def _render(clip: _Clip, folder: Path, brief: bool = False) -> None:
    """Draw, speak and write one clip; the video last, since it takes longest."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the clips run in parallel, not the pixels of one
    try:
        speech = clip.take.speech()
        samples, shown = speech.samples, slice(None)
        if brief:
            start = max(0, round(speech.duration * FPS) - _BRIEF_FRAMES) // 2
            shown = slice(start, start + _BRIEF_FRAMES)
            samples = samples[start * RATE // FPS : (start + _BRIEF_FRAMES) * RATE // FPS]
        size = _BRIEF_SIZE if brief else SIZE
        frames, points = zip(*clip.take.frames(speech, size, shown), strict=True)
        if clip.audio.endswith(".wav"):
            write_wav(folder / clip.audio, samples, RATE, clip.audio_rate)
        elif clip.audio:
            write_media(folder / clip.audio, None, FPS, samples, RATE)
        write_media(folder / clip.video, frames, FPS, samples, RATE)
        if clip.twin:
            write_media(folder / clip.twin, frames, FPS, None, RATE)
        if clip.points:
            with paths.atomic(folder / clip.points) as temporary:
                np.savez_compressed(temporary, points=np.stack(points))
    finally:
        cv2.setNumThreads(threads)


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
