"""The live app: webcam and microphone, or a file, judged while you look.

A `Session` holds what is remembered of one visitor: followed faces with smoothed probabilities
and the last three seconds of sound. It knows nothing of the browser, so that it can be tested
and timed without one; `build` puts Gradio around it.
"""

import html
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emolib.app import predict
from emolib.app.predict import FaceReading, Reading

FACE_MEMORY_S, VOICE_MEMORY_S = 0.6, 1.5  # time constants of the smoothing
FORGET_S = 3.0  # a voice that has not been heard for so long is no longer shown
BETWEEN_VOICES_S = 0.5
FRAME_EVERY_S = 0.08  # the camera sends so often
NO_FACE, NO_VOICE = "no face", "no voice"


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


@dataclass
class _Followed:
    face: object
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
    folder: Path = predict.WEIGHTS
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
        now = time.monotonic() if now is None else now
        found = predict.faces_of(image, "haar")
        fresh = predict.face_probabilities(image, found, self.folder)
        names = predict.network("video", self.folder).classes
        followed, readings = [], []
        for face, values in zip(found, fresh, strict=True):
            past = self._same(face, now)
            values = smoothed(
                past.probabilities if past else None,
                values,
                now - past.at if past else 0.0,
                FACE_MEMORY_S,
            )
            followed.append(_Followed(face, values, now))
            readings.append(FaceReading(face.box, Reading.of(names, values, self.confidence)))
        # Somebody missed in one frame is remembered for a moment, but not drawn.
        kept = [one for one in self.followed if now - one.at < 1.0 and one not in followed]
        self.followed, self.faces = followed + kept, readings
        return readings

    def _same(self, face, now: float) -> _Followed | None:
        """Take out the remembered face nearest to this one, if it is near enough."""
        near = [
            one
            for one in self.followed
            if now - one.at < 1.0
            and np.linalg.norm(one.face.centre - face.centre) <= max(one.face.side, face.side) / 2
        ]
        if not near:
            return None
        nearest = min(near, key=lambda one: np.linalg.norm(one.face.centre - face.centre))
        self.followed = [one for one in self.followed if one is not nearest]
        return nearest

    def hear(self, rate: int, samples: np.ndarray, now: float | None = None) -> Reading | None:
        """Take in a piece of sound, (n,) or (n, channels), and judge the last three seconds."""
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
        names = predict.network("audio", self.folder).classes
        heard = self.voice_values is not None and now - self.voice_at < FORGET_S
        self.voice = Reading.of(names, self.voice_values, self.confidence) if heard else None
        return self.voice

    def fusion(self) -> Reading | None:
        """Return the reading of the largest face and the voice together."""
        face = self.faces[0].reading if self.faces else None
        return predict.fuse(face, self.voice, self.confidence)

    def line(self) -> str:
        """Return what is said of the voice, as the picture shows it."""
        return f"VOICE: {_said(self.voice, NO_VOICE).upper()}"


def _mono(samples: np.ndarray) -> np.ndarray:
    """Return float32 in [-1, 1], whatever the browser sends."""
    samples = np.asarray(samples)
    if samples.dtype.kind == "i":
        samples = samples / np.iinfo(samples.dtype).max
    samples = samples.astype(np.float32)
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def _said(reading: Reading | None, missing: str) -> str:
    if reading is None:
        return missing
    if reading.emotion == predict.UNSURE:
        return f"{predict.UNSURE} ({reading.confidence:.0%} at most)"
    return f"{reading.emotion} {reading.confidence:.0%}"


def frame_rate(image: np.ndarray, seconds: float = 3.0, folder: Path = predict.WEIGHTS) -> float:
    """Return how many frames like `image` a `Session` judges and draws in a second here."""
    session, count = Session(folder=folder), 0
    session.see(image)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        predict.annotate(image, session.see(image), session.line())
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
    from emolib.corpora.manifest import EMOTIONS
    from emolib.plots import MODALITY_COLORS

    colors = dict(zip(("face", "voice", "fusion"), ("video", "audio", "both"), strict=True))
    known = [one for one in readings.values() if one]
    names = [name for name in EMOTIONS if any(name in one.probabilities for one in known)]
    if not names:
        return '<p class="emolib-empty">The bars appear with the first face or voice.</p>'
    rows = []
    for name in names:
        bars = []
        for who, reading in readings.items():
            share = reading.probabilities.get(name) if reading else None
            text = "–" if share is None else f"{share:.0%}"
            color = MODALITY_COLORS[colors[who]]
            bars.append(
                f'<div class="emolib-bar" title="{who}: {text}">'
                f'<span style="width:{100 * (share or 0):.1f}%;background:{color}"></span>'
                f"<em>{text}</em></div>"
            )
        rows.append(f"<tr><th scope=row>{name}</th><td>{''.join(bars)}</td></tr>")
    legend = "".join(
        f'<span><i style="background:{MODALITY_COLORS[colors[who]]}"></i>{who}</span>'
        for who in readings
    )
    return (
        f'<div class="emolib-legend">{legend}</div>'
        f'<table class="emolib-chart" aria-label="probability of each emotion">{"".join(rows)}'
        "</table>"
    )


def status(face: str, voice: str, fusion: str) -> str:
    """Return the three answers as a line of HTML that screen readers announce."""
    parts = (
        f"<span><b>{name}</b> <span data-{name}>{html.escape(value)}</span></span>"
        for name, value in (("face", face), ("voice", voice), ("fusion", fusion))
    )
    return f'<div class="emolib-status" role="status">{"".join(parts)}</div>'


def _status_of(faces: list[FaceReading], voice: Reading | None, fusion: Reading | None) -> str:
    face = ", ".join(_said(one.reading, "") for one in faces) or NO_FACE
    return status(face, _said(voice, NO_VOICE), _said(fusion, "needs both"))


_CSS = """
.emolib-status{display:flex;gap:1.5rem;flex-wrap:wrap;font-size:1.15rem;padding:.4rem 0}
.emolib-status b{opacity:.65;font-weight:500;margin-right:.3rem}
.emolib-chart{width:100%;border-collapse:collapse}
.emolib-chart th{text-align:right;font-weight:500;padding:2px 10px 2px 0;width:6.5rem}
.emolib-bar{display:flex;align-items:center;height:13px;gap:6px}
.emolib-bar span{display:block;height:9px;border-radius:2px;min-width:1px;max-width:88%}
.emolib-bar em{font-style:normal;font-size:.72rem;opacity:.75}
.emolib-legend{display:flex;gap:1.2rem;font-size:.85rem;padding-bottom:.4rem}
.emolib-legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;
margin-right:.35rem;vertical-align:-1px}
.emolib-empty,.emolib-note{opacity:.7;font-size:.9rem}
"""

_WAITING = status("waiting for the camera", "waiting for the microphone", "needs both")
_INTRO = """# Emotions of a face and of a voice, live
Press **record** under the camera and under the microphone and allow the browser to use them; or
take the second tab for a picture, a sound or a video. Everything stays on this computer.
"""


def _footer(folder: Path) -> str:
    """Return what the networks are, from their cards."""
    lines = []
    for modality in ("video", "audio"):
        card = predict.network(modality, folder).card
        metrics = card.get("all_runs", card["test_metrics"])
        lines.append(
            f"<b>{predict.FILES[modality]}</b>: {html.escape(card['title'])}; "
            f"{card['parameters']:,} parameters, test accuracy {metrics['accuracy']:.1%}, "
            f"UAR {metrics['uar']:.1%}"
        )
    return (
        f'<p class="emolib-note">{"<br>".join(lines)}<br>A network sees what a face or a voice '
        "does, not what anybody feels. For research and teaching; not for decisions about "
        "people.</p>"
    )


def build(folder: Path = predict.WEIGHTS):
    """Return the app as Gradio blocks (not yet launched); `folder` holds weights and cards."""
    import gradio as gr

    footer = _footer(folder)  # missing weights are an error here, not at the first face

    def look(image, session, confidence):
        session.confidence = confidence
        if image is None:
            return None, _WAITING, chart({})
        started = time.monotonic()
        if session.leaves_out(started):
            return gr.skip(), gr.skip(), gr.skip()
        faces = session.see(image)
        drawn = predict.annotate(image, faces, session.line())
        session.took(started, time.monotonic())
        return drawn, *shown(session)

    def listen(piece, session, confidence):
        session.confidence = confidence
        if piece is None:
            return _WAITING, chart({})
        session.hear(*piece)
        return shown(session)

    def shown(session):
        fusion = session.fusion()
        face = session.faces[0].reading if session.faces else None
        bars = {"face": face, "voice": session.voice, "fusion": fusion}
        return _status_of(session.faces, session.voice, fusion), chart(bars)

    def judge(file, confidence, progress=gr.Progress()):  # noqa: B008 -- Gradio's own idiom
        if file is None:
            return None, status("no file yet", "no file yet", "needs both"), chart({}), ""
        try:
            answer = predict.predict(file, confidence=confidence, folder=folder, progress=progress)
        except predict.PredictionError as error:
            said = str(error).replace(str(file), Path(file).name)
            return None, status("–", "–", "–"), chart({}), f"**Not judged.** {said}"
        drawn = None
        if answer.picture is not None:
            drawn = predict.annotate(answer.picture, answer.faces)
        face = answer.faces[0].reading if answer.faces else None
        bars = {"face": face, "voice": answer.voice, "fusion": answer.fusion}
        text = _status_of(answer.faces, answer.voice, answer.fusion)
        return drawn, text, chart(bars), "; ".join(answer.notes)

    with gr.Blocks(title="emolib live", analytics_enabled=False) as app:
        gr.Markdown(_INTRO)
        confidence = gr.Slider(
            0.0, 0.9, predict.CONFIDENCE, step=0.05,
            label="Name an emotion only from this probability on", elem_id="confidence",
        )  # fmt: skip
        with gr.Tab("Camera and microphone"):
            session = gr.State(Session(folder=folder))
            with gr.Row():
                with gr.Column():
                    camera = gr.Image(
                        sources=["webcam"], streaming=True, type="numpy", label="Camera",
                        elem_id="camera", height=300, format="jpeg",
                        webcam_options=gr.WebcamOptions(
                            constraints={"video": {"width": 640, "height": 480}}
                        ),
                    )  # fmt: skip
                    microphone = gr.Audio(
                        sources=["microphone"], streaming=True, type="numpy", label="Microphone",
                        elem_id="microphone",
                    )  # fmt: skip
                with gr.Column():
                    view = gr.Image(
                        label="What the networks say", format="jpeg", interactive=False,
                        elem_id="view", height=360,
                    )  # fmt: skip
                    said = gr.HTML(_WAITING, elem_id="said")
                    bars = gr.HTML(chart({}), elem_id="bars")
            camera.stream(
                look, [camera, session, confidence], [view, said, bars], stream_every=FRAME_EVERY_S,
                show_progress="hidden", concurrency_limit=2, time_limit=None,
            )  # fmt: skip
            microphone.stream(
                listen, [microphone, session, confidence], [said, bars], stream_every=0.5,
                show_progress="hidden", concurrency_limit=2, time_limit=None,
            )  # fmt: skip
        with gr.Tab("Picture, sound or video"):
            with gr.Row():
                with gr.Column():
                    kinds = [*predict.PICTURES, *predict.SOUNDS, *predict.VIDEOS]
                    file = gr.File(label="File", file_types=kinds, elem_id="file")
                    button = gr.Button("Judge", variant="primary", elem_id="judge")
                    note = gr.Markdown(elem_id="note")
                with gr.Column():
                    picture = gr.Image(
                        label="What the networks say", interactive=False, elem_id="picture"
                    )
                    file_said = gr.HTML(
                        status("no file yet", "no file yet", "needs both"), elem_id="file-said"
                    )
                    file_bars = gr.HTML(chart({}), elem_id="file-bars")
            outputs = [picture, file_said, file_bars, note]
            button.click(judge, [file, confidence], outputs, concurrency_limit=1)
        gr.HTML(footer)
    return app


def launch(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    folder: Path = predict.WEIGHTS,
    wait: bool = True,
):
    """Serve the app, by default to this computer only; return (app, address).

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
    """
    import gradio as gr

    plain = ("system-ui", "sans-serif")
    app = build(folder)
    _, address, _ = app.queue().launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        css=_CSS,
        theme=gr.themes.Default(font=plain, font_mono=("monospace",)),
        footer_links=[],
        max_file_size="2gb",
        ssr_mode=False,
    )
    print(f"emolib live: {address}", flush=True)
    if wait:
        app.block_thread()
    return app, address
