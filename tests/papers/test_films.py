"""Films are thrown away once their features are stored, and a network trains all the same."""
# ruff: noqa: PD011 (Features.values is a NumPy array, not a column of pandas)

import hashlib
import http.server
import shutil
import threading
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest

from emolib import corpora, paths, pointers
from emolib.corpora import download
from emolib.corpora.download import DownloadError
from emolib.corpora.manifest import digest
from emolib.features import store
from emolib.features.faces import FaceFrames
from emolib.papers import ding, engine, films
from emolib.papers.experiment import Experiment

ACTORS = ("01", "02", "03", "04")
EMOTIONS = ("neutral", "happy", "sad", "angry")  # one clip of each


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Archives of talking faces, one an actor, each clip with its silent twin."""
    folder = tmp_path_factory.mktemp("published")
    made = corpora.load("synthetic")
    made = made[(made["statement"] == "1") & made["emotion"].isin(EMOTIONS)]
    for actor in ACTORS:
        with zipfile.ZipFile(folder / f"Video_Speech_Actor_{actor}.zip", "w") as archive:
            for row in made[made["actor"] == actor].itertuples():
                archive.write(row.path, f"Actor_{actor}/{row.clip_id}.mp4")
                archive.write(row.path, f"Actor_{actor}/02{row.clip_id[2:]}.mp4")
    return folder


@pytest.fixture
def published(archives, tmp_path, monkeypatch, cache):
    """A server of these archives, their registry, and an empty corpus folder; the address."""
    served = partial(Handler, directory=archives)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        registry = tmp_path / "registry"
        registry.mkdir()
        rows = []
        for archive in sorted(archives.glob("*.zip")):
            url = f"http://127.0.0.1:{server.server_port}/{archive.name}"
            md5 = hashlib.md5(archive.read_bytes()).hexdigest()
            row = ("ravdess", "speech-video", archive.name, f"md5:{md5}", archive.stat().st_size)
            rows.append((*row, "", url))
        columns = ["corpus", "part", "file", "checksum", "bytes", "unpacked", "url"]
        pd.DataFrame(rows, columns=columns).to_csv(registry / "archives.csv", index=False)
        recordings = pd.DataFrame({"file": [], "sha256": [], "sha256_samples": []})
        recordings.to_csv(registry / "ravdess.csv.xz", index=False)
        monkeypatch.setattr(paths, "REGISTRY", registry)
        monkeypatch.setenv("EMOLIB_DATA", str(tmp_path / "raw"))
        yield tmp_path / "raw" / "ravdess"
        server.shutdown()
        thread.join()


def keep(**options):
    return films.keep_features("ravdess", ["ding"], n_jobs=1, progress=False, **options)


def on_disk(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_network_trains_on_films_that_are_gone(published, archives, capsys, tmp_path):
    films.keep_features("ravdess", ["ding"], n_jobs=1, progress=True)
    said = capsys.readouterr().err
    assert "of films (one archive at a time" in said and "of features" in said
    assert "RAVDESS speech-video: 4 files" in said and "min at 50 Mbit/s" in said
    left = [path for path in published.rglob("*") if path.is_file()]
    assert len(left) == 16 and all(pointers.read(path) for path in left)  # no silent twins
    found = download.check("ravdess")
    assert set(found["status"]) == {"missing"} and found["detail"].str.contains("features").all()
    assert on_disk(published) < 16 * 1024 < on_disk(archives) / 50

    gone = ding.load("ravdess", "both", n_jobs=1, progress=False)
    result = engine.run(
        "ding", Experiment("ravdess", "both", folds=(0,)), mode="quick", progress=False, n_jobs=1
    )
    assert result.summary["accuracy"].mean >= 0
    # The same films, fetched whole: other time stamps, the same clips and values.
    shutil.rmtree(published)
    download.get("ravdess", parts=["speech-video"], progress=False)
    there = ding.load("ravdess", "both", n_jobs=1, progress=False)
    assert digest(gone.manifest) == digest(there.manifest)
    for name, values in there.samples.inputs.items():
        assert (values == gone.samples.inputs[name]).all()
    assert gone.features == there.features
    # Where whole films are, none is thrown away.
    keep()
    assert not pointers.read(next(published.rglob("01-*.mp4")))


def test_a_stopped_run_goes_on_in_the_archive_it_was_in(published, monkeypatch):
    computed = []
    compute = FaceFrames.compute_noted

    def counting(self, row):
        computed.append(row["clip_id"])
        if len(computed) == 6:
            raise KeyboardInterrupt
        return compute(self, row)

    monkeypatch.setattr(FaceFrames, "compute_noted", counting)
    with pytest.raises(KeyboardInterrupt):
        keep()
    assert len(list(published.glob("Video_*"))) == 1  # the first actor is done
    assert list(published.glob(".films/Video_Speech_Actor_02/*/Actor_02/01-*.mp4"))
    asked = []
    fetch = download.fetch
    monkeypatch.setattr(
        download,
        "fetch",
        lambda remote, *a, **o: asked.append(remote.file) or fetch(remote, *a, **o),
    )
    keep()
    assert asked == [f".downloads/Video_Speech_Actor_{actor}.zip" for actor in ("03", "04")]
    assert len(set(computed)) == 16 and len(computed) == 17
    assert not (published / ".films").exists()
    asked.clear()
    keep()
    assert asked == [] and len(computed) == 17


def test_a_full_disk_loses_nothing(published, monkeypatch):
    full = OSError(28, "No space left on device")
    savez = np.savez
    written = []

    def fill(file, **chunk):
        written.append(file)
        if len(written) > 14:
            raise full
        savez(file, **chunk)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", fill)
        with pytest.raises(DownloadError, match=r"the disk is full .*where it stopped"):
            keep()
    kept = {path for path in published.rglob("*") if path.is_file()}
    assert kept  # films whose features are not stored yet are still there
    keep()
    assert len(ding.load("ravdess", "both", n_jobs=1, progress=False).manifest) == 16


def test_another_paper_fetches_them_again_and_the_first_stays(published, monkeypatch):
    keep(actors=["01"])
    films.keep_features("ravdess", ["mostafa"], n_jobs=1, progress=False, actors=["01"])
    computed = []
    monkeypatch.setattr(FaceFrames, "compute_noted", lambda self, row: computed.append(row))
    manifest = corpora.load("ravdess", modality="audiovisual")
    assert store.held(manifest, FaceFrames()).all()
    assert store.held(manifest, FaceFrames(frames=1, size=48)).all()
    assert store.extract(manifest, FaceFrames(), progress=False).values.shape[0] == 4
    assert not computed


def test_what_was_not_kept_is_named(published):
    keep(actors=["01"])
    manifest = corpora.load("ravdess", modality="audiovisual")
    with pytest.raises(store.FeatureProblem, match=r"were not kept.*--features-only"):
        store.extract(manifest, FaceFrames(frames=3), n_jobs=1, progress=False)


def test_parts_without_films_are_refused(published):
    with pytest.raises(DownloadError, match="those with films are speech-video, song-video"):
        keep(parts=["speech"])
    with pytest.raises(DownloadError, match="no films of savee"):
        films.keep_features("savee", ["ding"], progress=False)


def test_the_sizes_that_are_said_are_those_that_come(published):
    keep(actors=["01"])
    for recipe in films.recipes("ravdess", ["ding"]):
        values = store.extract(
            corpora.load("ravdess", modality="audiovisual"), recipe, n_jobs=1, progress=False
        ).values
        assert values.nbytes == 4 * films.bytes_each(recipe)
