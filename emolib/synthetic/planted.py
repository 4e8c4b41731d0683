"""What is planted in the synthetic corpus: which region and which voice quantity carry what."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emolib.emotions import EMOTIONS

#: Regions of the face as indices of the 68 iBUG points.
REGIONS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "jaw": tuple(range(17)),
        "eyebrows": tuple(range(17, 27)),
        "nose": tuple(range(27, 36)),
        "eyes": tuple(range(36, 48)),
        "mouth": tuple(range(48, 68)),
    }
)


@dataclass(frozen=True)
class Planted:
    """What one emotion does to the face and to the voice, relative to neutral.

    Attributes
    ----------
    action_units
        FACS action unit → activation at the apex, 0 to about 1. A trailing ``R`` means the
        unit acts on the right of the picture only.
    regions
        The regions of `REGIONS` that carry the emotion: how far their points move, relative
        to the farthest that any emotion moves them, makes up at least 70 % of the whole.
    pose
        Yaw, pitch and roll of the head at the apex, in degrees (pitch > 0 looks down).
    gaze
        Horizontal and vertical gaze, −1 to 1 (down > 0).
    f0
        Factor on the speaker's mean fundamental frequency.
    f0_range
        Standard deviation of the pitch contour in semitones.
    final_rise
        Pitch change over the last word in semitones.
    energy_db
        Level of the speech against neutral in dB.
    rate
        Factor on the speaking rate (duration of the speech is divided by it).
    breath
        Level of aspiration noise against voicing, 0 (none) to 1.
    tilt_db
        Level of the harmonics above 1 kHz against neutral in dB: > 0 is a pressed voice.
    tremor
        Depth of a 6 Hz pitch modulation in semitones.
    jitter
        Standard deviation of the cycle-to-cycle pitch change, as a share of F0.
    """

    action_units: Mapping[str, float]
    regions: tuple[str, ...]
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    f0: float = 1.0
    f0_range: float = 1.6
    final_rise: float = -2.0
    energy_db: float = 0.0
    rate: float = 1.0
    breath: float = 0.08
    tilt_db: float = 0.0
    tremor: float = 0.0
    jitter: float = 0.006


#: Emotion → what carries it. Everything a probe may find in the corpus is written here.
PLANTED: Mapping[str, Planted] = MappingProxyType(
    {
        "neutral": Planted({}, ()),
        "calm": Planted(
            {"12": 0.28, "14": 0.15, "43": 0.38},
            ("eyes", "mouth"),
            pose=(3, 1, 5),
            f0=0.92,
            f0_range=0.9,
            energy_db=-5,
            rate=0.88,
            breath=0.30,
            tilt_db=-3,
        ),
        "happy": Planted(
            {"6": 0.95, "12": 1.0, "25": 0.75, "26": 0.12, "1": 0.1, "2": 0.15},
            ("mouth", "eyes"),
            pose=(-4, -3, -4),
            f0=1.35,
            f0_range=3.2,
            final_rise=1.5,
            energy_db=4,
            rate=1.08,
            breath=0.08,
            tilt_db=2,
        ),
        "sad": Planted(
            {"1": 1.0, "4": 0.35, "15": 1.0, "17": 0.6, "43": 0.34, "11": 0.4},
            ("eyebrows", "eyes", "mouth"),
            pose=(3, 7, 4),
            gaze=(0.15, 0.55),
            f0=0.86,
            f0_range=0.8,
            final_rise=-3.0,
            energy_db=-9,
            rate=0.76,
            breath=0.34,
            tilt_db=-6,
            jitter=0.010,
        ),
        "angry": Planted(
            {"4": 1.0, "5": 0.35, "7": 0.75, "23": 0.8, "24": 0.5, "10": 0.15, "15": 0.25},
            ("eyebrows", "eyes"),
            pose=(0, 5, 0),
            f0=1.22,
            f0_range=2.8,
            final_rise=-4.0,
            energy_db=9,
            rate=1.16,
            breath=0.02,
            tilt_db=7,
            jitter=0.012,
        ),
        "fearful": Planted(
            {"1": 1.0, "2": 0.55, "4": 0.55, "5": 0.8, "20": 1.0, "25": 0.7, "26": 0.18},
            ("eyes", "mouth", "eyebrows"),
            pose=(6, -4, -3),
            gaze=(-0.2, 0.0),
            f0=1.65,
            f0_range=1.3,
            final_rise=0.0,
            energy_db=1,
            rate=1.26,
            breath=0.36,
            tilt_db=0,
            tremor=0.7,
            jitter=0.018,
        ),
        "disgust": Planted(
            {"9": 1.0, "10": 0.9, "7": 0.75, "4": 0.25, "15": 0.5, "16": 0.12, "25": 0.22},
            ("nose", "eyes", "mouth"),
            pose=(-8, -3, 4),
            f0=0.80,
            f0_range=2.2,
            final_rise=-3.0,
            energy_db=1,
            rate=0.86,
            breath=0.14,
            tilt_db=2,
            jitter=0.024,
        ),
        "surprised": Planted(
            {"1": 1.0, "2": 1.0, "5": 1.0, "25": 0.4, "26": 0.95},
            ("eyebrows", "jaw", "eyes", "mouth"),
            pose=(0, -5, 0),
            f0=1.48,
            f0_range=4.2,
            final_rise=6.0,
            energy_db=4,
            rate=0.98,
            breath=0.18,
            tilt_db=0,
        ),
        "contempt": Planted(
            {"12R": 0.8, "14R": 0.9, "2R": 0.5, "43": 0.28, "24": 0.2},
            ("mouth", "eyes", "eyebrows"),
            pose=(7, -5, -5),
            gaze=(-0.35, 0.1),
            f0=0.92,
            f0_range=1.4,
            energy_db=-2,
            rate=0.94,
            breath=0.08,
            tilt_db=1,
        ),
    }
)
assert tuple(PLANTED) == EMOTIONS


@dataclass(frozen=True)
class Leak:
    """A planted leak: face and voice say nothing about the label, a nuisance cue does.

    Attributes
    ----------
    strength
        Share of the clips whose cue tells the label; the others carry a cue at random.
    leaking
        Splits on which the cue can be learned, and the accuracy it gives a perfect reader.
    honest
        Splits on which it cannot: the accuracy is that of guessing.
    """

    strength: float
    leaking: Mapping[str, float]
    honest: Mapping[str, float]


#: In both leak corpora the emotion shown and spoken is drawn without regard to the label, so
#: every accuracy above 1/8 is leak, and its size is known beforehand.
#:
#: ``actor``: the studio light comes from one of eight sides and the room hums in one of eight
#: bands; each actor has a private code from label to light and hum. Who knows the actor reads
#: the label; on an unknown actor the code is worthless.
#: ``segment``: every clip has a light and a room tone of its own. Who has seen another segment
#: of the clip knows the clip, and with it the label.
LEAKS: Mapping[str, Leak] = MappingProxyType(
    {
        "actor": Leak(
            strength=0.8,
            leaking={"clip": 0.8 + 0.2 / 8},
            honest={"actor": 1 / 8},
        ),
        "segment": Leak(
            strength=1.0, leaking={"segment": 1.0}, honest={"clip": 1 / 8, "actor": 1 / 8}
        ),
    }
)
