"""The human baseline is committed, and is what the ratings give."""

import pandas as pd
import pytest

from emolib import paths, results
from emolib.labs import people


def test_people_are_named_by_corpus_and_modality():
    table = people.people()
    assert not table.duplicated(["corpus", "modality"]).any()
    assert table["accuracy"].between(0, 1).all()
    assert set(table["how"]) == {"recounted", "quoted"}


def test_the_counts_of_recounted_rows_give_their_accuracy():
    counted = people.people().query("how == 'recounted'")
    assert counted["modality"].tolist() == ["audio", "video", "both"]
    assert (100 * counted["correct"] / counted["ratings"]).round(2).tolist() == [40.0, 57.44, 63.07]
    assert (counted["correct"] / counted["ratings"]).tolist() == pytest.approx(
        counted["accuracy"].tolist(), abs=1e-6
    )


def test_quoted_rows_name_a_paper_of_the_bibliography():
    keys = (paths.PROJECT / "book" / "references.bib").read_text()
    for source in people.people().query("how == 'quoted'")["source"]:
        assert f"{{{source}," in keys


def test_a_corpus_that_no_one_judged_has_no_rows():
    assert people.people("synthetic").empty


def test_the_table_of_people_is_not_taken_for_the_result_of_a_model():
    assert all(result.key != "baselines" for result in results.load_all())


def test_saving_and_reading_keep_the_table(tmp_path, monkeypatch):
    table = people.people()
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert people.save(table) == tmp_path / "baselines" / "people.csv"
    pd.testing.assert_frame_equal(people.people(), table)


@pytest.mark.realdata
def test_counting_the_ratings_again_gives_the_committed_rows(recordings):
    again = people.recount(recordings / "cremad")
    committed = people.people("cremad")
    pd.testing.assert_frame_equal(again, committed, check_dtype=False)
