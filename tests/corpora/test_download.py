import hashlib
import http.server
import io
import re
import stat
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emolib import paths
from emolib.corpora import CorpusError, download
from emolib.corpora.download import DownloadError, Remote, fetch, unpack


class Server(http.server.ThreadingHTTPServer):
    """Serves bytes; may drop connections half-way and may ignore ranges."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True  # whether it answers Range with 206
        self.drops = 0  # how many answers break off half-way
        self.failures: list[int] = []  # status codes of the next answers
        self.claims: int | None = None  # the length that it claims, whatever it sends
        self.md5 = ""  # that it states
        self.asked: list[tuple[str, str | None]] = []  # path and Range of every request

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.lstrip("/").partition("?")[0]
        span = self.headers.get("Range")
        server.asked.append((name, span))
        if server.failures or name not in server.files:
            self.send_error(server.failures.pop(0) if server.failures else 404)
            return
        body, start = server.files[name], 0
        if span and server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", span)[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        rest = body[start:]
        self.send_header("Content-Length", str(server.claims or len(rest)))
        if server.md5:
            self.send_header("Content-MD5", server.md5)
        self.end_headers()
        if self.command == "HEAD":
            return
        if server.drops:
            server.drops -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.connection.shutdown(2)
        else:
            self.wfile.write(rest)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=lambda seconds: None))
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


BODY = np.random.default_rng(0).bytes(1 << 20)
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()


def get(server, folder, checksum=SHA256, **options):
    remote = Remote("deep/file.bin", server.url("file.bin"), checksum, **options)
    return fetch(remote, folder, progress=False)


def left_over(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


# --- one file -------------------------------------------------------------------------------


def test_a_file_is_fetched_once_and_verified(server, tmp_path):
    server.files["file.bin"] = BODY
    for _ in range(2):
        assert get(server, tmp_path).read_bytes() == BODY
    assert len(server.asked) == 1 and left_over(tmp_path) == ["file.bin"]


def test_a_broken_off_download_goes_on_where_it_stopped(server, tmp_path):
    server.files["file.bin"], server.drops = BODY, 3
    assert get(server, tmp_path).read_bytes() == BODY
    spans = [span for _, span in server.asked]
    assert spans[0] is None and len(spans) == 4
    starts = [int(span[6:-1]) for span in spans[1:]]
    assert starts == sorted(starts) and starts[0] == len(BODY) // 2


def test_a_server_without_ranges_is_asked_again_from_the_start(server, tmp_path):
    server.files["file.bin"], server.drops, server.ranges = BODY, 2, False
    assert get(server, tmp_path).read_bytes() == BODY
    assert len(server.asked) == 3


def test_a_server_that_always_stops_at_the_same_place_is_given_up(server, tmp_path):
    server.files["file.bin"], server.drops, server.ranges = BODY, 10**6, False
    with pytest.raises(DownloadError, match="broke off 5 times"):
        get(server, tmp_path)
    assert len(server.asked) == 1 + 5


def test_what_came_is_kept_for_the_next_session(server, tmp_path):
    server.files["file.bin"], server.drops = BODY, 1
    server.failures = []
    original = download._ATTEMPTS

    def fail_after_first(*arguments, once=download._stream_once):
        try:
            return once(*arguments)
        finally:
            server.failures = [503] * original

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_stream_once", fail_after_first)
        with pytest.raises(DownloadError, match=f"goes on after the {len(BODY) // 2} bytes"):
            get(server, tmp_path)
    server.failures, server.asked = [], []
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.asked == [("file.bin", f"bytes={len(BODY) // 2}-")]


def test_a_part_that_is_already_whole_needs_nothing_more(server, tmp_path):
    server.files["file.bin"] = BODY
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".file.bin.part").write_bytes(BODY)
    assert get(server, tmp_path).read_bytes() == BODY


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    server.files["file.bin"] = BODY
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".file.bin.part").write_bytes(BODY + b"more")
    assert get(server, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, tmp_path, code):
    server.files["file.bin"], server.failures = BODY, [code, code]
    assert get(server, tmp_path).read_bytes() == BODY


def test_a_missing_address_is_named_at_once(server, tmp_path):
    with pytest.raises(DownloadError, match=r"answers 404 .*may have moved"):
        get(server, tmp_path)
    assert len(server.asked) == 1 and left_over(tmp_path) == []


def test_no_network_is_named_with_the_remedy(server, tmp_path):
    remote = Remote("file.bin", "http://127.0.0.1:9/file.bin", SHA256)
    with pytest.raises(DownloadError, match="check the network and run the same command again"):
        fetch(remote, tmp_path, progress=False)


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server, tmp_path):
    server.files["file.bin"] = b"something else"
    with pytest.raises(DownloadError, match=r"file.bin is not the published file"):
        get(server, tmp_path)
    assert left_over(tmp_path) == []


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    server.files["file.bin"] = BODY
    get(server, tmp_path).write_bytes(b"damaged")
    assert get(server, tmp_path).read_bytes() == BODY


def test_a_full_disk_is_named_before_the_download(server, tmp_path):
    with pytest.raises(DownloadError, match=r"needs \d+ MB, \d+ MB are free"):
        get(server, tmp_path, bytes=10**18)
    assert server.asked == []


def test_a_server_that_claims_less_than_it_sends_gives_no_file(server, tmp_path):
    server.files["file.bin"], server.claims = BODY, len(BODY) // 2
    with pytest.raises(DownloadError, match=f"its {len(BODY) // 2} bytes are not"):
        get(server, tmp_path, bytes=len(BODY))
    assert left_over(tmp_path) == []


def test_a_server_that_claims_more_than_it_sends_is_given_up_and_the_bytes_kept(server, tmp_path):
    server.files["file.bin"], server.claims, server.ranges = BODY, 2 * len(BODY), False
    with pytest.raises(DownloadError, match=f"broke off 5 times.*the {len(BODY)} bytes"):
        get(server, tmp_path, bytes=len(BODY))
    server.claims, server.ranges = None, True
    server.asked.clear()
    assert get(server, tmp_path, bytes=len(BODY)).read_bytes() == BODY
    assert server.asked == [("file.bin", f"bytes={len(BODY)}-")]


def test_no_more_is_taken_than_was_published(server, tmp_path, monkeypatch):
    server.files["file.bin"] = BODY
    taken = []
    size = download._size
    monkeypatch.setattr(download, "_size", lambda path: taken.append(size(path)) or size(path))
    with pytest.raises(DownloadError, match="is not the published file"):
        get(server, tmp_path, bytes=1000)
    assert max(taken) <= 1000 + download._CHUNK
    assert left_over(tmp_path) == []


def test_without_a_checksum_the_one_that_the_server_states_counts(server, tmp_path):
    server.files["file.bin"], server.md5 = BODY, hashlib.md5(BODY).hexdigest()
    assert get(server, tmp_path, checksum="").read_bytes() == BODY
    server.md5 = "0" * 32
    with pytest.raises(DownloadError, match=f"are not md5:{server.md5}"):
        get(server, tmp_path / "again", checksum="")


def test_a_disk_that_fills_up_keeps_what_came(server, tmp_path, monkeypatch):
    server.files["file.bin"] = BODY
    once, half = Path.open, len(BODY) // 2

    class Filling(io.FileIO):
        def write(self, chunk):
            if self.tell() + len(chunk) > half:
                raise OSError(28, "No space left on device")
            return super().write(chunk)

    def filling(path, mode="r", *options, **more):
        return Filling(path, mode) if path.suffix == ".part" else once(path, mode, *options, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", filling)
        with pytest.raises(OSError, match="No space left"):
            get(server, tmp_path)
    (part,) = tmp_path.rglob("*.part")
    have = part.stat().st_size
    assert 0 < have <= half
    server.asked.clear()
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.asked == [("file.bin", f"bytes={have}-")]


# --- archives -------------------------------------------------------------------------------


def archive(path, members, mode=None):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if mode:
                info.external_attr = mode << 16
            opened.writestr(info, content)
    return path


def test_an_archive_is_unpacked_whole(tmp_path):
    zipped = archive(tmp_path / "a.zip", {"Actor_01/x.wav": "1", "Actor_02/y.wav": "2"})
    folder = unpack(zipped, tmp_path / "out")
    assert (folder / "Actor_01" / "x.wav").read_text() == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


def test_unpacking_into_a_folder_that_exists_keeps_what_is_there(tmp_path):
    (tmp_path / "out" / "Actor_01").mkdir(parents=True)
    (tmp_path / "out" / "Actor_01" / "mine.txt").write_text("keep")
    unpack(archive(tmp_path / "a.zip", {"Actor_01/x.wav": "1"}), tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "Actor_01").iterdir())
    assert names == ["mine.txt", "x.wav"]


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", "C:\\evil.txt", "..\\evil.txt", "a/.."],
)
def test_no_member_leaves_the_folder(tmp_path, name):
    zipped = archive(tmp_path / "a.zip", {"good.txt": "1", name: "2"})
    with pytest.raises(DownloadError, match=r"leaves the folder; nothing was unpacked"):
        unpack(zipped, tmp_path / "in" / "out")
    assert left_over(tmp_path) == ["a.zip"] and not (tmp_path / "in" / "out").exists()


def test_links_in_archives_are_refused(tmp_path):
    zipped = archive(tmp_path / "a.zip", {"link": "/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(DownloadError, match="'link' is a link"):
        unpack(zipped, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_leaves_nothing_behind(tmp_path, damage):
    zipped = archive(tmp_path / "a.zip", {"a.bin": BODY, "b.bin": BODY})
    content = bytearray(zipped.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 3] ^= 0xFF
    zipped.write_bytes(content)
    with pytest.raises(DownloadError, match=r"not a whole zip file .*fetch it again"):
        unpack(zipped, tmp_path / "out")
    assert left_over(tmp_path) == ["a.zip"]


def test_an_encrypted_archive_is_named_with_the_remedy(tmp_path):
    zipped = archive(tmp_path / "a.zip", {"Actor_01/x.mp4": "1", "Actor_01/y.mp4": "2"})
    content = bytearray(zipped.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        content[at + flags] |= 1  # "encrypted"
    zipped.write_bytes(content)
    with pytest.raises(DownloadError, match=r"a.zip is encrypted \('Actor_01/x.mp4'.*fetch it ag"):
        unpack(zipped, tmp_path / "out")
    assert left_over(tmp_path) == ["a.zip"]


# --- corpora --------------------------------------------------------------------------------


def wave(pitch=220.0):
    """A short WAV file as bytes, and the SHA-256 of its samples."""
    import soundfile

    samples = (8000 * np.sin(np.arange(800) * pitch / 1000)).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="WAV")
    return file.getvalue(), samples


CLIPS = ("03-01-01-01-01-01-01", "03-01-06-02-02-02-02")


@pytest.fixture
def ravdess(server, tmp_path, monkeypatch):
    """RAVDESS with two recordings on the local server, and its registry."""
    registry = tmp_path / "registry"
    registry.mkdir()
    monkeypatch.setattr(paths, "REGISTRY", registry)
    contents = {clip: wave(pitch) for clip, pitch in zip(CLIPS, (220, 330), strict=True)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for clip, (content, _) in contents.items():
            opened.writestr(f"Actor_{clip[-2:]}/{clip}.wav", content)
    server.files["Audio_Speech_Actors_01-24.zip"] = file.getvalue()
    md5 = hashlib.md5(file.getvalue()).hexdigest()
    url = server.url("Audio_Speech_Actors_01-24.zip") + "?download=1"
    (registry / "archives.csv").write_text(
        "corpus,part,file,checksum,bytes,url\n"
        f"ravdess,speech,Audio_Speech_Actors_01-24.zip,md5:{md5},{len(file.getvalue())},{url}\n"
    )
    pd.DataFrame(
        {
            "file": [f"Audio_Speech_Actors_01-24/Actor_{clip[-2:]}/{clip}.wav" for clip in CLIPS],
            "sha256": [hashlib.sha256(contents[clip][0]).hexdigest() for clip in CLIPS],
            "sha256_samples": [
                hashlib.sha256(contents[clip][1].tobytes()).hexdigest() for clip in CLIPS
            ],
        }
    ).to_csv(registry / "ravdess.csv.xz", index=False)
    return tmp_path / "ravdess"


def test_ravdess_arrives_unpacked_and_verified(server, ravdess):
    server.drops = 1
    assert download.get("ravdess", ravdess, progress=False) == ravdess
    found = download.check("ravdess", ravdess)
    assert found["status"].tolist() == ["ok", "ok"]
    assert sorted(left_over(ravdess)) == [f"{clip}.wav" for clip in CLIPS]
    asked = len(server.asked)
    download.get("ravdess", ravdess, progress=False)
    assert len(server.asked) == asked  # what is here is not fetched again


def test_what_a_download_takes_is_said_before_it_starts(server, ravdess, capsys):
    download.get("ravdess", ravdess)
    said = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(
        r"RAVDESS speech: 1 file, 3\.\d kB to fetch; .* stay, .* are needed on the way, "
        r"\d.*B are free; about 1 min at 50 Mbit/s",
        said,
    )
    download.get("ravdess", ravdess)
    assert capsys.readouterr().err.startswith("RAVDESS speech: everything is here")


def test_a_disk_that_is_too_small_is_named_before_anything_is_fetched(server, ravdess, monkeypatch):
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(download, "shutil", SimpleNamespace(disk_usage=lambda path: usage))
    with pytest.raises(DownloadError, match=r"RAVDESS speech needs .* kB, 1\.0 kB are free"):
        download.get("ravdess", ravdess, progress=False)
    assert server.asked == []


def test_a_size_that_is_not_registered_is_asked_of_the_server(server, ravdess):
    table = pd.read_csv(paths.REGISTRY / "archives.csv")
    size = int(table.loc[0, "bytes"])
    table.assign(bytes="").to_csv(paths.REGISTRY / "archives.csv", index=False)
    wanted = download.batches("ravdess", "speech")
    assert download.plan("ravdess", "speech", wanted, ravdess).bytes == size
    server.failures = [500]
    plan = download.plan("ravdess", "speech", wanted, ravdess)
    assert plan.unknown == 1 and "1 file of unknown size" in str(plan)


def test_a_recording_other_than_the_published_one_is_refused(server, ravdess):
    registry = paths.REGISTRY / "ravdess.csv.xz"
    table = pd.read_csv(registry)
    table.loc[1, "sha256"] = "0" * 64
    table.to_csv(registry, index=False)
    with pytest.raises(DownloadError, match=f"1 recordings are not the published ones.*{CLIPS[1]}"):
        download.get("ravdess", ravdess, progress=False)


def test_flac_copies_are_compared_sample_by_sample(ravdess, sound):
    import soundfile

    for clip, pitch in zip(CLIPS, (220, 330), strict=True):
        (ravdess / "Actor").mkdir(parents=True, exist_ok=True)
        soundfile.write(str(ravdess / "Actor" / f"{clip}.flac"), wave(pitch)[1], 16000)
    assert download.check("ravdess", ravdess)["status"].tolist() == ["ok", "ok"]
    soundfile.write(str(ravdess / "Actor" / f"{CLIPS[0]}.flac"), wave(221)[1], 16000)
    assert download.check("ravdess", ravdess)["status"].tolist() == ["wrong", "ok"]


def test_check_tells_missing_wrong_and_unlisted_apart(ravdess, sound):
    (ravdess / "a").mkdir(parents=True)
    (ravdess / "a" / f"{CLIPS[0]}.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    sound(ravdess / "a" / "03-02-01-01-01-01-01.wav")
    (ravdess / "a" / "holiday.wav").write_bytes(b"?")
    found = download.check("ravdess", ravdess).set_index("status")
    assert sorted(found.index) == ["missing", "unlisted", "wrong", "wrong"]
    assert CLIPS[1] in found.loc["missing", "file"]
    assert "03-02-01" in found.loc["unlisted", "file"]
    assert found.loc["wrong", "detail"].str.contains("LFS pointer|seven two-digit").all()


def test_check_of_a_folder_full_of_pointers_reports_them(ravdess):
    ravdess.mkdir()
    for clip in CLIPS:
        (ravdess / f"{clip}.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    found = download.check("ravdess", ravdess)
    assert found["status"].tolist() == ["wrong", "wrong"]
    assert found["detail"].str.contains("git lfs pull").all()


def test_cremad_is_fetched_file_by_file_past_git_lfs(server, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "REGISTRY", tmp_path)
    monkeypatch.setattr(download, "_CREMAD_URL", server.url("media"))
    names = ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_ANG_XX.wav"]
    names.append("VideoFlash/1001_DFA_ANG_XX.flv")
    rows = []
    for number, name in enumerate(names):
        content = wave(100 + number)[0]
        server.files[f"media/{name}"] = content
        rows.append((name, hashlib.sha256(content).hexdigest(), len(content)))
    pd.DataFrame(rows, columns=["file", "sha256", "bytes"]).to_csv(
        tmp_path / "cremad.csv.xz", index=False
    )
    server.files["VideoDemographics.csv"] = b"ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,a,b\n"
    (tmp_path / "archives.csv").write_text(
        "corpus,part,file,checksum,bytes,url\n"
        f"cremad,tables,VideoDemographics.csv,,,{server.url('VideoDemographics.csv')}\n"
    )
    folder = tmp_path / "cremad"
    download.get("cremad", folder, actors=["1001"], jobs=2, progress=False)
    assert sorted(left_over(folder)) == ["1001_DFA_ANG_XX.wav", "VideoDemographics.csv"]
    found = download.check("cremad", folder)
    assert found["status"].tolist() == ["ok", "missing", "missing"]
    server.files[f"media/{names[1]}"] = b"version https://git-lfs.github.com/spec/v1\n"
    with pytest.raises(DownloadError, match="not the published file"):
        download.get("cremad", folder, progress=False)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("fer2013", r"accept the terms on Kaggle, then put fer2013.csv .* into .*fer2013"),
        ("savee", "register at the University of Surrey.* into .*savee"),
        ("mead", "ask its authors for access.* in .*mead"),
        ("ckplus", "ask for the Cohn-Kanade database.* into .*ckplus"),
        ("synthetic", "emolib data synth"),
        ("paired", "made of RAVDESS and FER2013"),
    ],
)
def test_corpora_that_need_a_step_by_hand_say_which(name, step, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    with pytest.raises(DownloadError, match=f"cannot be fetched by a program: .*{step}"):
        download.get(name)
    assert list(tmp_path.iterdir()) == []


def test_unknown_corpora_and_parts_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="unknown corpus 'tess'"):
        download.get("tess", tmp_path)
    with pytest.raises(DownloadError, match="no part 'dance': known are speech, song"):
        download.get("ravdess", tmp_path, parts=["dance"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=r"cannot be written .*EMOLIB_DATA"):
        download.get("ravdess", tmp_path / "file" / "ravdess")


def test_the_registry_names_every_archive_of_ravdess_and_every_file_of_cremad():
    table = download.archives("ravdess")
    assert table["part"].value_counts().to_dict() == {
        "speech": 1,
        "song": 1,
        "speech-video": 24,
        "song-video": 23,  # actor 18 did not sing
    }
    assert not table["file"].str.contains("Song_Actor_18").any()
    assert table["url"].str.startswith("https://zenodo.org/records/1188976/files/").all()
    recordings = {name: download.recordings(name) for name in ("ravdess", "cremad")}
    assert [len(table) for table in recordings.values()] == [1440, 14884]
    for table in recordings.values():
        assert table["sha256"].str.fullmatch("[0-9a-f]{64}").all() and table["file"].is_unique
    assert recordings["ravdess"]["sha256_samples"].nunique() == 1439  # one is there twice
    folders = recordings["cremad"]["file"].str.split("/").str[0].value_counts()
    assert folders.to_dict() == {"AudioWAV": 7442, "VideoFlash": 7442}


def test_the_listing_of_an_empty_machine_says_how_to_get_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "SYNTHETIC", tmp_path / "synthetic")
    table = download.listing().set_index("corpus")
    assert (table["clips"] == 0).all() and (table["where"] == "").all()
    assert table["how"].str.len().min() > 20
    assert table.loc["ravdess", "note"].startswith("RAVDESS is not in")


@pytest.mark.realdata
def test_the_listing_counts_the_real_corpora(recordings, monkeypatch):
    monkeypatch.setenv("EMOLIB_DATA", str(recordings))
    table = download.listing().set_index("corpus")
    assert table["clips"].drop("synthetic").to_dict() == {
        "ravdess": 1440,
        "cremad": 6,
        "savee": 0,
        "mead": 5,
        "fer2013": 30771,
        "ckplus": 981,
        "paired": 1248,
        "table": 0,
    }
    assert table.loc["ravdess", ["actors", "emotions", "problems"]].tolist() == [24, 8, 0]
    assert Path(table.loc["ckplus", "where"]) == recordings / "ckplus48"


@pytest.mark.realdata
def test_every_real_recording_is_the_published_one(recordings):
    assert (download.check("ravdess", recordings / "ravdess")["status"] == "ok").all()
    clips = download.check("cremad", recordings / "cremad")
    assert clips["status"].value_counts().to_dict() == {"missing": 14878, "ok": 6}
    assert (download.check("mead", recordings / "mead")["status"] == "unlisted").all()
