"""The command line: thin calls, JSON that machines can read, and errors of one line."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_model
from typer.main import get_command
from typer.testing import CliRunner

from emolib import cli, models, paths
from emolib.book import build as building
from emolib.book.build import BookError
from emolib.corpora.manifest import CorpusError
from emolib.training import TrainingInterrupted


@pytest.fixture
def run():
    """Run a command in this process."""
    return lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])


def commands(group=None, before=()):
    """Yield every command with the words that reach it."""
    for name, command in (group or get_command(cli.app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(run, words):
    done = run(*words, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


def test_a_command_that_prints_a_table_also_prints_json(run):
    counted = json.loads(run("cost", "ding", "--json").stdout)["ding"]
    assert counted["parameters"] == sum(p.numel() for p in models.build("ding").parameters())
    assert f"{counted['parameters']:,}" in run("cost", "ding").stdout


def test_an_unknown_paper_is_refused_with_the_known_ones(run):
    done = run("cost", "dong")
    assert done.exit_code == 2
    assert "unknown paper 'dong'" in done.output
    assert "mostafa" in done.output


def test_seeds_that_are_no_numbers_are_refused(run):
    done = run("train", "ding", "--seeds", "one")
    assert done.exit_code == 2
    assert "is not a list like 0,1,2" in done.output


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A folder of files that cannot be what they are called."""
    folder = tmp_path_factory.mktemp("bad")
    for name in ("empty.safetensors", "empty.jpg"):
        (folder / name).touch()
    (folder / "text.docx").write_text("text")
    save_model(models.build("ding", 8), folder / "ding.safetensors")
    return folder


# In every row the last word, or words, must be in the one line that refuses what stands before.
REFUSED = [
    ("data synth --seed -1", "greater than or equal to 0"),
    ("data synth --root {bad}/text.docx", "is a file"),
    ("data synth --layout nowhere", "known are ravdess"),
    ("data get nowhere", "known are ravdess"),
    ("data check nowhere", "known are ravdess"),
    ("book --out {bad}/text.docx", "is a file"),
    ("book --mode Full", "known are quick, full"),
    ("features ding --mode Full", "known are quick, full"),
    ("features ding --corpus nowhere", "known are ravdess"),
    ("features ding --modality smell", "audio, video, both"),
    ("train ding --mode Full", "known are quick, full"),
    ("train ding --corpus nowhere", "known are ravdess"),
    ("train ding --option nope=1", "there are n_classes, hidden, dropout"),
    ("train ding --option dropout=[", "is not like fusion=mean or kernels=[3, 3]"),
    ("train ding --device tpu", "known are auto, cpu, cuda"),
    ("train ding --seeds 1e23", "is not a list like 0,1,2"),
    ("train ding --seeds -1", "from 0 to 4294967295"),
    ("train ding --experiment nothing", "it has audio-segment"),
    ("train dong", "known are ding, lu, yang"),
    ("train nobody", "known are ding, lu, yang"),
    ("explain dong", "known are ding, lu, yang"),
    ("explain ding --corpus nowhere", "known are ravdess"),
    ("explain ding --modality smell", "known are audio, video, text"),
    ("explain ding --epochs 0", "greater than or equal to 1"),
    ("export dong", "known are ding, lu, yang"),
    ("export ding --weights {bad}/empty.safetensors", "train or fetch it again"),
    ("export ding --weights {bad}/none.safetensors", "give the .safetensors"),
    ("export ding --weights {bad}", "give the .safetensors"),
    ("export lu --weights {bad}/ding.safetensors", "give weights of lu"),
    ("export lu --weights {weights}/mostafa/face.safetensors", "give weights of lu"),
    ("export ding --out {bad}", "is a folder: name a file in it"),
    ("export ding --classes 1e8", "valid integer"),
    ("export ding --classes 100000000", "give 2 to"),
    ("export ding --classes 7 --weights {bad}/ding.safetensors", "as many classes as"),
    ("predict {bad}/none.jpg", "check the path"),
    ("predict {bad}", "give a file in it"),
    ("predict {bad}/empty.jpg", "is empty"),
    ("predict {bad}/text.docx", "give a picture"),
    ("predict {bad}/none.mp4 --paper lu", "check the path"),
    ("predict {bad}/empty.jpg --paper ding", "known are mostafa, lu"),
    ("predict {bad}/empty.jpg --confidence 7", "less than or equal to 1"),
    ("predict {bad}/empty.jpg --weights {bad}/text.docx", "is a file"),
    ("live --port -1", "give 1 to 65535"),
    ("live --port 99999", "give 1 to 65535"),
    ("live --host 203.0.113.7", "such as 127.0.0.1"),
    ("cost dong", "known are ding, lu, yang"),
    ("nonsense", "No such command"),
    ("cost --nonsense", "No such option"),
]


@pytest.mark.parametrize(("words", "allowed"), REFUSED, ids=[words for words, _ in REFUSED])
def test_bad_input_is_refused_in_one_line_that_names_what_is_allowed(run, bad, words, allowed):
    done = run(*words.format(bad=bad, weights=paths.WEIGHTS).split())
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("emolib: ")
    assert allowed in line
    assert done.stdout == ""


def loaded_by(*words: object) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after a command."""
    code = "import sys; from emolib import cli; cli.app(sys.argv[1:], standalone_mode=False)"
    probe = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {code}"
    command = [sys.executable, "-c", probe, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.splitlines()[-1].split())


def test_a_refusal_loads_nothing_that_is_slow(tmp_path):
    loaded = loaded_by("predict", tmp_path / "none.jpg")
    assert "emolib.app.predict" in loaded
    assert loaded & {"torch", "torchvision", "cv2", "av", "pandas", "scipy", "librosa"} == set()


def test_a_picture_loads_what_judges_pictures_and_no_more(tmp_path):
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "wall.png")
    loaded = loaded_by("predict", tmp_path / "wall.png")
    assert {"torch", "facenet_pytorch"} <= loaded
    needless = {"librosa", "lightning", "sklearn", "scipy", "pandas", "av", "captum", "matplotlib"}
    assert loaded & needless == set()
    assert "torch._dynamo" not in loaded  # PyTorch's compiler takes longer than all of the rest


@pytest.mark.parametrize("module", ["app.live", "app.companion", "explain", "export", "devices"])
def test_importing_what_a_command_calls_brings_no_library_of_another(module):
    code = f"import sys, emolib.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"gradio", "librosa", "lightning", "captum", "onnx", "onnxruntime", "torchvision", "av"}
    assert set(done.stdout.split()) & slow == set()


def test_a_file_that_is_not_there_is_one_line_with_the_remedy(run, tmp_path):
    done = run("audit", tmp_path / "absent.csv")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("emolib: ")
    assert "absent.csv" in line


@pytest.mark.parametrize(
    "error", [CorpusError("no folder: get it"), BookError("a page"), FileNotFoundError("absent")]
)
def test_expected_errors_end_with_code_2_and_without_a_traceback(run, monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(building, "build", fail)
    done = run("book")
    assert done.exit_code == 2
    assert done.stderr.strip() == f"emolib: {error}"


def test_every_error_of_the_package_derives_from_the_one_that_the_command_line_catches():
    for file in (paths.PROJECT / "emolib").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "Problem")):
                bases = [base.id for base in node.bases]
                assert bases[0] in ("EmolibError", "Exception"), f"{file.name}: {node.name}"
                assert node.name == "EmolibError" or bases[0] == "EmolibError", node.name


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(run, monkeypatch):
    def stopped(*arguments, **options):
        raise TrainingInterrupted("training stopped in epoch 4: run it again to go on")

    monkeypatch.setattr(building, "build", stopped)
    done = run("book")
    assert done.exit_code == 130
    assert done.output.strip() == "emolib: training stopped in epoch 4: run it again to go on"


def test_a_bug_shows_where_it_is(run, monkeypatch):
    def fail(*args, **options):
        raise ValueError("a bug")

    monkeypatch.setattr(building, "build", fail)
    done = run("book")
    assert done.exit_code == 1
    assert isinstance(done.exception, ValueError)


def test_the_book_command_passes_on_what_was_asked(run, monkeypatch, tmp_path):
    asked = {}

    def build(*args, **options):
        asked.update(options, args=args)
        return tmp_path / "index.html"

    monkeypatch.setattr(building, "build", build)
    done = run("book", "--only", "ding", "--jobs", 3, "--data", tmp_path, "--seed", 7, "--json")
    assert json.loads(done.stdout) == {"index": str(tmp_path / "index.html")}
    assert asked["args"] == ("quick", ["ding"], 3, tmp_path, None)
    assert asked["seed"] == 7


def test_recordings_that_are_not_here_come_with_a_remedy(run, monkeypatch, tmp_path):
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    data = json.loads(run("data", "list", "--json").stdout)
    listed = {row["corpus"]: row for row in data["corpora"]}
    assert (listed["ravdess"]["clips"], listed["ravdess"]["where"]) == (0, "")
    cell = next(c for c in data["matrix"] if (c["paper"], c["corpus"]) == ("ding", "ravdess"))
    assert cell["modalities"] == []
    assert cell["missing"]["video"] == "emolib data get ravdess --part speech-video"
    assert "emolib data get ravdess" in run("data", "list").stdout
    (tmp_path / "ravdess").mkdir()
    said = " ".join(run("data", "list").stdout.split())  # lines wrap where the path is long
    assert "it holds no clip" in said


@pytest.mark.realdata
def test_real_recordings_are_counted(run, recordings):
    listed = {
        row["corpus"]: row for row in json.loads(run("data", "list", "--json").stdout)["corpora"]
    }
    assert (listed["ravdess"]["clips"], listed["ravdess"]["actors"]) == (1440, 24)


def test_an_exported_network_is_compared_with_its_original(run, tmp_path):
    out = tmp_path / "ding.onnx"
    full, small = json.loads(run("export", "ding", "--out", out, "--int8", "--json").stdout)
    assert out.is_file()
    assert full["largest difference"] < 1e-4
    assert small["MB"] < full["MB"]


def test_model_options_are_read_as_values():
    assert cli._options(["fusion=mean", "dropout=0.3", "residual=false"]) == {
        "fusion": "mean", "dropout": 0.3, "residual": False,
    }  # fmt: skip
    with pytest.raises(Exception, match="is not like fusion=mean"):
        cli._options(["fusion"])


def test_json_never_says_nan(capsys):
    cli._print_json({"a": [float("nan"), np.float64(1), np.True_, np.int64(2), None, Path("x")]})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.0, True, 2, None, "x"]}


def test_a_study_is_made_by_its_name_and_an_unknown_one_is_refused(run, monkeypatch, tmp_path):
    from emolib.labs import studies

    (tmp_path / "yang").mkdir()
    monkeypatch.setattr(studies.paths, "RESULTS", tmp_path)
    monkeypatch.setitem(studies.TABLES, "yang/orders", lambda: pd.DataFrame({"uar": [0.5]}))
    assert str(tmp_path / "yang" / "orders.csv") in run("study", "yang/orders").stdout
    refused = run("study", "yang/all")
    assert refused.exit_code == 2
    assert "known are" in refused.output


def test_an_unknown_benchmark_is_refused(run):
    done = run("bench", "--only", "nothing")
    assert done.exit_code == 2
    assert "no benchmark nothing" in done.output


def test_the_version_is_printed():
    done = subprocess.run(
        [sys.executable, "-m", "emolib.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().count(".") == 2
