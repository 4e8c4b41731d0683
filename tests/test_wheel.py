"""The wheel, installed where there is no checkout, finds its data and keeps out of its own folder.

The new environment borrows the libraries of this one, since torch alone takes minutes to install;
emolib itself is found in the wheel only, and the commands run in an empty folder.
"""

import json
import math
import os
import subprocess
import sys
import sysconfig
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from emolib import paths

RATE = 16_000


@dataclass(frozen=True)
class Installed:
    """A wheel in a virtual environment of its own."""

    venv: Path
    work: Path
    home: Path

    @property
    def package(self) -> Path:
        """The folder of the installed package."""
        (folder,) = self.venv.glob("lib/python*/site-packages/emolib")
        return folder

    def run(self, *command: object, **variables: str) -> subprocess.CompletedProcess:
        """Run a program of the environment in an empty folder; the checkout is not on its path."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("EMOLIB_", "PYTHON"))}
        program, *arguments = map(str, command)
        return subprocess.run(
            [self.venv / "bin" / program, *arguments],
            cwd=self.work,
            env=clean | {"EMOLIB_HOME": str(self.home)} | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def answer(self, *command: object) -> object:
        """Return what a command of emolib prints with ``--json``."""
        done = self.run("emolib", *command, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def files(self) -> set[Path]:
        """Return the package's files, but for what Python compiles."""
        return {file for file in self.package.rglob("*") if "__pycache__" not in file.parts}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    wheel = os.environ.get("EMOLIB_WHEEL")  # one that was built before, such as by the release
    if not wheel:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=paths.PROJECT, check=True, capture_output=True)
        (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    here = Installed(folder / "venv", folder / "work", folder / "home")
    here.work.mkdir()
    done = here.run("pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    assert done.returncode == 0, done.stderr
    # A .pth file inside a folder that is named so is not read: the editable emolib stays out.
    (here.package.parent / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return here


def test_the_package_is_that_of_the_wheel_and_its_home_the_user_s(installed):
    lines = "import emolib; from emolib import paths; print(emolib.__file__, paths.HOME, sep='\\n')"
    done = installed.run("python", "-c", lines, EMOLIB_HOME="", XDG_DATA_HOME=str(installed.work))
    package, home = map(Path, done.stdout.split())
    assert package.parent == installed.package
    assert paths.PROJECT not in package.parents
    if sys.platform == "linux":
        assert home == installed.work / "emolib"
    assert installed.package not in home.parents


def test_claims_are_judged_by_the_results_in_the_wheel(installed):
    verdicts = installed.answer("claims", "yang")
    ledger = yaml.safe_load((paths.CLAIMS / "yang.yml").read_text())
    assert [one["id"] for one in verdicts] == [claim["id"] for claim in ledger["claims"]]
    assert {"reproduced", "contradicted"} <= {one["verdict"] for one in verdicts}
    assert any(one["result"].startswith("yang/") for one in verdicts)


def test_audit_reads_the_printed_tables(installed):
    findings = installed.answer("audit", "mostafa")["findings"]
    assert len(findings) > 5


def test_cost_counts_a_network(installed):
    assert installed.answer("cost", "ding")["ding"]["parameters"] == 66_584


def test_predict_finds_the_weights(installed):
    file = installed.work / "voice.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))
        seconds = (position / RATE for position in range(2 * RATE))
        tones = (sum(math.sin(880 * k * t) / k for k in range(1, 12)) for t in seconds)
        sound.writeframes(array("h", (int(3000 * tone) for tone in tones)).tobytes())
    voice = installed.answer("predict", file)["voice"]
    card = json.loads((paths.WEIGHTS / "mostafa" / "voice.json").read_text())
    assert set(voice["probabilities"]) == set(card["classes"])
    assert sum(voice["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    file.unlink()


def test_bench_finds_the_benchmarks_and_says_what_it_skips(installed):
    done = installed.run("emolib", "bench", "--only", "frft")
    assert done.returncode == 0, done.stdout
    assert "times as fast" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    assert "warning" not in done.stdout


def test_the_book_says_that_it_needs_the_checkout(installed):
    done = installed.run("emolib", "book")
    assert done.returncode == 2
    assert "checkout" in done.stderr and len(done.stderr.splitlines()) == 1


OWN = """
from emolib import paths, results
from emolib.corpora.splits import Split

shipped = results.load("ding", "audio-actor")
results.save(shipped.model_copy(update={"experiment": "my-own"}))
results.save(shipped.model_copy(update={"title": "mine"}))
split = Split.load("ravdess-actor")
print(results.path("ding", "my-own"), split.save(), Split.load("ravdess-actor").digest()
      == split.digest(), results.load("ding", "audio-actor").title, results.commit(), sep="\\n")
names = [f"{one.key}/{one.experiment}" for one in results.load_all("ding")]
assert len(names) == len(set(names)) and {"ding/my-own", "ding/audio-clip"} <= set(names), names
"""


def test_one_s_own_results_go_to_the_home_and_stand_beside_those_of_the_wheel(installed):
    before = installed.files()
    done = installed.run("python", "-c", OWN)
    assert done.returncode == 0, done.stderr
    result, split, same, title, commit = done.stdout.splitlines()
    assert Path(result) == installed.home / "results" / "ding" / "my-own.json"
    assert Path(split) == installed.home / "splits" / "ravdess-actor.csv"
    assert (same, title, commit) == ("True", "mine", "(None, False)")
    assert installed.files() == before


def test_nothing_is_left_in_the_folder_where_a_command_ran(installed):
    assert list(installed.work.iterdir()) == []
