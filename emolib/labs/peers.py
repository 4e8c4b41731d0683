"""Peers under the same light: what others print for RAVDESS, recomputed and set beside ours.

Three things are asked of others' numbers that this book asks of its five papers: do they follow
from their own answers, who chose what on which people, and what is left for people that nobody
has met. `published` reads the scores that one published system gave to each clip; `facts` are
the public facts in ``data/peers.yml``, with repository, commit, file and line. The experiments in
`FULL` train here on *their* folds (``emolib train lab_peers --experiment …``).
"""

from dataclasses import replace

from emolib.corpora.peers import PEERS
from emolib.labs import leaks
from emolib.labs.learners import LEARNERS, Plain
from emolib.papers import engine, ishtiaq, mostafa
from emolib.papers.experiment import Experiment, choose

LAB = "lab_peers"

# --- our networks on their folds ------------------------------------------------------------

#: What a learner is given: a few numbers of a clip, or what a paper's network gets.
INPUTS = {"numbers": leaks.numbers, "mostafa": mostafa.load, "ishtiaq": ishtiaq.load}
#: A paper's voice network and the experiment whose recipe it is trained by.
VOICES = {"mostafa": "mel-ours-actor", "ishtiaq": "audio-ours-actor"}


def load(corpus: str, modality: str, mode: str = "full", *, inputs: str = "numbers", **options):
    """Return the samples of one of `INPUTS`; `options` are those of its function.

    Raises
    ------
    ExperimentError
        If there are no such inputs, or they have no such option or corpus.
    """
    choose("inputs", inputs, INPUTS)
    engine.refuse_unknown("data option", options, INPUTS[inputs])
    return INPUTS[inputs](corpus, modality, mode, **options)


def learner(experiment: Experiment, mode: str, device: str) -> engine.Learner:
    """Return what the option ``learner`` names: a plain learner, or a paper's voice network."""
    options = dict(experiment.options)
    name = options.pop("learner", "svm")
    choose("learner", name, (*LEARNERS, *VOICES))
    if name in VOICES:
        return engine.network(name, replace(experiment, options=options), mode, device)
    engine.refuse_unknown("option", options, Plain, ("learner", "modality"))
    return Plain(name, experiment.modality, **options)


def _declared() -> dict[str, Experiment]:
    """Return plain learners and two papers' voice networks, on the folds of each peer.

    The networks keep inputs, options and recipe of the experiment that `VOICES` names: only the
    people are dealt otherwise.
    """
    plain = Experiment("ravdess", "both", seeds=(0,), options={"learner": "svm"})
    full = {}
    for folds in PEERS:
        for modality in ("audio", "video"):
            full[f"svm-{modality}-{folds}"] = plain.changed(modality=modality, split=folds)
        for fusion in ("early", "geometric"):
            full[f"svm-{fusion}-{folds}"] = plain.changed(split=folds, options={"fusion": fusion})
        for key, name in VOICES.items():
            full[f"{key}-{folds}"] = engine.declared(key, name).changed(
                split=folds, seeds=(0,), options={"learner": key}, data={"inputs": key}
            )
    return full


FULL: dict[str, Experiment] = _declared()
