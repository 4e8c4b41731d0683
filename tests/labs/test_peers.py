"""Peers: their numbers are recomputed from their own scores, and ours stand on their folds."""

import numpy as np
import pandas as pd
import pytest
import yaml

from emolib import paths, results
from emolib.corpora.peers import PEERS
from emolib.labs import peers, studies
from emolib.papers.experiment import command

HERE = (paths.recordings() / peers.SCORES).is_file()
with_scores = pytest.mark.skipif(not HERE, reason=f"no {peers.SCORES} below EMOLIB_DATA")


@pytest.fixture(scope="module")
def made_up():
    return peers.stand_in(seed=1)


# --- recomputed ----------------------------------------------------------------------------


@with_scores
def test_the_printed_fusion_follows_from_its_own_scores():
    table = peers.recomputed().query("system == 'trained fusion'").set_index("fold")
    assert (table.loc["all", "right"], table.loc["all", "clips"]) == (1249, 1440)
    assert round(table.loc["all", "uar"], 2) == 86.46
    assert f"{table.loc['mean', 'accuracy']:.2f}" == f"{peers.PRINTED:.2f}"
    assert table.loc["all", "low"] < peers.PRINTED < table.loc["all", "high"]


@with_scores
@pytest.mark.parametrize("name", ["lab_peers/recomputed", "lab_peers/fusions", "lab_peers/weights"])
def test_the_committed_tables_are_those_that_the_scores_give(name):
    made = studies.TABLES[name]().reset_index(drop=True)
    stored = studies.table(name)
    for column in made:
        if pd.api.types.is_numeric_dtype(made[column]):
            left, right = (t[column].astype(float).to_numpy() for t in (made, stored))
            np.testing.assert_allclose(left, right, rtol=1e-9)
        else:
            assert made[column].astype(str).tolist() == stored[column].astype(str).tolist()


@with_scores
def test_no_clip_is_scored_by_a_system_that_met_its_actor(tmp_path):
    (tmp_path / "peers").mkdir()
    table = pd.read_csv(paths.recordings() / peers.SCORES, dtype={"clip_id": str})
    table.loc[0, "fold"] = (table.loc[0, "fold"] + 1) % 5
    table.to_csv(tmp_path / peers.SCORES, index=False)
    with pytest.raises(
        peers.PeersError, match=r"1 clips are scored in a fold .*01-01-01-01-01-01-01"
    ):
        peers.published(tmp_path)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(peers.PeersError, match=r"csv\.xz is missing: .*peers\.stand_in"):
        peers.published(tmp_path)
    (tmp_path / "peers").mkdir()
    pd.DataFrame({"clip_id": ["x"], "fold": [0]}).to_csv(tmp_path / peers.SCORES, index=False)
    with pytest.raises(peers.PeersError, match="has no column audio_angry"):
        peers.published(tmp_path)


def test_the_stand_in_has_the_form_of_the_published_scores_and_says_what_it_is(made_up):
    assert "synthetic" in made_up.title
    assert len(made_up) == 1440
    for values in made_up.probabilities.values():
        assert values.shape == (1440, 8)
        np.testing.assert_allclose(values.sum(1), 1)
    again = peers.stand_in(seed=1)
    np.testing.assert_array_equal(again.probabilities["fusion"], made_up.probabilities["fusion"])


def test_folds_and_pool_agree(made_up):
    table = peers.recomputed(made_up)
    for _, own in table.groupby("system"):
        own = own.set_index("fold")
        folds = own.loc[[str(fold) for fold in range(5)]]
        assert folds["right"].sum() == own.loc["all", "right"]
        assert folds["actors"].sum() == 24
        assert folds["accuracy"].mean() == pytest.approx(own.loc["mean", "accuracy"])
        assert own.loc["all", "low"] < own.loc["all", "uar"] < own.loc["all", "high"]


def test_a_mean_is_compared_clip_by_clip(made_up):
    table = peers.fusions(made_up)
    fused = int(
        peers.recomputed(made_up)
        .query("system == 'trained fusion' and fold == 'all'")["right"]
        .iloc[0]
    )
    assert (table["right"] - fused == table["more"] - table["fewer"]).all()
    assert np.allclose(table["difference"], 100 * (table["right"] - fused) / 1440)
    assert (table["low"] <= table["difference"]).all()
    assert (table["difference"] <= table["high"]).all()
    assert (table["p_holm"] >= table["p"]).all()


def test_a_weight_chosen_on_the_test_is_never_worse_there(made_up):
    table = peers.weights(made_up)
    assert (table["right by test"] >= table["right by other"]).all()
    assert table["clips"].sum() == 1440
    fold = made_up.folds == 0
    voice, units = (np.log(made_up.probabilities[one]) for one in ("audio", "video"))
    w = table["other"].iloc[0]
    right = ((w * voice + (1 - w) * units).argmax(1) == made_up.labels)[fold].sum()
    assert right == table["right by other"].iloc[0]


# --- the facts -----------------------------------------------------------------------------


def test_every_fact_has_its_source():
    table = peers.facts()
    named = table["where"].str.contains("@") | (table["chosen_on"] == "not checked")
    assert named.all()
    references = (paths.PROJECT / "book/references.bib").read_text()
    for cite in set(table["cite"]) - {""}:
        assert f"{{{cite},\n" in references
    known = table[table["corpus"].eq("ravdess") & table["folds"].isin(list(PEERS))]
    assert set(known["folds"]) == set(PEERS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "strangers"}, "unknown protocol 'strangers': new speakers"),
        ({"chosen_on": "train"}, "unknown chosen_on 'train': test"),
        ({"checked": ""}, "say what was checked"),
        ({"colour": "red"}, "colour is missing or unknown"),
    ],
)
def test_a_fact_that_is_not_whole_is_refused_with_its_row(tmp_path, changes, message):
    rows = yaml.safe_load((paths.DATA / "peers.yml").read_text())
    rows[2] = rows[2] | changes
    (tmp_path / "peers.yml").write_text(yaml.safe_dump(rows))
    with pytest.raises(peers.PeersError, match=rf"row 3 \(EmoBox, wav2vec2-base\): {message}"):
        peers.facts(tmp_path / "peers.yml")


def test_the_gap_of_others_stands_beside_ours():
    table = peers.gaps()
    assert set(table["whose"]) == {"printed", "measured here"}
    ours = table[table["whose"] == "measured here"].set_index("system")
    assert set(ours.index) == set(peers.BOTH_WAYS)
    lu = results.load("lu", "audio-actor").summary["accuracy"]
    assert ours.loc["Lu, voice", "new"] == pytest.approx(100 * lu.mean)
    assert (table["lost"] == table["random"] - table["new"]).all()


# --- ours on their folds -------------------------------------------------------------------


@pytest.mark.parametrize("name", peers.FULL)
def test_ours_are_declared_on_the_folds_that_their_name_says(name):
    experiment = peers.FULL[name]
    assert experiment.split == name.rsplit("-", 1)[1]
    assert experiment.allow_leak is None
    assert command("lab_peers", name) == f"emolib train lab_peers --experiment {name}"


@pytest.mark.parametrize("folds", PEERS)
def test_ours_stand_beside_theirs_or_say_how_to_be_made(folds):
    table = peers.beside(folds)
    others = {"printed", "recomputed"} if folds == peers.FOLDS else {"printed"}
    assert set(table["whose"]) == {"ours"} | others
    ours = table[table["whose"] == "ours"]
    assert len(ours) == sum(name.endswith(folds) for name in peers.FULL)
    assert (ours["value"].notna() == (ours["command"] == "")).all()


def test_the_committed_results_were_tested_on_their_people():
    stored = results.load_all("lab_peers")
    assert stored
    for result in stored:
        assert sum(result.split.leaks.values()) == 0
        name, folds = result.split.name, PEERS[result.split.kind]
        assert name == f"ravdess-{folds.name}"
        actors = np.asarray(result.samples.actors)
        for run in result.runs:
            assert set(actors[run.rows()]) == set(folds.test[run.fold])


# --- how often is it wrong? ----------------------------------------------------------------


def test_the_best_on_the_test_shows_more_than_it_is_worth():
    best = peers.selection(100, spread=1.0, noise=2.0)
    assert best["shown"] > best["worth"] + 1
    assert best["honest"] == pytest.approx(best["worth"], abs=0.2)
    assert peers.selection(10, 0.0, 1.0)["shown"] == pytest.approx(1.54, abs=0.05)


def test_clips_of_one_actor_fool_mcnemar_and_not_the_interval_over_actors():
    table = peers.false_alarms(120, seed=3).set_index("people")
    alike, apart = (table.loc[row] for row in table.index)
    assert alike["McNemar (%)"] < 8
    assert apart["McNemar (%)"] > 15 > apart["interval over actors (%)"]
