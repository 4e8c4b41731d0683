"""What our networks are given, and that their settings are those that were written down before."""

from dataclasses import asdict
from datetime import date

import numpy as np
import pytest
import torch

from emolib import paths, results
from emolib.labs import frontier
from emolib.papers import engine, own


def test_what_is_declared_is_what_was_chosen_on_validation_actors():
    told = frontier.selection()
    for name in told["declares"]:
        experiment = own.FULL[name]
        recipe = asdict(experiment.recipe or own.RECIPE)
        assert {key: recipe[key] for key in told["fixed"]["recipe"]} == told["fixed"]["recipe"]
        assert dict(experiment.options) == told["fixed"]["options"]
        assert set(experiment.data) <= {"level"}
    assert {name for name, one in own.FULL.items() if one.modality == "audio"} == {
        *told["declares"],
        frontier.RERUN,
    }


def test_the_choice_follows_from_what_was_measured_by_its_own_rule():
    told, table = frontier.selection(), frontier.ingredients()
    assert {told["chosen"], *told["tried"]} == {*table["setting"]}
    whole = table[table["folds"] == len(told["folds"])]
    assert set(table["setting"]) - set(whole["setting"]) == set(told["unfinished"])
    ranked = whole.sort_values(["uar", "log_loss"], ascending=[False, True], kind="stable")
    assert ranked["setting"].iloc[0] == told["chosen"]
    chosen = table.set_index("setting").loc[told["chosen"]]
    assert chosen["parameters"] == told["fixed"]["parameters"] <= 50_000


def test_the_choice_is_not_younger_than_any_result():
    written = frontier.selection()["date"]
    for file in sorted((paths.RESULTS / "own").glob("voice-*.json")):
        result = results.read(file)
        assert written <= date.fromisoformat(result.provenance.date[:10])
        assert result.recipe["digest"] == own.RECIPE.digest()
        assert result.model.parameters == frontier.selection()["fixed"]["parameters"]


def test_the_validation_actors_of_the_choice_were_those_of_their_folds():
    from emolib.corpora.peers import PEERS

    for fold, actors in frontier.selection()["actors"].items():
        assert not set(actors) & set(PEERS["luna"].test[fold])


def test_voices_are_brought_to_their_level():
    decibels = np.random.default_rng(0).normal(-30, 10, (2, 1, 64, 94))
    clip, band = own.voices(decibels, "clip"), own.voices(decibels, "band")
    assert clip.shape == (2, 1, 64, 64)
    np.testing.assert_allclose(clip.mean((-1, -2)), 0, atol=1e-4)
    np.testing.assert_allclose(clip.std((-1, -2)), 1, atol=1e-3)
    np.testing.assert_allclose(band.mean(-1), 0, atol=1e-4)
    assert own.voices(decibels).mean() < -20  # loudness is kept


def test_speakers_are_measured_on_their_own_clips_alone(recordings):
    dataset = own.load("ravdess", "audio", "quick", level="speaker", progress=False)
    values = dataset.samples.inputs["audio"]
    for rows in dataset.manifest.reset_index().groupby("actor").indices.values():
        own_values = values[rows, 0]
        assert torch.allclose(own_values.mean((0, 2)), torch.zeros(64), atol=1e-3)


def test_their_cepstra_and_chroma_have_46_numbers_a_frame():
    rate = 48_000
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate).astype(np.float32)
    values = own.CepstraAndChroma().coefficients(tone, rate)
    assert values.shape == (46, 71)
    assert values.dtype == np.float32
    assert (values[34:, 10:60].argmax(0) == 9).all()  # A is the tenth pitch class above C


@pytest.mark.parametrize("name", ["voice-luna", "voice-luna-speaker", "reslstm-luna"])
def test_the_voices_start_in_quick_mode(name, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    asked = engine.declared("own", name, corpus="synthetic", split="actor", seeds=(0,), folds=(0,))
    result = engine.run("own", asked, mode="quick", progress=False)
    assert len(result.runs) == 1
    assert result.model.parameters <= 50_000


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["fer-small", "fer-medium-twins"])
def test_the_faces_start_in_quick_mode(name, recordings, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    asked = engine.declared("own", name, seeds=(0,), data={"share": 0.02})
    result = engine.run("own", asked, mode="quick", progress=False)
    assert len(result.runs) == 1
