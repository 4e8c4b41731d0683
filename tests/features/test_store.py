"""Stored features are complete or absent, never half there and never another clip's."""
# ruff: noqa: PD011 (Features.values is a NumPy array, not a column of pandas)

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from emolib import paths, pointers
from emolib.features import store
from emolib.features.audio import Mfcc
from emolib.features.store import FeatureProblem, FeatureRecipe, extract


@dataclass(frozen=True)
class FileBytes(FeatureRecipe):
    """The first bytes of a file; "bad" files have none. It keeps a diary of what it computed."""

    diary: str = ""
    length: int = 4

    def compute_noted(self, row):
        content = Path(row["path"]).read_bytes()
        if content.startswith(b"interrupt"):
            raise KeyboardInterrupt
        if content.startswith(b"bug"):
            raise ZeroDivisionError("a bug of ours")
        if content.startswith(b"bad"):
            raise FeatureProblem("nothing to see", "look elsewhere", row["path"])
        with Path(self.diary).open("a") as diary:
            diary.write(f"{row['clip_id']}\n")
        values = np.frombuffer(content[: self.length], np.uint8)
        return values, {"size": len(content)}


@pytest.fixture
def corpus(tmp_path):
    """Twenty clips of a word each, and a recipe that says what it computed."""
    for i in range(20):
        (tmp_path / f"{i:02d}.txt").write_text(f"{i:02d}xyz" + "!" * i)
    names = [f"{i:02d}" for i in range(20)]
    manifest = pd.DataFrame(
        {"clip_id": names, "path": [str(tmp_path / f"{n}.txt") for n in names], "actor": "01"}
    )
    return manifest, FileBytes(diary=str(tmp_path / "diary"))


def computed(recipe):
    diary = Path(recipe.diary)
    return diary.read_text().split() if diary.exists() else []


def run(corpus, tmp_path, **options):
    manifest, recipe = corpus
    options = {"n_jobs": 1, "progress": False, "cache": tmp_path / "cache", **options}
    return extract(manifest, recipe, **options)


def test_values_are_in_manifest_order_and_read_back_from_the_cache(corpus, tmp_path):
    manifest, recipe = corpus
    features = run(corpus, tmp_path)
    assert features.values.dtype == np.uint8
    assert [bytes(v[:2]).decode() for v in features.values] == list(manifest["clip_id"])
    assert list(features.manifest["size"]) == [5 + i for i in range(20)]
    assert len(features.problems) == 0
    again = run(corpus, tmp_path)
    np.testing.assert_array_equal(again.values, features.values)
    pd.testing.assert_frame_equal(again.manifest, features.manifest)
    assert len(computed(recipe)) == 20


def test_clips_that_fail_are_reported_and_leave_no_gap(corpus, tmp_path):
    manifest, _ = corpus
    Path(manifest["path"][3]).write_text("bad")
    Path(manifest["path"][7]).unlink()
    for features in (run(corpus, tmp_path), run(corpus, tmp_path)):  # computed, then stored
        assert len(features.values) == len(features.manifest) == 18
        assert not {"03", "07"} & set(features.manifest["clip_id"])
        assert list(features.problems["clip_id"]) == ["03", "07"]
        assert list(features.problems["cause"]) == ["nothing to see", "the file does not exist"]
        assert features.problems["remedy"].str.len().gt(0).all()
        assert features.problems["path"][0] == manifest["path"][3]
        assert [bytes(v[:2]).decode() for v in features.values] == list(
            features.manifest["clip_id"]
        )
    (report,) = (tmp_path / "cache").rglob("problems.csv")
    assert list(pd.read_csv(report)) == ["clip_id", "path", "cause", "remedy"]


def test_a_corpus_of_bad_clips_is_an_error_that_says_why(corpus, tmp_path):
    manifest, _ = corpus
    for path in manifest["path"]:
        Path(path).write_text("bad")
    with pytest.raises(FeatureProblem, match=r"none of the 20 clips.*nothing to see"):
        run(corpus, tmp_path)
    assert list((tmp_path / "cache").rglob("problems.csv"))


def test_an_empty_manifest_is_refused(corpus, tmp_path):
    manifest, recipe = corpus
    with pytest.raises(FeatureProblem, match="no clips"):
        extract(manifest.iloc[:0], recipe, cache=tmp_path)


def test_a_bug_is_not_a_bad_clip(corpus, tmp_path):
    manifest, _ = corpus
    Path(manifest["path"][5]).write_text("bug")
    with pytest.raises(ZeroDivisionError) as error:
        run(corpus, tmp_path)
    assert "05" in "".join(error.value.__notes__)


def test_the_cache_knows_recipes_and_clips_apart(corpus, tmp_path):
    manifest, recipe = corpus
    run(corpus, tmp_path)
    longer = FileBytes(diary=recipe.diary, length=5)
    assert run((manifest, longer), tmp_path).values.shape == (20, 5)
    half = manifest.iloc[::-2].reset_index(drop=True)
    features = run((half, recipe), tmp_path)
    assert [bytes(v[:2]).decode() for v in features.values] == list(half["clip_id"])


def test_a_clip_that_changed_is_computed_again(corpus, tmp_path):
    manifest, _ = corpus
    run(corpus, tmp_path)
    path = Path(manifest["path"][2])
    path.write_text("02ABC!!")  # of the same size: only its time stamp tells
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert bytes(run(corpus, tmp_path).values[2]) == b"02AB"


def test_the_digest_names_every_option():
    recipes = [Mfcc(), Mfcc(n_mfcc=13), Mfcc(segments=(1, 6)), Mfcc(augment="noise"), Mfcc(seed=1)]
    assert len({recipe.digest() for recipe in recipes}) == len(recipes)
    assert Mfcc().digest() == Mfcc(n_mfcc=40).digest()


def test_an_interrupted_extraction_goes_on_where_it_stopped(corpus, tmp_path):
    manifest, recipe = corpus
    last = Path(manifest["path"][19])
    content, stamp = last.read_text(), last.stat()
    last.write_text("interrupt".ljust(len(content), "."))
    os.utime(last, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path)
    before = computed(recipe)
    assert len(before) == 19
    last.write_text(content)
    os.utime(last, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    features = run(corpus, tmp_path)
    assert len(features.values) == 20
    after = computed(recipe)[len(before) :]
    assert set(after) == {"18", "19"}  # the one chunk that was not finished
    assert not list((tmp_path / "cache").rglob("chunks"))


def test_ctrl_c_ends_workers_and_keeps_finished_chunks(tmp_path):
    # In a process of its own, because the signal goes to all of its group.
    for i in range(16):
        (tmp_path / f"{i:02d}.txt").write_text("quick" if i < 8 else "slow")
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import signal
        import time
        from dataclasses import dataclass
        from pathlib import Path
        import numpy as np, pandas as pd
        from emolib.features.store import FeatureRecipe, extract

        @dataclass(frozen=True)
        class Sleeper(FeatureRecipe):
            def compute_noted(self, row):
                if Path(row["path"]).read_text() == "slow":
                    time.sleep(600)
                return np.zeros(3, np.float32), {{}}

        # Whoever started the tests in the background may have had the signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        paths = sorted(Path({str(tmp_path)!r}).glob("*.txt"))
        table = pd.DataFrame({{"clip_id": [p.stem for p in paths], "path": map(str, paths)}})
        if __name__ == "__main__":
            extract(table, Sleeper(), n_jobs=2, cache={str(tmp_path / "cache")!r}, progress=False)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, str(program)], cwd=paths.PROJECT, start_new_session=True,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(paths.PROJECT)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "cache").rglob("*.npz"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in message
    chunks = [c for c in (tmp_path / "cache").rglob("*.npz") if not c.name.startswith(".")]
    assert len(chunks) == 4
    for chunk in chunks:
        assert np.load(chunk)["values"].shape == (2, 3)


def stored_values(tmp_path):
    (path,) = (tmp_path / "cache").rglob("values.npy")
    return path


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [half, flipped, Path.unlink])
@pytest.mark.parametrize("name", ["values.npy", "clips.csv"])
def test_a_damaged_cache_is_noticed_and_made_again(corpus, tmp_path, name, damage):
    if (name, damage) == ("clips.csv", flipped):
        pytest.skip("a note in a table has no checksum; the clip ids in it are compared")
    good = run(corpus, tmp_path).values.copy()
    damage(stored_values(tmp_path).with_name(name))
    with pytest.warns(UserWarning, match="is damaged.*computing it again"):
        features = run(corpus, tmp_path)
    np.testing.assert_array_equal(features.values, good)


def test_a_damaged_chunk_is_noticed_and_made_again(corpus, tmp_path):
    manifest, recipe = corpus
    Path(manifest["path"][19]).write_text("interrupt")
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path)
    half(next((tmp_path / "cache").rglob("000000-*.npz")))
    flipped_chunk = next((tmp_path / "cache").rglob("000003-*.npz"))
    content = flipped_chunk.read_bytes()
    at = content.index(b"03xy")
    flipped_chunk.write_bytes(content[:at] + b"99" + content[at + 2 :])
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path)
    assert [name for name in computed(recipe) if name in ("00", "03")] == ["00", "03"] * 2


@pytest.mark.parametrize("stage", ["chunk", "join"])
def test_a_full_disk_is_explained_and_leaves_nothing_half_written(
    corpus, tmp_path, monkeypatch, stage
):
    def full(file, *_, **__):
        if stage == "chunk":
            Path(file).write_bytes(b"PK half a chunk")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = (np, "savez") if stage == "chunk" else (np.lib.format, "write_array_header_2_0")
    with monkeypatch.context() as patch:
        patch.setattr(*target, full)
        with pytest.raises(OSError, match=r"disk is full.*make room") as error:
            run(corpus, tmp_path)
    assert error.value.errno == errno.ENOSPC
    files = {p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    assert not {name for name in files if name.startswith(".") and name != ".lock"}
    assert not files & {"values.npy", "complete.json"}
    kept = len(computed(corpus[1]))
    assert len(run(corpus, tmp_path).values) == 20
    if stage == "join":  # all clips had been computed and were kept
        assert len(computed(corpus[1])) == kept == 20


def test_processes_give_what_one_process_gives(clips, tmp_path):
    table = clips("voice.wav", "silent.wav", "stereo.wav", "voice.flac", "long_gop.mp4")
    one = extract(table, Mfcc(), n_jobs=1, cache=tmp_path / "one", progress=False)
    two = extract(table, Mfcc(), n_jobs=2, cache=tmp_path / "two", progress=False)
    np.testing.assert_array_equal(one.values, two.values)
    assert list(one.manifest["channels"]) == [1, 2, 1, 1]
    assert list(two.problems["cause"]) == list(one.problems["cause"])
    assert one.problems["cause"][0].startswith("silent")


@dataclass(frozen=True)
class OnCluster(FeatureRecipe):
    """Notes which worker of a cluster computed a clip."""

    def compute_noted(self, row):
        from distributed import get_worker

        return np.zeros(1, np.float32), {"worker": get_worker().address}


def test_a_dask_cluster_computes_where_joblib_is_told_to(clips, tmp_path):
    distributed = pytest.importorskip("distributed")
    table = clips("voice.wav", "stereo.wav", "silent.wav", "voice.flac")
    here = extract(table, Mfcc(), n_jobs=1, cache=tmp_path / "here", progress=False)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        cluster.get_client() as client,
        parallel_config("dask", client=client),
    ):
        options = {"n_jobs": None, "cache": tmp_path / "there", "progress": False}
        there = extract(table, Mfcc(), **options)
        workers = extract(table, OnCluster(), **options).manifest["worker"]
        assert set(workers) <= {worker.address for worker in cluster.workers.values()}
    np.testing.assert_array_equal(there.values, here.values)
    assert list(there.problems["clip_id"]) == list(here.problems["clip_id"])


def test_arrays_of_different_shapes_are_an_error(corpus, tmp_path):
    manifest, recipe = corpus
    Path(manifest["path"][4]).write_text("04")
    with pytest.raises(ValueError, match="different shapes"):
        run((manifest, recipe), tmp_path)


def test_large_arrays_are_mapped_and_not_read(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MAP_ABOVE_BYTES", 50)
    features = run(corpus, tmp_path)
    assert isinstance(features.values, np.memmap)
    assert bytes(features.values[19]) == b"19xy"


def test_a_problem_travels_between_processes():
    problem = pickle.loads(pickle.dumps(FeatureProblem("cause", "remedy", "a.mp4")))
    assert str(problem) == "a.mp4: cause (remedy)"


def test_a_second_process_waits_and_finds_the_work_done(corpus, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: run(corpus, tmp_path), range(2)))
    np.testing.assert_array_equal(both[0].values, both[1].values)
    assert len(computed(corpus[1])) == 20


# --- what is kept of other clip sets, and how long it takes ----------------------------------


def test_what_another_clip_set_has_of_the_same_file_is_not_computed_again(corpus, tmp_path):
    manifest, recipe = corpus
    for start in (0, 10):
        run((manifest.iloc[start : start + 10].reset_index(drop=True), recipe), tmp_path)
    whole = run(corpus, tmp_path)
    assert [bytes(v[:2]).decode() for v in whole.values] == list(manifest["clip_id"])
    assert list(whole.manifest["size"]) == [5 + i for i in range(20)]
    assert len(computed(recipe)) == 20
    assert "state" not in whole.manifest


def test_damaged_values_are_not_copied(corpus, tmp_path):
    manifest, recipe = corpus
    run((manifest.iloc[:10].reset_index(drop=True), recipe), tmp_path)
    (values,) = (tmp_path / "cache").rglob("values.npy")
    content = bytearray(values.read_bytes())
    content[-1] ^= 0xFF
    values.write_bytes(content)
    assert [bytes(v[:2]).decode() for v in run(corpus, tmp_path).values] == list(
        manifest["clip_id"]
    )
    assert len(computed(recipe)) == 30


def test_stored_features_stay_those_of_a_recording_that_was_thrown_away(corpus, tmp_path):
    manifest, recipe = corpus
    Path(manifest["path"][3]).write_text("bad")
    before = run((manifest.iloc[:12].reset_index(drop=True), recipe), tmp_path)
    for path in manifest["path"][:12]:
        stat = Path(path).stat()
        pointers.leave(path, pointers.Pointer(stat.st_size, stat.st_mtime_ns))
    again = run((manifest.iloc[:12].reset_index(drop=True), recipe), tmp_path)
    np.testing.assert_array_equal(again.values, before.values)
    assert store.held(manifest, recipe, tmp_path / "cache").tolist() == [True] * 12 + [False] * 8
    whole = run(corpus, tmp_path)
    np.testing.assert_array_equal(whole.values[:11], before.values)
    # Why a clip had no features is known although the recording is gone.
    assert whole.problems[["clip_id", "cause"]].to_numpy().tolist() == [["03", "nothing to see"]]
    longer = FileBytes(diary=recipe.diary, length=5)
    other = run((manifest, longer), tmp_path)
    assert len(other.values) == 8
    assert other.problems["cause"].str.contains("thrown away").all()


def test_a_pointer_is_nothing_else(tmp_path):
    file = tmp_path / "a.mp4"
    pointers.leave(file, pointers.Pointer(4_600_000, 17, 3.5, 48_000))
    assert pointers.read(file) == pointers.Pointer(4_600_000, 17, 3.5, 48_000)
    assert pointers.state(file) == "4600000 17"
    for content in (b"", b"version https://git-lfs.github.com/spec/v1\n", file.read_bytes()[:-5]):
        file.write_bytes(content)
        assert pointers.read(file) is None


def test_an_extraction_is_estimated_on_the_clips_that_are_not_stored(corpus, tmp_path):
    manifest, recipe = corpus
    cache = tmp_path / "cache"
    run((manifest.iloc[:15].reset_index(drop=True), recipe), tmp_path)
    some = store.estimate(manifest, recipe, n_jobs=1, cache=cache)
    assert some.clips == 5 and 0 < some.seconds_each < 1
    assert some.seconds == 5 * some.seconds_each
    run(corpus, tmp_path)
    none = store.estimate(manifest, recipe, n_jobs=1, cache=cache)
    assert (none.clips, none.seconds) == (0, 0)


def test_the_estimate_is_said_before_an_extraction_of_many_clips(corpus, tmp_path, capsys):
    manifest, recipe = corpus
    many = pd.concat([manifest] * 3, ignore_index=True)
    many["clip_id"] = [f"{i:02d}" for i in range(60)]
    run(corpus, tmp_path, progress=True)
    assert "each on" not in capsys.readouterr().err  # a few need no words
    run((many, recipe), tmp_path / "many", progress=True)
    assert "file-bytes: 60 clips, " in capsys.readouterr().err
    assert str(store.Estimate(1440, 0.31, 2)) == (
        "1,440 clips, 0.31 s each on 2 workers: about 4 minutes"
    )
