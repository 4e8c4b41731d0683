"""What is planted in the synthetic corpus: which region and which voice quantity carry what."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emolib.emotions import EMOTIONS
from emolib.synthetic.tables import table

_TABLE = table("planted")

#: Regions of the face as indices of the 68 iBUG points.
REGIONS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {name: tuple(range(*ends)) for name, ends in _TABLE["regions"].items()}
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


#: Emotion → what carries it, in the order of `EMOTIONS`.
PLANTED: Mapping[str, Planted] = MappingProxyType(
    {emotion: Planted(**_TABLE["emotions"][emotion]) for emotion in EMOTIONS}
)


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
        "actor": Leak(0.8, leaking={"clip": 0.8 + 0.2 / 8}, honest={"actor": 1 / 8}),
        "segment": Leak(1.0, leaking={"segment": 1.0}, honest={"clip": 1 / 8, "actor": 1 / 8}),
    }
)
