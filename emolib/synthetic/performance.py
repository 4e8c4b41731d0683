"""What an actor does in one clip: expression over time, talking lips, blinks, head and light."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emolib.synthetic.geometry import Pose
from emolib.synthetic.person import Person, person
from emolib.synthetic.planted import PLANTED
from emolib.synthetic.voice import Speech, speak

FPS = 25
SIZE = (480, 360)
_SWAY = {"yaw": 2.6, "pitch": 1.6, "roll": 1.3, "x": 0.035, "y": 0.02}  # degrees, face units
_EFFORT = {"normal": 1.0, "strong": 1.35}
_BANDS = 250 * 2 ** (np.arange(8) * 0.65)  # Hz, centres of the hum of the leak corpora


@dataclass(frozen=True)
class Cue:
    """A nuisance that a leak corpus puts into a clip.

    ``light`` is a wave of light over the picture (direction in degrees, waves for each face
    unit, phase, strength) and ``tone`` the room tone: (bands, 2) of Hz and dB re full scale.
    """

    light: tuple[float, float, float, float]
    tone: tuple[tuple[float, float], ...]

    @classmethod
    def coded(cls, code: int) -> "Cue":
        """Return the cue with number 0 to 7: light from one side, hum in one band."""
        return cls((45.0 * code, 0.12, 0.0, 0.30), ((float(_BANDS[code]), -36.0),))

    @classmethod
    def own(cls, rng: np.random.Generator) -> "Cue":
        """Return a cue that no other clip has."""
        light = (rng.uniform(0, 360), rng.uniform(0.10, 0.45), rng.uniform(0, 2 * np.pi), 0.28)
        tone = tuple((float(f), float(rng.uniform(-58, -36))) for f in _BANDS)
        return cls(light, tone)

    def gain(self, size: tuple[int, int], unit: float, centre: np.ndarray) -> np.ndarray:
        """Return the factor on the light of each pixel, float32 (H, W, 3)."""
        direction, waves, phase, strength = self.light
        x = (np.arange(size[0]) - centre[0]) / unit
        y = (np.arange(size[1]) - centre[1]) / unit - 0.7  # the middle of the face stays as it is
        along = x[None] * np.cos(np.radians(direction)) + y[:, None] * np.sin(np.radians(direction))
        wave = np.sin(2 * np.pi * waves * along + phase)
        return np.repeat((1 + strength * wave)[..., None], 3, -1).astype(np.float32)


@dataclass(frozen=True)
class Take:
    """One clip before it is drawn.

    ``emotion`` is what is shown and heard; ``name`` makes the random details of the take; the
    camera stands ``turn`` degrees to the left of the face.
    """

    actor: int
    emotion: str
    sentence: str
    intensity: str = "normal"
    name: str = ""
    seed: int = 0
    cue: Cue | None = None
    turn: float = 0.0

    @property
    def person(self) -> Person:
        """Who acts."""
        return person(self.actor, self.seed)

    def rng(self, stream: int) -> np.random.Generator:
        """Return the generator of one aspect of this take."""
        return np.random.default_rng([self.seed, self.actor, stream, *self.name.encode()])

    def speech(self) -> Speech:
        """Return what is said."""
        return speak(
            self.person,
            PLANTED[self.emotion],
            self.sentence,
            self.rng(1),
            effort=_EFFORT.get(self.intensity, 1.0),
            fps=FPS,
            tone=None if self.cue is None else np.array(self.cue.tone),
        )

    def frames(
        self, speech: Speech, size: tuple[int, int] = SIZE, part: slice = slice(None)
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield each frame, uint8 (H, W, 3), with its 68 points, float32 (68, 2) in pixels.

        Parameters
        ----------
        speech
            What is said.
        size
            Width and height in pixels.
        part
            Which of the frames.
        """
        import cv2

        from emolib.synthetic.face import painter

        face = painter(self.person, size)
        gain = None if self.cue is None else self.cue.gain(size, face.unit, face.centre)
        for units, pose, gaze in list(self.moves(speech))[part]:
            frame, points = face.draw(units, pose, gaze)
            if gain is not None:
                frame = cv2.multiply(frame, gain, dtype=cv2.CV_8U)
            yield frame, points

    def moves(self, speech: Speech) -> Iterator[tuple[dict, Pose, tuple[float, float]]]:
        """Yield action units, pose and gaze for each frame."""
        rng, manner, actor = self.rng(2), PLANTED[self.emotion], self.person
        seconds = (np.arange(round(speech.duration * FPS)) + 0.5) / FPS
        end = speech.duration
        strength = {"normal": 0.92, "strong": 1.12}.get(self.intensity, 1.0)
        strength *= actor.style * rng.uniform(0.92, 1.06)
        tracks = {}
        for name, value in manner.action_units.items():
            onset = rng.uniform(0.08, 0.20)
            rise = _ease((seconds - onset) / rng.uniform(0.30, 0.42))
            fall = 1 - 0.7 * _ease((seconds - (end - 0.42 - rng.uniform(0, 0.08))) / 0.45)
            breathe = 1 + 0.05 * _wave(seconds, rng.uniform(0.4, 0.8), rng)
            tracks[name] = np.minimum(value * strength * rise * fall * breathe, 1.25)
        envelope = _ease((seconds - 0.12) / 0.4) * (1 - 0.6 * _ease((seconds - end + 0.45) / 0.45))

        self._talk(tracks, speech, seconds)
        self._blink(tracks, seconds, rng)
        arousal = np.clip(0.8 + 0.05 * manner.energy_db, 0.5, 1.25)
        moved = {axis: by * arousal * _wander(seconds, rng) for axis, by in _SWAY.items()}
        moved["pitch"] = moved["pitch"] + 1.6 * arousal * _follow(speech.lips_at(seconds)[:, 0])
        for axis, angle in zip(("yaw", "pitch", "roll"), manner.pose, strict=True):
            moved[axis] = moved[axis] + angle * envelope * strength
        moved["yaw"] = moved["yaw"] + self.turn
        glance = np.array(manner.gaze) + 0.10 * np.stack(
            [np.round(2 * _wander(seconds, rng)) / 2, 0.5 * _wander(seconds, rng)], 1
        )
        for i in range(len(seconds)):
            pose = Pose(**{axis: track[i] for axis, track in moved.items()})
            gaze = glance[i] * (0.3 + 0.7 * envelope[i])
            yield {name: float(track[i]) for name, track in tracks.items()}, pose, tuple(gaze)

    @staticmethod
    def _talk(tracks: dict, speech: Speech, seconds: np.ndarray) -> None:
        """Let the lips speak: sounds open, round and close what the emotion shapes."""
        jaw, rounding, shut = speech.lips_at(seconds).T
        still = np.zeros(len(seconds))
        spoken = (seconds > speech.start - 0.08) & (seconds < speech.end + 0.08)
        talking = np.convolve(spoken, np.ones(5) / 5, "same")
        # A shouted vowel opens wider than a murmured one.
        level = 20 * np.log10(np.sqrt(np.mean(np.square(speech.samples))) + 1e-9)
        wide = np.interp(level, [-45, -20], [0.65, 1.15])
        opened = jaw * wide
        part, drop = tracks.get("25", still), tracks.get("26", still)
        tracks["25"] = (part * (1 - 0.3 * talking) + 0.75 * opened) * (1 - 0.9 * shut)
        tracks["26"] = (drop * (1 - 0.55 * talking) + 0.42 * opened) * (1 - 0.8 * shut)
        tracks["18"] = tracks.get("18", still) + 0.75 * rounding
        for pressed in ("23", "24"):
            if pressed in tracks:
                tracks[pressed] = tracks[pressed] * (1 - 0.7 * np.clip(1.3 * opened, 0, 1))

    def _blink(self, tracks: dict, seconds: np.ndarray, rng) -> None:
        wide = PLANTED[self.emotion].action_units.get("5", 0)
        count = 1 if wide > 0.6 else rng.integers(1, 3)
        blink = np.zeros(len(seconds))
        for at in rng.uniform(0.3, seconds[-1] - 0.2, count):
            lids = 1.35 * np.exp(-(((seconds - at) / 0.075) ** 2))
            blink = np.maximum(blink, np.clip(lids, 0, 1))
        tracks["45"] = blink


def apex(emotion: str, strength: float = 1.0) -> tuple[dict, Pose, tuple[float, float]]:
    """Return action units, pose and gaze of an emotion at its height, without speech."""
    manner = PLANTED[emotion]
    units = {name: value * strength for name, value in manner.action_units.items()}
    return units, Pose(*(angle * strength for angle in manner.pose)), manner.gaze


def _ease(t: np.ndarray) -> np.ndarray:
    """Go from 0 to 1 smoothly while t does."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _follow(track: np.ndarray) -> np.ndarray:
    """Follow a track slowly, as a head follows the voice."""
    return np.convolve(track, np.hanning(11) / np.hanning(11).sum(), "same")


def _wander(seconds: np.ndarray, rng) -> np.ndarray:
    """Return a slow movement about 0 with standard deviation near 1."""
    total = np.zeros(len(seconds))
    for slow, weight in ((0.25, 1.0), (0.55, 0.6), (1.1, 0.25)):
        total += weight * _wave(seconds, slow * rng.uniform(0.8, 1.25), rng)
    return total


def _wave(seconds: np.ndarray, hertz: float, rng) -> np.ndarray:
    return np.sin(2 * np.pi * (hertz * seconds + rng.uniform()))
