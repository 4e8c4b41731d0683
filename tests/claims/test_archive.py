import json

import mlcroissant
import pytest
import yaml
from rocrate.rocrate import ROCrate
from typer.testing import CliRunner

from emolib import claims, cli, results
from emolib.claims import archive
from emolib.papers import engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return archive.export(tmp_path_factory.mktemp("exported") / "archive")


def test_every_claim_and_every_result_is_in_the_folder(folder):
    assert len(json.loads((folder / "ledger.json").read_text())["claims"]) == len(claims.table())
    there = {file.relative_to(folder / "results") for file in folder.rglob("results/*/*.json")}
    assert {f"{file.parent}/{file.stem}" for file in there} == {
        result.name for result in results.load_all()
    }


def test_croissant_reads_the_ledger_by_its_description(folder):
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    rows = list(dataset.records("claims"))
    assert [row["claims/id"].decode() for row in rows] == [*claims.table()["id"]]


def test_the_crate_names_the_command_that_made_each_result(folder):
    crate = ROCrate(folder)
    made = {
        one["result"].id: one for one in crate.contextual_entities if one.type == "CreateAction"
    }
    for file in folder.rglob("results/*/*.json"):
        action = made[file.relative_to(folder).as_posix()]
        made_by = f"emolib train {file.parent.name} --experiment {file.stem} --seeds "
        assert action["name"].startswith(made_by)
        assert action["instrument"]["name"] == "emolib"


def test_each_command_of_the_crate_names_a_declared_experiment():
    for result in results.load_all():
        assert engine.declared(result.key, result.experiment).corpus == result.corpus


def test_the_codecheck_lists_only_files_that_are_there(folder):
    check = yaml.safe_load((folder / "codecheck.yml").read_text())
    assert {"version", "paper", "manifest", "codechecker", "check_time"} <= {*check}
    for entry in check["manifest"]:
        assert (folder / entry["file"]).is_file() and entry["comment"]


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    answer = CliRunner().invoke(cli.app, ["claims", "--export", str(tmp_path)])
    assert answer.exit_code == 2 and "new or empty" in answer.output
    assert [*tmp_path.iterdir()] == [tmp_path / "mine.txt"]
