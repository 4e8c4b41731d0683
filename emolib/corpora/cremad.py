"""CREMA-D: 91 actors say twelve sentences in six emotions, judged by 2,443 raters (Cao 2014).

File names: ``1001_DFA_ANG_XX`` is actor, sentence, emotion, level. Raters judged every clip from
the voice alone, the face alone, and both; so there are two kinds of labels, the intended one and
the crowd's.
"""

import re
from pathlib import Path

import pandas as pd

from emolib.corpora.manifest import (
    EMOTIONS,
    NAMES,
    CorpusError,
    FileProblem,
    build,
    collect,
    kind_of,
    known,
    locate,
    read_name,
)

CLASSES = tuple(emotion for emotion in EMOTIONS if emotion not in ("calm", "surprised", "contempt"))

EMOTION_CODES: dict[str, str] = NAMES["cremad"]["emotions"]
LEVELS: dict[str, str] = NAMES["cremad"]["levels"]
SENTENCES: dict[str, str] = NAMES["cremad"]["sentences"]
#: Letter of a vote → emotion.
VOTES = {code[0]: emotion for code, emotion in EMOTION_CODES.items()}
#: What the raters had → column of ``summaryTable.csv``.
CONDITIONS = {"voice": "VoiceVote", "face": "FaceVote", "audiovisual": "MultiModalVote"}

_CONDITION_OF = {"audio": "voice", "video": "face", "audiovisual": "audiovisual"}
_NAME = re.compile(
    r"(?P<actor>1\d{3})_(?P<statement>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>\w+)"
)
_SIDE_FILES = ("*.csv", "*.txt", "*.r", "*.rmd", "*.sql", "*.sh")


def parse(path: Path) -> dict[str, str]:
    """Read the columns of one clip out of its file name.

    Raises
    ------
    FileProblem
        If the name is not one of CREMA-D.
    """
    codes = {"statement": SENTENCES, "emotion": EMOTION_CODES, "level": LEVELS}
    example = "actor_sentence_emotion_level such as 1001_DFA_ANG_XX"
    fields = read_name(path.stem, _NAME, codes, example)
    return {
        "clip_id": path.stem,
        "actor": fields["actor"],
        "emotion": EMOTION_CODES[fields["emotion"]],
        "intensity": LEVELS[fields["level"]],
        "statement": fields["statement"],
        "modality": kind_of(path),
        "channel": "speech",
        "text": SENTENCES[fields["statement"]],
    }


def manifest(
    root: str | Path | None = None,
    *,
    modality: str | None = None,
    labels: str = "intended",
    raters: str | None = None,
) -> pd.DataFrame:
    """List the clips of CREMA-D.

    Parameters
    ----------
    root
        Folder of the corpus (with ``AudioWAV/``, ``VideoFlash/`` and the tables).
    modality
        "audio" (wav), "audiovisual" (flv, or mp4 made from it), or None for the richest.
    labels
        "intended": what the actor was asked for. "crowd": what most raters chose; clips with a
        tie have no such label and are reported as problems.
    raters
        Which raters make the crowd: those who had the "voice", the "face", or both
        ("audiovisual"). None: the voice for sound files, both for films.

    Returns
    -------
    DataFrame
        The manifest, with the further columns ``age`` (years), ``sex``, ``race`` and
        ``ethnicity`` where ``VideoDemographics.csv`` is there, and ``intended``.
    """
    known("labels", labels, ("intended", "crowd"))
    known("raters", raters, CONDITIONS)
    if raters and labels != "crowd":
        raise CorpusError(f"raters={raters!r} make the crowd's labels: give labels='crowd' too")
    suffixes = (".wav", ".flac", ".flv", ".mp4")
    table = collect("cremad", root, parse, suffixes, side_files=_SIDE_FILES, modality=modality)
    folder, problems = Path(table.attrs["root"]), table.attrs["problems"]
    kinds = table.attrs["kinds"]
    table["intended"] = table["emotion"]
    if (people := _find(folder, "VideoDemographics.csv")) is not None:
        joined = demographics(root=people.parent).reindex(table["actor"])
        table = table.assign(**{column: joined[column].to_numpy() for column in joined})
    if labels == "crowd":
        votes = crowd_votes(folder, raters or _CONDITION_OF[table["modality"].iloc[0]])
        table["emotion"] = votes.reindex(table["clip_id"]).map(VOTES).to_numpy()
        undecided = table["emotion"].isna()
        problem = FileProblem(
            "the raters' votes are tied or missing, so there is no crowd label",
            "use labels='intended' to keep the clip",
        )
        problems = problems + [problem.line(path) for path in table.loc[undecided, "path"]]
        table = table[~undecided]
        if table.empty:
            raise CorpusError(f"{folder}: the raters agree on none of {len(undecided)} clips")
    made = build(table.to_dict("records"), problems, folder)
    made.attrs["kinds"] = kinds
    return made


def demographics(root: str | Path | None = None) -> pd.DataFrame:
    """Return age (years), sex, race and ethnicity of the 91 actors, indexed by actor."""
    table = pd.read_csv(_table(locate("cremad", root), "VideoDemographics.csv"), dtype=str)
    table = table.rename(columns={"ActorID": "actor"}).rename(columns=str.lower)
    table["sex"] = table["sex"].str.lower()
    return table.astype({"age": int}).set_index("actor")


def crowd_votes(root: str | Path | None = None, condition: str = "audiovisual") -> pd.Series:
    """Return the letter most raters chose for each clip ("A:D" for a tie), indexed by clip.

    Parameters
    ----------
    root
        Folder of the corpus.
    condition
        What the raters had: "voice", "face" or "audiovisual".
    """
    if condition not in CONDITIONS:
        raise CorpusError(f"unknown condition {condition!r}: known are {', '.join(CONDITIONS)}")
    table = pd.read_csv(_table(locate("cremad", root), "summaryTable.csv"), dtype=str)
    return table.set_index("FileName")[CONDITIONS[condition]].rename_axis("clip_id")


def human_votes(root: str | Path | None = None) -> pd.DataFrame:
    """Return how many raters chose each emotion for each clip and condition.

    Reads ``human_votes.csv`` (clip, condition and one column a letter) or CREMA-D's own
    ``tabulatedVotes.csv``, where the first digit of the row's number is the condition.

    Returns
    -------
    DataFrame, shape (22326, 8)
        Columns ``clip_id, condition, A, D, F, H, N, S``.
    """
    folder = locate("cremad", root)
    path = _find(folder, "human_votes.csv")
    if path is not None:
        table = pd.read_csv(path).rename(columns={"clip": "clip_id"})
    else:
        table = pd.read_csv(_table(folder, "tabulatedVotes.csv"), index_col=0)
        table = table.rename(columns={"fileName": "clip_id"})
        conditions = dict(zip("123", CONDITIONS, strict=True))
        table["condition"] = table.index.astype(str).str[0].map(conditions)
    return table[["clip_id", "condition", *sorted(VOTES)]].reset_index(drop=True)


def human_accuracy(root: str | Path | None = None) -> pd.DataFrame:
    """Return how often a single rating names the intended emotion, per condition.

    Returns
    -------
    DataFrame
        Indexed by condition (voice, face, audiovisual): ``clips``, ``ratings``, ``correct``,
        ``accuracy`` (0 to 1).
    """
    votes = human_votes(root)
    letters = sorted(VOTES)
    ratings = votes[letters].to_numpy()
    intended = votes["clip_id"].str.split("_").str[2].str[0].map(letters.index).to_numpy()
    votes = votes.assign(
        ratings=ratings.sum(axis=1), correct=ratings[range(len(votes)), intended.astype(int)]
    )
    table = votes.groupby("condition").agg(
        clips=("clip_id", "size"), ratings=("ratings", "sum"), correct=("correct", "sum")
    )
    table["accuracy"] = table["correct"] / table["ratings"]
    return table.loc[list(CONDITIONS)]


def _find(folder: Path, name: str) -> Path | None:
    places = (folder, folder / "processedResults", folder / "data")
    return next((place / name for place in places if (place / name).is_file()), None)


def _table(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if path is None:
        raise CorpusError(
            f"{folder / name} is missing: run `emolib data get cremad`, or take {name} from "
            "https://github.com/CheyneyComputerScience/CREMA-D"
        )
    return path
