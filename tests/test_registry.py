"""One list of papers: what belongs to a paper is there, and nothing is there without its paper."""

import ast

import pytest
import yaml

from emolib import paths, registry

ADD = "add it (CONTRIBUTING.md, “Add a paper”)"
LINE = "add a row to emolib/registry.csv, or remove the file"
#: Where a paper's files lie.
FILES = (
    "emolib/models/{key}.py",
    "emolib/papers/{key}.py",
    "data/claims/{key}.yml",
    "notebooks/{key}.ipynb",
    "tests/papers/test_{key}.py",
)
#: Files beside them that belong to no paper.
OTHERS = {
    "emolib/papers": {"augment", "dataset", "engine", "experiment", "face_features", "films"}
    | {"motion", "own", "streams"},
    "emolib/models": {"layers", "own"},
    "notebooks": {"tensors", "frontier", "scoreboard", "recordings"},
}


@pytest.mark.parametrize("key", registry.PAPERS)
@pytest.mark.parametrize("file", FILES)
def test_each_paper_has_its_files(key, file):
    file = file.format(key=key)
    assert (paths.PROJECT / file).is_file(), f"paper {key!r} has no {file}: {ADD}"


@pytest.mark.parametrize("key", registry.PAPERS)
def test_each_paper_is_cited_and_stands_in_the_table_of_contents(key):
    toc = (paths.PROJECT / "_toc.yml").read_text()
    assert f"notebooks/{key}\n" in toc, f"_toc.yml has no notebooks/{key}: {ADD}"
    references = (paths.PROJECT / "book/references.bib").read_text()
    cited = registry.PAPERS[key].citation
    assert f"{{{cited},\n" in references, f"book/references.bib has no entry {cited!r}: {ADD}"


@pytest.mark.parametrize("key", registry.PAPERS)
def test_each_paper_names_the_class_of_its_model(key):
    file = paths.PROJECT / f"emolib/models/{key}.py"
    classes = [node.name for node in ast.parse(file.read_text()).body if hasattr(node, "bases")]
    model = registry.PAPERS[key].model
    assert model in classes, f"emolib/registry.csv names {model}, {file.name} has {classes}"


@pytest.mark.parametrize("files", FILES[:4])
def test_no_file_lies_where_papers_do_without_being_one(files):
    folder, _, pattern = files.replace("{key}", "*").rpartition("/")
    there = {file.stem for file in (paths.PROJECT / folder).glob(pattern)}
    there = {name for name in there if not name.startswith(("_", "lab_", "."))}
    known = set(registry.PAPERS) | OTHERS.get(folder, set())
    forgotten = sorted(there - known)
    assert not forgotten, f"{folder} has {', '.join(forgotten)}: {LINE}"


def test_the_ledger_of_a_paper_carries_its_key():
    for key in registry.PAPERS:
        ledger = yaml.safe_load((paths.CLAIMS / f"{key}.yml").read_text())
        assert ledger["paper"]["key"] == key, f"data/claims/{key}.yml names another paper: {LINE}"


def test_our_own_networks_are_built_and_trained_and_claim_nothing():
    assert set(registry.NETWORKS) - set(registry.PAPERS) == {registry.OWN.key}
    assert registry.network("own").modalities == ("audio", "video", "both")
    assert registry.module("own") == "emolib.papers.own"
    with pytest.raises(registry.UnknownPaperError, match="unknown paper 'own'"):
        registry.paper("own")
    assert not (paths.CLAIMS / "own.yml").exists()
