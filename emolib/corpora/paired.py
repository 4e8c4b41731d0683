"""A real voice with real faces: RAVDESS speech beside FER2013 pictures of the same emotion.

This is not a recording of one person, and every result on it says so. Each picture belongs to
one of the 24 RAVDESS actors, and near-duplicate pictures belong to the same one, so a split by
actor keeps voices and pictures of train and test apart. Calm is left out, for FER2013 has none.

A clip shows one picture; training may draw others of its actor and emotion in its place. Several
pictures in one clip are several people, and so many independent looks at its emotion.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from emolib.corpora import fer2013, pictures, ravdess
from emolib.corpora.manifest import CorpusError, build
from emolib.corpora.sources import SOURCES

CLASSES = fer2013.CLASSES
ACTORS = tuple(ravdess.CODES["actor"])
_TAKES = 8  # of an actor and emotion: two intensities, statements and repetitions


def manifest(root: str | Path | None = None, seed: int = 0) -> pd.DataFrame:
    """List the RAVDESS speech clips of the seven emotions that FER2013 has too.

    Parameters
    ----------
    root
        Folder that holds both corpora; by default `emolib.paths.recordings`.
    seed
        Has no effect on the clips; the pictures of a clip depend on the seed of `frames`.

    Returns
    -------
    DataFrame
        The manifest: clip_id, actor and path are those of RAVDESS, corpus is "paired". The
        pictures of a clip are given by `frames`.
    """
    voices = ravdess.manifest(folder_of("ravdess", root))
    fer2013.manifest(folder_of("fer2013", root))  # missing pictures are an error here, not later
    clips = voices[voices["emotion"].isin(CLASSES)].assign(corpus="paired", modality="audiovisual")
    return build(clips, voices.attrs["problems"], root)


def deal(root: str | Path | None = None, seed: int = 0) -> np.ndarray:
    """Deal the FER2013 pictures to the 24 actors.

    Groups of near-duplicates go first, the largest ahead, each to the actor who has the fewest
    pictures of its emotion so far; so all actors get equal shares of every emotion.

    Returns
    -------
    ndarray of str, shape (N,)
        The actor of every row of ``fer2013.images()``.
    """
    folder = folder_of("fer2013", root)
    emotion = fer2013.manifest(folder)["emotion"].map(CLASSES.index).to_numpy()
    group = pictures.near_duplicates(fer2013.images(folder))
    members = pd.Series(np.arange(len(group))).groupby(group).indices
    generator = np.random.default_rng(seed)
    order = sorted(generator.permutation(sorted(members)), key=lambda g: -len(members[g]))
    held = np.zeros((len(ACTORS), len(CLASSES)), int)
    turn = generator.permutation(len(ACTORS))  # who goes first when several have the fewest
    actor = np.empty(len(group), int)
    for key in order:
        rows = members[key]
        counts = np.bincount(emotion[rows], minlength=len(CLASSES))
        chosen = turn[held[turn, counts.argmax()].argmin()]
        actor[rows] = chosen
        held[chosen] += counts
    return np.array(ACTORS)[actor]


def frames(
    clips: pd.DataFrame, k: int, seed: int = 0, *, root: str | Path | None = None
) -> np.ndarray:
    """Choose the pictures of every clip among its actor's pictures of its emotion.

    The first is the one that the clip shows; it does not depend on `k`. The eight takes of an
    actor and emotion pick in turn from one shuffled row of pictures, so they share pictures only
    where the actor has fewer than 8·k (disgust: about 20).

    Parameters
    ----------
    clips
        Rows of `manifest`, in any order and number: a clip's pictures do not depend on which
        other clips are there.
    k
        Pictures that a clip may show.
    seed
        Seed of the deal and of the choice.
    root
        As for `manifest`; by default the one the manifest was made with.

    Returns
    -------
    ndarray of int, shape (n_clips, k)
        Rows of ``fer2013.images()``.

    Raises
    ------
    CorpusError
        If a clip is not one of this corpus.
    """
    root = root or clips.attrs.get("root")
    owner = deal(root, seed)
    emotion = fer2013.manifest(folder_of("fer2013", root))["emotion"].to_numpy()
    rows: dict[tuple[str, str], np.ndarray] = {}
    chosen = np.empty((len(clips), k), np.int64)
    for position, clip in enumerate(clips.itertuples()):
        key = clip.actor, clip.emotion
        if clip.actor not in ACTORS or clip.emotion not in CLASSES:
            raise CorpusError(
                f"clip {clip.clip_id!r} ({clip.actor!r}, {clip.emotion}) is not in the paired "
                "corpus: use rows of paired.manifest()"
            )
        if key not in rows:
            own = np.flatnonzero((owner == clip.actor) & (emotion == clip.emotion))
            shuffle = (seed, ACTORS.index(clip.actor), CLASSES.index(clip.emotion))
            rows[key] = np.random.default_rng(shuffle).permutation(own)
        second = (clip.intensity == "strong", clip.statement == "02", clip.repetition == "02")
        take = int(np.packbits(second)[0]) >> 5  # the three choices as a number from 0 to 7
        chosen[position] = rows[key].take(take + _TAKES * np.arange(k), mode="wrap")
    return chosen


def folder_of(name: str, root: str | Path | None) -> Path | None:
    """Return where below `root` a corpus lies; None leaves the choice to its loader."""
    if root is None:
        return None
    folders = [Path(root) / folder for folder in SOURCES[name].folders]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
