"""How good FER2013's labels are, measured by the ten people whom FERPlus asked about each picture.

A network that is trained and tested on FER2013's labels cannot be more right than they are. The
table is computed where the pictures are, and committed as ``data/results/mostafa/label-noise.csv``.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from emolib import results
from emolib.corpora import fer2013


def table(experiment: str | None = None, root: str | Path | None = None) -> pd.DataFrame:
    """Return agreement between FER2013, the FERPlus majority and a network, by class.

    Pictures without a majority (a tie, "unknown", "not a face") and those that most raters call
    contempt, which FER2013 has no name for, are counted in the first row's ``without majority``.

    Parameters
    ----------
    experiment
        A committed result of `mostafa` on FER2013; without it the network's columns are missing.
    root
        Folder of FER2013.

    Returns
    -------
    DataFrame
        One row for all pictures and one for each class of FER2013: ``pictures``,
        ``without majority`` (share), ``label is majority`` (share of the others), ``votes for the
        label`` (mean share of the ten votes), and on the test pictures ``network: FER2013 label``
        and ``network: FERPlus majority`` (accuracy against either, on the same pictures).
    """
    manifest = fer2013.manifest(root)
    votes = fer2013.ferplus(root)
    clear = fer2013.manifest(root, labels="ferplus").set_index("clip_id")["emotion"]
    majority = manifest["clip_id"].map(clear[clear.isin(fer2013.CLASSES)])
    named = dict(zip(_COLUMNS, fer2013.CLASSES, strict=True))
    shares = (
        votes.rename(columns=named)[list(fer2013.CLASSES)].to_numpy()
        / votes.sum(axis=1).clip(lower=1).to_numpy()[:, None]
    )
    label = manifest["emotion"].map(fer2013.CLASSES.index).to_numpy()
    frame = pd.DataFrame(
        {
            "emotion": manifest["emotion"],
            "without majority": majority.isna(),
            "label is majority": (majority == manifest["emotion"]).where(majority.notna()),
            "votes for the label": shares[np.arange(len(label)), label],
        }
    )
    if experiment:
        result = results.load("mostafa", experiment)
        rows, _, probabilities, _ = result.pooled()
        ids = np.array(result.samples.clip_ids)[rows]
        answers = pd.Series(np.array(result.classes)[probabilities.argmax(1)], ids)
        answer = manifest["clip_id"].map(answers)
        tested = answer.notna() & majority.notna()
        for name, truth in (("FER2013 label", manifest["emotion"]), ("FERPlus majority", majority)):
            frame[f"network: {name}"] = (answer == truth).where(tested)
    groups = [("all", frame), *frame.groupby("emotion", sort=False)]
    return pd.DataFrame(
        {"emotion": name, "pictures": len(part), **part.drop(columns="emotion").mean().to_dict()}
        for name, part in groups
    )


#: FERPlus's word for each of `fer2013.CLASSES`.
_COLUMNS = ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
