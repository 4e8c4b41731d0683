"""The table of verdicts, and the commands that it prints."""

import os
import shlex
import subprocess
import sys

import pytest
import typer
from typer.core import TyperGroup

from emolib import claims, cli, registry


def test_the_table_has_one_row_a_claim_and_the_summary_adds_up(no_results, monkeypatch):
    monkeypatch.setattr(registry, "PAPERS", {"ding": registry.PAPERS["ding"]})
    table = claims.table()
    assert list(table["id"]) == [c.id for c in claims.load("ding")]
    assert {"id", "paper", "published", "measured", "verdict", "settle_with"} <= set(table.columns)
    assert not table[table["own"]]["verdict"].isna().any()
    counts = claims.summary()
    assert counts.loc["all", "all"] == table["fact"].nunique()
    assert counts.loc["ding", list(claims.VERDICTS)].sum() == counts.loc["ding", "all"]


def test_findings_are_judged_and_count_nowhere(no_results):
    found = claims.findings("ding")
    assert "ding-mead-design" in set(found["id"])
    assert set(found["verdict"]) <= set(claims.VERDICTS)
    assert not found["own"].any()
    assert not set(found["id"]) & set(claims.table("ding")["id"])
    assert claims.findings("mostafa")["bears_on"].map(len).min() >= 1


def test_a_fact_is_counted_once_and_says_how_many_rows_print_it(no_results):
    table, facts = claims.table("ding"), claims.facts("ding")
    assert facts["rows"].sum() == len(table)
    assert set(facts["id"]) == set(table["fact"])
    printed = facts.set_index("id")["rows"]
    assert printed["ding-table4-proposed-accuracy"] == 4  # abstract, introduction, conclusion
    assert printed["ding-savee-frames"] == 1


@pytest.mark.parametrize("key", registry.PAPERS)
def test_who_prints_a_fact_again_gets_the_verdict_of_the_fact(key, no_results):
    verdicts = claims.table(key).set_index("id")["verdict"]
    for claim in claims.load(key):
        assert verdicts[claim.id] == verdicts[claim.fact], claim.id


def test_importing_and_judging_needs_no_network():
    code = (
        "import sys; from emolib import claims; claims.table(); "
        "heavy = {'torch', 'matplotlib', 'librosa'} & {*sys.modules}; "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"EMOLIB_DATA": ""})


@pytest.mark.parametrize("key", registry.PAPERS)
def test_a_claim_that_awaits_data_prints_the_one_command_that_settles_it(key, no_results):
    table = claims.table(key)
    for name, verdict, command in zip(
        table["id"], table["verdict"], table["settle_with"], strict=True
    ):
        if verdict != "awaits data":
            assert command == ""
            continue
        command_name, given = parsed(command)
        assert (command_name, given["claims"]) == ("settle", [name])


def parsed(command: str) -> tuple[str, dict]:
    """What the command line reads from a command: its name and its parameters."""
    group = typer.main.get_command(cli.app)
    _, name, *words = shlex.split(command)
    while isinstance(group.commands[name], TyperGroup):
        group, (name, *words) = group.commands[name], words
    return name, group.commands[name].make_context(name, words).params
