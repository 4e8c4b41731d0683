"""Who the synthetic actors are: shape of the face, skin, hair, light and room, from a seed."""

from dataclasses import dataclass

import numpy as np

from emolib.synthetic.geometry import Shape

_SKINS = (
    (236, 196, 172),
    (190, 138, 104),
    (226, 178, 146),
    (142, 96, 70),
    (241, 206, 188),
    (208, 158, 122),
    (134, 92, 70),
    (232, 186, 158),
)
_HAIR = (
    (52, 36, 28),
    (112, 72, 42),
    (26, 22, 22),
    (176, 132, 78),
    (84, 50, 34),
    (138, 60, 34),
    (60, 48, 42),
    (150, 146, 142),
)
_EYES = ((92, 60, 36), (74, 104, 126), (88, 96, 58), (64, 42, 28), (110, 124, 130), (58, 84, 70))
_WALLS = (
    (198, 206, 212),
    (214, 206, 196),
    (196, 208, 200),
    (206, 200, 212),
    (186, 196, 208),
    (216, 212, 204),
)
_SHIRTS = ((52, 58, 70), (88, 50, 54), (44, 72, 68), (70, 62, 88), (92, 84, 70), (38, 42, 46))
_CUTS = {
    "male": ("short", "sweep", "curls", "crew", "receding", "sweep"),
    "female": ("bob", "long", "bun", "fringe", "cloud", "waves"),
}
_BEARDS = ("none", "stubble", "full", "none", "moustache", "stubble")


@dataclass(frozen=True)
class Person:
    """One synthetic actor; colours are RGB, 0 to 255.

    Attributes
    ----------
    light
        Direction of the key light: degrees to the right of the camera, degrees above it.
    brow
        Thickness of the brows in face units.
    pitch_hz
        Mean fundamental frequency of neutral speech in Hz.
    tract
        Factor on the formant frequencies (a shorter vocal tract has higher formants).
    tempo
        Factor on the speaking rate.
    style
        Factor on the strength of expressions.
    """

    actor: int
    sex: str
    shape: Shape
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    eyes: tuple[int, int, int]
    lips: tuple[int, int, int]
    cut: str
    beard: str
    brow: float
    light: tuple[float, float]
    wall: tuple[int, int, int]
    shirt: tuple[int, int, int]
    pitch_hz: float
    tract: float
    tempo: float
    style: float


def person(actor: int, seed: int = 0) -> Person:
    """Return the actor with this number; odd numbers are men, even ones women, as in RAVDESS.

    Neighbouring actors differ in skin, hair and room, because the palettes are dealt like cards
    rather than drawn independently.
    """
    if actor < 1:
        raise ValueError(f"actor {actor}: actors are numbered from 1")
    rng = np.random.default_rng([seed, actor, 1])
    deal = np.random.default_rng([seed, 2])
    male = actor % 2 == 1

    def dealt(cards):
        return cards[deal.permutation(len(cards))[(actor - 1) % len(cards)]]

    def dealt_within_sex(cards):
        return cards[deal.permutation(len(cards))[(actor - 1) // 2 % len(cards)]]

    skin, hair, eyes, wall, shirt = map(dealt, (_SKINS, _HAIR, _EYES, _WALLS, _SHIRTS))
    cuts = {sex: dealt_within_sex(cards) for sex, cards in _CUTS.items()}
    beard = dealt_within_sex(_BEARDS)
    dark = np.mean(skin) < 150
    if dark and np.mean(hair) > 80:
        hair = _HAIR[2]
    skin = np.clip(np.array(skin) + rng.normal(0, 4), 20, 250)
    lips = skin * (0.84, 0.62, 0.60) if male else skin * (0.84, 0.52, 0.53)

    def around(mean, sd):
        return float(np.clip(rng.normal(mean, sd), mean - 1.8 * sd, mean + 1.8 * sd))

    shape = Shape(
        width=around(1.0 if male else 0.965, 0.03),
        jaw=around(0.035 if male else -0.035, 0.025),
        chin=around(0.02 if male else -0.03, 0.03),
        eye_size=around(0.96 if male else 1.06, 0.03),
        eye_tilt=around(0.02 if male else 0.06, 0.035),
        brow_height=around(-0.02 if male else 0.035, 0.02),
        brow_arch=around(-0.005 if male else 0.025, 0.015),
        nose_length=around(1.0, 0.035),
        nose_width=around(1.02 if male else 0.92, 0.06),
        mouth_width=around(1.02 if male else 0.96, 0.05),
        lips=around(0.92 if male else 1.12, 0.10) * (1.12 if dark else 1.0),
        mouth_height=around(0.0, 0.015),
    )
    return Person(
        actor=actor,
        sex="male" if male else "female",
        shape=shape,
        skin=tuple(int(v) for v in skin),
        hair=hair,
        eyes=eyes,
        lips=tuple(int(v) for v in lips),
        cut=cuts["male" if male else "female"],
        beard=beard if male else "none",
        brow=around(0.105 if male else 0.075, 0.012),
        light=(float(rng.choice([-1, 1]) * rng.uniform(12, 30)), float(rng.uniform(22, 36))),
        wall=wall,
        shirt=shirt,
        pitch_hz=around(118 if male else 205, 14 if male else 18),
        tract=around(1.0 if male else 1.16, 0.03),
        tempo=around(1.0, 0.05),
        style=around(1.0, 0.06),
    )
