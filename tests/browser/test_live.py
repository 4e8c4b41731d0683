"""The live app in a real browser, with a camera and a microphone that play the synthetic corpus.

Chromium reads its fake camera from a .y4m and its fake microphone from a .wav file, so that the
whole way is driven: permission, capture, transport, networks, and what appears on the page.
"""

import os
import shutil
from pathlib import Path

import pytest

from emolib import corpora, models
from emolib.app import live, predict
from emolib.app.weights import write
from emolib.corpora.manifest import EMOTIONS

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH"),
]
WAIT_MS = 90_000


@pytest.fixture(scope="module")
def clip():
    """One synthetic video with sound."""
    from emolib import corpora

    return Path(corpora.load("synthetic", actors=1)["path"].iloc[0])


@pytest.fixture(scope="module")
def media(clip, tmp_path_factory):
    """The clip as Chromium's fake devices want it: y4m at 640×480, and wav."""
    import cv2
    import soundfile

    from emolib.features import audio, video

    folder = tmp_path_factory.mktemp("media")
    with (folder / "camera.y4m").open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420mpeg2\n")
        for image in video.read_frames(clip, 12):
            height, width = image.shape[:2]
            scale = min(640 / width, 480 / height)
            small = cv2.resize(image, (int(width * scale) // 2 * 2, int(height * scale) // 2 * 2))
            top, left = (480 - small.shape[0]) // 2, (640 - small.shape[1]) // 2
            framed = cv2.copyMakeBorder(
                small, top, 480 - top - small.shape[0], left, 640 - left - small.shape[1],
                cv2.BORDER_REPLICATE,
            )  # fmt: skip
            file.write(b"FRAME\n" + cv2.cvtColor(framed, cv2.COLOR_RGB2YUV_I420).tobytes())
    samples, rate = audio.load(clip)
    soundfile.write(folder / "microphone.wav", samples, rate, subtype="PCM_16")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained networks: what is driven here is the app, not how well it knows emotions."""
    import torch

    folder = tmp_path_factory.mktemp("weights")
    for modality, corpus, design in (
        ("video", "fer2013", {"design": "residual"}),
        ("audio", "ravdess", {"audio_channels": [8, 16]}),
    ):
        classes, options = list(corpora.classes(corpus)), {"modality": modality, **design}
        torch.manual_seed(0)
        network = models.build("mostafa", len(classes), **options)
        card = {
            "title": "untrained", "corpus": corpus, "modality": modality, "classes": classes,
            "options": options, "parameters": 1, "test_metrics": {"accuracy": 0, "uar": 0},
        }  # fmt: skip
        write(folder, network.state_dict(), card)
    return folder


@pytest.fixture(scope="module")
def address(weights):
    """The app itself, served on this computer."""
    app, address = live.launch(folder=weights, wait=False)
    assert address.startswith("http://127.0.0.1:")
    yield address
    app.close()


@pytest.fixture(scope="module")
def browser(media):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={media / 'camera.y4m'}",
                f"--use-file-for-fake-audio-capture={media / 'microphone.wav'}",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """Open a page; without permissions unless a test grants them."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.outside = []
    page.on(
        "request",
        lambda request: (
            page.outside.append(request.url)
            if not request.url.startswith((address, "data:", "blob:", "ws://127.0.0.1"))
            else None
        ),
    )
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()


def opened(page, address):
    page.goto(address)
    page.wait_for_selector("#said [data-face]", timeout=WAIT_MS)
    return page


@pytest.mark.timeout(300)
def test_camera_and_microphone_give_a_face_a_voice_and_bars(page, address):
    page.context.grant_permissions(["camera", "microphone"])
    opened(page, address)
    assert "waiting" in page.inner_text("#said [data-face]")
    _start(page, "#camera")
    page.wait_for_function(
        "() => { const t = document.querySelector('#said [data-face]')?.innerText || '';"
        " return t && !t.includes('waiting') && t !== 'no face' }",
        timeout=WAIT_MS,
    )
    assert _names_an_emotion(page.inner_text("#said [data-face]"))
    page.wait_for_selector("#view img", timeout=WAIT_MS)
    page.wait_for_selector("#bars table.emolib-chart", timeout=WAIT_MS)
    _start(page, "#microphone")
    page.wait_for_function(
        "() => { const t = document.querySelector('#said [data-voice]')?.innerText || '';"
        " return t && !t.includes('waiting') && t !== 'no voice' }",
        timeout=WAIT_MS,
    )
    assert _names_an_emotion(page.inner_text("#said [data-voice]"))
    if folder := os.environ.get("EMOLIB_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "live.png"))
    assert page.outside == []


@pytest.mark.timeout(300)
def test_a_refused_permission_names_no_emotion_and_leaves_the_upload_usable(page, address, clip):
    opened(page, address)
    _start(page, "#camera", expect=False)
    page.wait_for_timeout(1500)
    assert "waiting" in page.inner_text("#said [data-face]")
    assert page.query_selector("#bars table.emolib-chart") is None
    page.get_by_role("tab", name="Picture, sound or video").click()
    page.set_input_files("#file input[type=file]", str(clip))
    page.wait_for_timeout(1500)
    page.click("#judge")
    page.wait_for_function(
        "() => { const t = document.querySelector('#file-said [data-face]')?.innerText || '';"
        " return t && !t.includes('no file') }",
        timeout=WAIT_MS,
    )
    assert _names_an_emotion(page.inner_text("#file-said [data-face]"))
    assert set(page.errors) <= {"Permission denied"}  # the browser's own word for the refusal


@pytest.mark.timeout(300)
def test_a_damaged_upload_says_what_is_wrong(page, address, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"this is no picture")
    opened(page, address)
    page.get_by_role("tab", name="Picture, sound or video").click()
    page.set_input_files("#file input[type=file]", str(tmp_path / "broken.png"))
    page.wait_for_timeout(1500)
    page.click("#judge")
    page.get_by_text("Not judged.").wait_for(timeout=WAIT_MS)
    assert "not readable as a picture" in page.inner_text("#note")


def _start(page, where, expect=True):
    """Press what starts the camera or the microphone: first to ask for access, then to stream."""
    for label in ("Click to Access Webcam", "capture photo", "Record", "start recording"):
        found = page.locator(f"{where} button").filter(has_text=label)
        if not found.count():
            found = page.locator(f"{where} button[aria-label='{label}']")
        if found.count() and found.first.is_visible():
            found.first.click()
            page.wait_for_timeout(1500 if expect else 300)


def _names_an_emotion(text):
    names = {*EMOTIONS, predict.UNSURE}
    return any(name in text for name in names)
