"""The live app: webcam and microphone, or a file, judged while you look.

A `Session` holds what is remembered of one visitor: followed faces with smoothed probabilities
and the last three seconds of sound. It knows nothing of the browser, so that it can be tested
and timed without one; `build` puts Gradio around it.
"""

import atexit
import contextlib
import html
import importlib.util
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import dist
from pathlib import Path
from typing import Any

import numpy as np

from emolib.app import predict, weights
from emolib.app.draw import annotate
from emolib.app.predict import FaceReading, Reading
from emolib.emotions import EMOTIONS
from emolib.errors import EmolibError
from emolib.features.faces import FaceBox

FACE_MEMORY_S, VOICE_MEMORY_S = 0.6, 1.5  # time constants of the smoothing
FORGET_S = 3.0  # a voice that has not been heard for so long is no longer shown
BETWEEN_VOICES_S = 0.5
FRAME_EVERY_S = 0.08  # the camera sends so often
NO_FACE, NO_VOICE = "no face", "no voice"
PORTS = range(1, 65536)


class LiveError(EmolibError, ValueError):
    """The app cannot be served as asked; the message says what to change."""


def smoothed(
    before: np.ndarray | None, now: np.ndarray, elapsed: float, memory: float
) -> np.ndarray:
    """Return the exponentially weighted mean of probabilities, whatever the frame rate is.

    Parameters
    ----------
    before, now
        Probabilities (C,); without `before`, `now` is returned.
    elapsed
        Seconds since `before`.
    memory
        Time constant in seconds: after it, the past counts for 1/e.
    """
    if before is None:
        return now
    weight = np.exp(-max(0.0, elapsed) / memory)
    return weight * before + (1 - weight) * now


@dataclass(eq=False)
class _Followed:
    face: FaceBox
    probabilities: np.ndarray
    at: float


@dataclass
class Session:
    """What is remembered of one visitor.

    Attributes
    ----------
    confidence
        Least probability that is given a name.
    folder
        Where weights and cards lie.
    """

    confidence: float = predict.CONFIDENCE
    folder: Path = weights.WEIGHTS
    faces: list[FaceReading] = field(default_factory=list)
    voice: Reading | None = None
    followed: list[_Followed] = field(default_factory=list, repr=False)
    sound: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32), repr=False)
    rate: int = 16_000
    unheard: float = 0.0  # seconds of sound since the last judgement
    voice_values: np.ndarray | None = field(default=None, repr=False)
    voice_at: float = 0.0
    free_at: float = 0.0

    def leaves_out(self, now: float) -> bool:
        """Whether a frame that comes now is left out, so that the microphone gets its turn."""
        return now < self.free_at

    def took(self, started: float, ended: float) -> None:
        """Note how long a frame took: one slower than the camera buys as long a rest."""
        elapsed = ended - started
        self.free_at = ended + elapsed if elapsed > FRAME_EVERY_S else 0.0

    def see(self, image: np.ndarray, now: float | None = None) -> list[FaceReading]:
        """Judge a frame, uint8 RGB (H, W, 3); return its faces, the largest first."""
        if "video" not in weights.judging(self.folder):
            return []
        now = time.monotonic() if now is None else now
        faces = predict.faces_of(image, "haar")
        fresh = predict.face_probabilities(image, faces, self.folder)
        names = weights.network("video", self.folder).classes
        followed, readings = [], []
        for face, values in zip(faces, fresh, strict=True):
            past = self._same(face, now)
            if past:
                values = smoothed(past.probabilities, values, now - past.at, FACE_MEMORY_S)
            followed.append(_Followed(face, values, now))
            readings.append(FaceReading(face.box, Reading.of(names, values, self.confidence)))
        # Somebody missed in one frame is remembered for a moment, but not drawn.
        kept = [one for one in self.followed if now - one.at < 1.0 and one not in followed]
        self.followed, self.faces = followed + kept, readings
        return readings

    def _same(self, face: FaceBox, now: float) -> _Followed | None:
        """Take out the remembered face nearest to this one, if it is near enough."""
        near = [
            one
            for one in self.followed
            if now - one.at < 1.0
            and dist(one.face.centre, face.centre) <= max(one.face.side, face.side) / 2
        ]
        nearest = min(near, key=lambda one: dist(one.face.centre, face.centre), default=None)
        if nearest:
            self.followed.remove(nearest)
        return nearest

    def hear(self, rate: int, samples: np.ndarray, now: float | None = None) -> Reading | None:
        """Take in a piece of sound, (n,) or (n, channels), and judge the last three seconds."""
        if "audio" not in weights.judging(self.folder):
            return None
        now = time.monotonic() if now is None else now
        piece = _mono(samples)
        if rate != self.rate:
            self.sound, self.rate = np.empty(0, np.float32), rate
        self.sound = np.concatenate([self.sound, piece])[-int(predict.WINDOW_S * rate) :]
        self.unheard += len(piece) / rate
        if self.unheard >= BETWEEN_VOICES_S:
            self.unheard = 0.0
            values = predict.voice_probabilities(self.sound, rate, self.folder)
            if values is not None:
                past = self.voice_values if now - self.voice_at < FORGET_S else None
                self.voice_values = smoothed(past, values, now - self.voice_at, VOICE_MEMORY_S)
                self.voice_at = now
        names = weights.network("audio", self.folder).classes
        self.voice = None
        if self.voice_values is not None and now - self.voice_at < FORGET_S:
            self.voice = Reading.of(names, self.voice_values, self.confidence)
        return self.voice

    def fusion(self) -> Reading | None:
        """Return the reading of the largest face and the voice together."""
        face = self.faces[0].reading if self.faces else None
        return predict.fuse(face, self.voice, self.confidence)

    def shown(self) -> list[str]:
        """Return the line and the bars of what is seen and heard now, as HTML."""
        return _shown(self.faces, self.voice, self.fusion())

    def line(self) -> str:
        """Return what is said of the voice, as the picture shows it."""
        return f"VOICE: {self.voice or NO_VOICE}".upper()


def _mono(samples: np.ndarray) -> np.ndarray:
    """Return float32 in [-1, 1], whatever the browser sends."""
    samples = np.asarray(samples)
    if samples.dtype.kind == "i":
        samples = samples / np.iinfo(samples.dtype).max
    samples = samples.astype(np.float32)
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def frame_rate(image: np.ndarray, seconds: float = 3.0, folder: Path = weights.WEIGHTS) -> float:
    """Return how many frames like `image` a `Session` judges and draws in a second here."""
    session, count = Session(folder=folder), 0
    session.see(image)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        annotate(image, session.see(image), session.line())
        count += 1
    return count / (time.perf_counter() - started)


# --- what the page shows -------------------------------------------------------------------


def chart(readings: Mapping[str, Reading | None]) -> str:
    """Return the bars of face, voice and fusion (the paper's Fig. 3) as HTML.

    Parameters
    ----------
    readings
        "face", "voice" and "fusion", each a reading or None.
    """
    from emolib.plots import MODALITY_COLORS

    streams = {"face": "video", "voice": "audio", "fusion": "both"}
    colors = {who: MODALITY_COLORS[streams[who]] for who in readings}
    shares = {who: one.probabilities if one else {} for who, one in readings.items()}
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td>"
        + "".join(_bar(who, shares[who].get(name), color) for who, color in colors.items())
        + "</td></tr>"
        for name in EMOTIONS
        if any(name in known for known in shares.values())
    )
    if not rows:
        return '<p class="emolib-empty">The bars appear with the first face or voice.</p>'
    legend = "".join(
        f'<span><i style="background:{color}"></i>{who}</span>' for who, color in colors.items()
    )
    return (
        f'<div class="emolib-legend">{legend}</div>'
        f'<table class="emolib-chart" aria-label="probability of each emotion">{rows}</table>'
    )


def _bar(who: str, share: float | None, color: str) -> str:
    text = "–" if share is None else f"{share:.0%}"
    return (
        f'<div class="emolib-bar" title="{who}: {text}">'
        f'<span style="width:{100 * (share or 0):.1f}%;background:{color}"></span>'
        f"<em>{text}</em></div>"
    )


def status(face: object, voice: object, fusion: object) -> str:
    """Return the three answers as a line of HTML that screen readers announce."""
    parts = (
        f"<span><b>{name}</b> <span data-{name}>{html.escape(str(value))}</span></span>"
        for name, value in (("face", face), ("voice", voice), ("fusion", fusion))
    )
    return f'<div class="emolib-status" role="status">{"".join(parts)}</div>'


def _shown(faces: list[FaceReading], voice: Reading | None, fusion: Reading | None) -> list[str]:
    """Return the line and the bars of three answers."""
    face = ", ".join(str(one.reading) for one in faces) or NO_FACE
    line = status(face, voice or NO_VOICE, fusion or "needs both")
    bars = {"face": faces[0].reading if faces else None, "voice": voice, "fusion": fusion}
    return [line, chart(bars)]


_NOTHING = chart({"face": None, "voice": None, "fusion": None})
_WAITING = status("waiting for the camera", "waiting for the microphone", "needs both")
_NO_FILE = status("no file yet", "no file yet", "needs both")
_INTRO = """# Emotions of a face and of a voice, live
Press **record** under the camera and under the microphone and allow the browser to use them; or
take the second tab for a picture, a sound or a video. Everything stays on this computer.
"""


def _footer(folder: Path) -> str:
    """Return what the networks are, from their cards."""
    lines = []
    judging = [name for name in weights.judging(folder) if name in ("video", "audio")]
    if not judging:
        raise LiveError(
            f"{folder} has no network of faces or of voices alone, which the live app needs: train "
            "with --modality audio or --modality video, and the same --weights"
        )
    for modality in judging:
        card = weights.network(modality, folder).card
        metrics = card.get("all_runs", card["test_metrics"])
        lines.append(
            f"<b>{weights.FILES[modality]}</b>: {html.escape(card['title'])}; "
            f"{card['parameters']:,} parameters, test accuracy {metrics['accuracy']:.1%}, "
            f"UAR {metrics['uar']:.1%}"
        )
    return (
        f'<p class="emolib-note">{"<br>".join(lines)}<br>A network sees what a face or a voice '
        "does, not what anybody feels. For research and teaching; not for decisions about "
        "people.</p>"
    )


def build(folder: Path = weights.WEIGHTS):
    """Return the app as Gradio blocks (not yet launched); `folder` holds weights and cards."""
    import gradio as gr

    from emolib.app import guard

    footer = _footer(folder)  # missing weights are an error here, not at the first face
    forget = (guard.KEPT_S, guard.KEPT_S)  # how often it is looked for, and how old it gets
    with gr.Blocks(title="emolib live", analytics_enabled=False, delete_cache=forget) as app:
        gr.Markdown(_INTRO)
        label = "Name an emotion only from this probability on"
        confidence = gr.Slider(
            0.0, 0.9, predict.CONFIDENCE, step=0.05, label=label, elem_id="confidence"
        )
        with gr.Tab("Camera and microphone"):
            _fill_live_tab(confidence, folder)
        with gr.Tab("Picture, sound or video"):
            _fill_file_tab(confidence, folder)
        gr.HTML(footer)
    return app


def _fill_live_tab(confidence, folder: Path) -> None:
    """Put camera, microphone and what is said of them on the page."""
    import gradio as gr

    def look(image, session, confidence):
        session.confidence = confidence
        if image is None:
            return None, _WAITING, _NOTHING
        started = time.monotonic()
        if session.leaves_out(started):
            return gr.skip(), gr.skip(), gr.skip()
        drawn = annotate(image, session.see(image), session.line())
        session.took(started, time.monotonic())
        return drawn, *session.shown()

    def listen(piece, session, confidence):
        session.confidence = confidence
        if piece is None:
            return _WAITING, _NOTHING
        session.hear(*piece)
        return session.shown()

    session = gr.State(Session(folder=folder))
    video = {"width": 640, "height": 480}
    live: dict[str, Any] = {"streaming": True, "type": "numpy"}
    with gr.Row():
        with gr.Column():
            webcam = gr.WebcamOptions(constraints={"video": video})
            camera = gr.Image(
                label="Camera", elem_id="camera", height=300, format="jpeg",
                sources=["webcam"], webcam_options=webcam, **live,
            )  # fmt: skip
            microphone = gr.Audio(
                label="Microphone", elem_id="microphone", sources=["microphone"], **live
            )
        with gr.Column():
            view = gr.Image(
                label="What the networks say", elem_id="view", height=360, format="jpeg",
                interactive=False,
            )  # fmt: skip
            line = gr.HTML(_WAITING, elem_id="said")
            bars = gr.HTML(_NOTHING, elem_id="bars")
    quietly: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 2}
    quietly["time_limit"] = None
    heard, seen = [microphone, session, confidence], [camera, session, confidence]
    camera.stream(look, seen, [view, line, bars], stream_every=FRAME_EVERY_S, **quietly)
    microphone.stream(listen, heard, [line, bars], stream_every=0.5, **quietly)


def _fill_file_tab(confidence, folder: Path) -> None:
    """Put a file, a button and what is said of the file on the page."""
    import gradio as gr

    def judge(file, confidence, progress=gr.Progress()):  # noqa: B008 -- Gradio's own idiom
        if file is None:
            return None, _NO_FILE, _NOTHING, ""
        try:
            answer = predict.predict(file, confidence=confidence, folder=folder, progress=progress)
        except weights.PredictionError as error:
            reason = str(error).replace(str(file), Path(file).name)
            return None, status("–", "–", "–"), _NOTHING, f"**Not judged.** {reason}"
        drawn = None if answer.picture is None else annotate(answer.picture, answer.faces)
        shown = _shown(answer.faces, answer.voice, answer.fusion)
        return drawn, *shown, "; ".join(answer.notes)

    with gr.Row():
        with gr.Column():
            kinds = [*predict.PICTURES, *predict.SOUNDS, *predict.VIDEOS]
            file = gr.File(label="File", file_types=kinds, elem_id="file")
            button = gr.Button("Judge", variant="primary", elem_id="judge")
            note = gr.Markdown(elem_id="note")
        with gr.Column():
            title = "What the networks say"
            picture = gr.Image(label=title, interactive=False, elem_id="picture")
            line = gr.HTML(_NO_FILE, elem_id="file-said")
            bars = gr.HTML(_NOTHING, elem_id="file-bars")
    button.click(judge, [file, confidence], [picture, line, bars, note], concurrency_limit=1)


def launch(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    folder: Path = weights.WEIGHTS,
    wait: bool = True,
):
    """Serve the app, by default to this computer only; return (app, address).

    What is uploaded lies in a folder of its own, for a minute at most, and that folder goes when
    the app ends.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port; by default the first free one from 7860 on.
    folder
        Where weights and cards lie.
    wait
        Serve until Ctrl-C.

    Raises
    ------
    LiveError
        If nothing can listen there, or Gradio is not installed.
    """
    _check_address(host, port)
    import gradio as gr
    from starlette.middleware import Middleware

    from emolib.app import guard

    kept = contextlib.ExitStack()
    kept.enter_context(guard.forgetful())
    atexit.register(kept.close)
    app = build(folder)
    _, address, _ = app.queue().launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        css_paths=Path(__file__).with_suffix(".css"),
        theme=gr.themes.Default(font=("system-ui", "sans-serif"), font_mono=("monospace",)),
        footer_links=[],
        max_file_size="2gb",
        ssr_mode=False,
        app_kwargs={"middleware": [Middleware(guard.Guard, hosts=guard.names_of(host))]},
    )
    print(f"emolib live: {address}", flush=True)
    if wait:
        with kept:
            app.block_thread()
    return app, address


def _check_address(host: str, port: int | None) -> None:
    """Refuse an address that cannot be listened on, before anything slow is imported."""
    if importlib.util.find_spec("gradio") is None:
        raise LiveError("the live app needs Gradio: pip install 'emolib[live]'")
    if port is not None and port not in PORTS:
        raise LiveError(f"port {port}: give {PORTS[0]} to {PORTS[-1]}")
    try:
        family = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port or 0), family=family).close()
    except OSError as error:
        raise LiveError(
            f"cannot listen on {host}, port {port or 'any'} ({error.strerror}): give an address of "
            "this computer, such as 127.0.0.1, and a port that is free"
        ) from error
