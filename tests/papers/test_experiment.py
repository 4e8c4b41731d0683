"""An experiment is checked where it is made, and its command makes it again."""

import json
import re
import shlex
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emolib import cli, corpora, paths, registry
from emolib.corpora import download
from emolib.corpora.splits import LeakError
from emolib.labs import leaks, studies
from emolib.models.lu import FACE
from emolib.papers import engine, films
from emolib.papers.experiment import Experiment, ExperimentError, command
from emolib.training import TrainingRecipe

VOICES = Experiment("ravdess", "audio", options={"width": 2, "kernels": [3, 3]})
RUNS = [
    (key, name) for key in (*registry.PAPERS, *registry.LABS) for name in engine.paper(key).FULL
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": "ravdes"}, "unknown corpus 'ravdes': known are ravdess, cremad"),
        ({"corpus": "ravdess+"}, "unknown corpus ''"),
        ({"corpus": Path("ravdess")}, r"corpus=PosixPath\('ravdess'\): give text"),
        ({"modality": None}, "modality=None: give text"),
        ({"note": 3}, "note=3: give text"),
        ({"split": "subject"}, "unknown kind of split 'subject': known are segment, clip, actor"),
        ({"seeds": ()}, r"seeds=\(\): give one or more different whole numbers from 0"),
        ({"seeds": 0}, "seeds=0: give one or more"),
        ({"seeds": (0, 0)}, "different"),
        ({"seeds": (0.5,)}, "whole numbers"),
        ({"seeds": (10**23,)}, "from 0 to 4294967295"),
        ({"folds": (-1,)}, r"folds=\(-1,\): give"),
        ({"folds": ()}, r"folds=\(\): give"),
        ({"options": ["dropout"]}, r"options=\['dropout'\]: give a mapping"),
        ({"options": {"modality": "video"}}, "modality is a field"),
        ({"recipe": {"lr": 0.1}}, "give a TrainingRecipe"),
        ({"allow_leak": "everything"}, "unknown leak 'everything': known are segment"),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_in_one_line_with_what_is_allowed(changes, message):
    with pytest.raises(ExperimentError, match=message) as caught:
        replace(VOICES, **changes)
    assert "\n" not in str(caught.value)


def test_another_split_does_not_inherit_the_leak_that_was_allowed():
    leaky = VOICES.changed(split="clip", allow_leak="clip")
    assert leaky.changed(split="actor").allow_leak is None
    with pytest.raises(LeakError, match='allow_leak="segment"'):
        leaky.changed(split="segment")


def test_options_are_laid_over_those_there_are_and_unknown_fields_are_refused():
    changed = VOICES.changed(options={"width": 1}, seeds=[4])
    assert changed.options == {"width": 1, "kernels": (3, 3)}
    assert changed.seeds == (4,)
    assert VOICES.options["width"] == 2
    with pytest.raises(ExperimentError, match="unknown field 'seed': known are corpus, modality"):
        VOICES.changed(seed=3)


def test_equal_experiments_are_one_and_none_can_be_altered():
    twin = Experiment("ravdess", "audio", options={"kernels": (3, 3), "width": 2})
    assert len({VOICES, twin, replace(twin, seeds=(0,))}) == 2
    with pytest.raises(FrozenInstanceError):
        twin.seeds = (1,)
    with pytest.raises(TypeError):
        twin.options["width"] = 3


# --- commands ------------------------------------------------------------------------------


class Asked(Exception):
    """What `emolib train` would run."""


@pytest.fixture
def asked(monkeypatch):
    """Return a function from a command to the key, the experiment, and how it would be run."""

    def run(key, experiment, **how):
        raise Asked(key, experiment, how)

    monkeypatch.setattr(engine, "run", run)

    def ask(words):
        program, *arguments = shlex.split(words)
        assert program == "emolib"
        done = CliRunner().invoke(cli.app, arguments)
        assert isinstance(done.exception, Asked), f"{words}: {done.output}"
        return done.exception.args

    return ask


@pytest.mark.parametrize(("key", "name"), RUNS)
def test_the_command_of_a_declared_experiment_makes_it(asked, key, name):
    declared = engine.paper(key).FULL[name]
    ran, experiment, how = asked(command(key, name))
    assert (ran, experiment) == (key, declared)
    assert (how["name"], how["mode"]) == (name, "full")


@pytest.mark.parametrize(
    "experiment",
    [
        VOICES,
        replace(VOICES, seeds=(3,), folds=(0, 2), split="clip", allow_leak="clip"),
        Experiment("savee+mead", "both", "corpus", split_options={"test": "mead"}),
        Experiment("ravdess", "audio", "luna", folds=(0, 4)),
        Experiment("ravdess", "audio and text", options={"lr": 1e-5, "fan": "off", "n": "3"}),
        Experiment("paired", "both", options={"tam": None, "wide": True, "name": "a: 'b'"}),
        Experiment("fer2013", "video", data={"augmentation": ("flip", "move"), "share": 0.25}),
        *(Experiment("paired", "video", options=options) for options in FACE.values()),
    ],
    ids=str,
)
def test_a_command_that_spells_an_experiment_out_makes_it(asked, experiment):
    key, again, how = asked(command("lu", experiment))
    assert (key, again) == ("lu", experiment)
    assert (how["name"], how["mode"]) == (None, "full")


def test_what_a_command_cannot_hold_needs_a_name():
    with pytest.raises(ExperimentError, match="declare the experiment in FULL of lu"):
        command("lu", replace(VOICES, recipe=TrainingRecipe()))


def test_what_is_given_beside_an_experiments_name_overrides_it(asked):
    declared = engine.paper("lu").FULL["audio-actor"]
    words = "--seeds 0 --folds 1,2 --mode quick --option dropout=0.3 --data augmentation=false"
    _, experiment, how = asked(f"emolib train lu --experiment audio-actor {words}")
    changed = {each.name for each in fields(Experiment)}
    changed = {each for each in changed if getattr(experiment, each) != getattr(declared, each)}
    assert changed == {"seeds", "folds", "options", "data"}
    assert (experiment.seeds, experiment.folds) == ((0,), (1, 2))
    assert experiment.options == declared.options | {"dropout": 0.3}
    assert experiment.data == {"augmentation": False}
    assert how["mode"] == "quick"


def test_a_command_without_a_name_is_a_quick_run_of_one_seed(asked):
    key, experiment, how = asked("emolib train ding --corpus ravdess --modality audio")
    assert (key, experiment) == ("ding", Experiment("ravdess", "audio", seeds=(0,)))
    assert (how["name"], how["mode"]) == (None, "quick")


def test_a_peers_folds_are_a_split_however_they_are_named(asked):
    words = "emolib train mostafa --corpus ravdess --modality audio"
    (_, by_folds, _), (_, by_split, _) = (
        asked(f"{words} --{how} emobox") for how in ("folds", "split")
    )
    assert by_folds == by_split == Experiment("ravdess", "audio", "emobox", seeds=(0,))
    assert by_folds.folds is None


# --- every command that is printed ---------------------------------------------------------


def written():
    """Yield where a command is written or printed, and the command."""
    pages = [paths.PROJECT / "README.md", *(paths.PROJECT / "book").glob("*.md")]
    texts = {page: page.read_text() for page in pages}
    for file in (paths.PROJECT / "notebooks").glob("*.ipynb"):
        texts[file] = "\n".join("".join(c["source"]) for c in json.loads(file.read_text())["cells"])
    for file in paths.CLAIMS.glob("*.yml"):
        texts[file] = re.sub(r"\s+", " ", file.read_text())
    for file, text in texts.items():
        for found in re.finditer(r"emolib (?:train|study|data get) [^`\n\"|#}]+", text):
            yield file.name, found[0].strip(" .,;:)")


@pytest.fixture(scope="module")
def commands():
    known = ("emolib train ", "emolib study ", "emolib data get ")
    return {words: where for where, words in written() if words.startswith(known)}


@pytest.fixture
def offline(monkeypatch):
    """Downloads that go as far as the registry."""

    def refuse_unknown_parts(name, *places, parts=None, actors=None, **options):
        for part in parts or download.PARTS.get(name, ())[:1]:  # others say how by hand
            assert download.batches(name, part, actors or ())

    def keep(name, keys, *places, parts=None, actors=None):
        assert set(keys) <= set(registry.PAPERS)
        refuse_unknown_parts(name, parts=parts or [corpora.SOURCES[name].film_part])

    monkeypatch.setattr(download, "get", refuse_unknown_parts)
    monkeypatch.setattr(films, "keep_features", keep)
    monkeypatch.setattr(cli, "_tell_left_out", lambda root: None)  # my.csv is the reader's


def test_every_command_of_the_pages_is_one_that_runs(commands, asked, offline):
    assert any("--features-only" in words for words in commands)
    trained = {}
    for words, where in commands.items():
        kind, *arguments = shlex.split(words)[1:]
        if kind == "data":
            done = CliRunner().invoke(cli.app, ["data", *arguments])
            assert done.exit_code == 0, f"{where}: {words}: {done.output}"
        elif kind == "study":
            assert set(arguments) <= set(studies.TABLES), f"{where}: {words}"
        else:
            trained[words] = asked(words)
    assert trained
    built = {}
    for words, (key, experiment, how) in trained.items():
        assert how["name"] in (None, *engine.paper(key).FULL), words
        own = [one for name in experiment.corpus.split("+") for one in corpora.options(name)]
        engine.refuse_unknown("data option", experiment.data, engine.paper(key).load, (), own)
        learner = engine.learner(key, experiment, how["mode"])
        if "weights" not in experiment.options:  # they would be fetched
            built[key, json.dumps(dict(learner.options), sort_keys=True)] = learner
    for learner in built.values():
        learner.check()


def test_the_ladder_prints_commands_that_run(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    table = leaks.ladder({"all": [*leaks.FULL, "ding/audio-actor"]})
    for words in table["command"]:
        asked(words)
    assert len(set(table["command"])) == len(leaks.FULL) + 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train dong", "unknown paper or lab 'dong': known are ding"),
        ("train ding --experiment nothing", "ding has no experiment nothing: it has audio-segment"),
        ("train ding --option dropout=[", "is not like fusion=mean"),
        ("train ding --option dropout", "is not like fusion=mean"),
        ("train ding --seeds 1e23", "is not a list like 0,1,2"),
        ("train ding --seeds -1", "whole numbers from 0"),
        ("train ding --mode Full", "unknown mode 'Full': known are quick, full"),
        ("train ding --device tpu", "unknown device 'tpu'"),
        ("train ding --corpus nowhere", "unknown corpus 'nowhere'"),
        ("train ding --split clip", 'allow_leak="clip"'),
        ("train ding --split luna", "unknown corpus for luna 'synthetic': known are ravdess"),
        ("train ding --split clip --folds luna", "leave out --split clip"),
        ("train lab_leaks --option learner=forest", "known are neighbour, svm, mlp"),
    ],
)
def test_what_train_refuses_is_one_line_that_names_what_is_allowed(words, message):
    done = CliRunner().invoke(cli.app, words.split())
    assert done.exit_code == 2
    assert message in re.sub(r"\s*│?\n│?\s*", " ", done.output)
