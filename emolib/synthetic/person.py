"""Who the synthetic actors are: shape of the face, skin, hair, light and room, from a seed."""

from dataclasses import dataclass

import numpy as np

from emolib.synthetic.geometry import Shape
from emolib.synthetic.tables import table

_TABLE = table("person")


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
    sex = ("female", "male")[actor % 2]

    def dealt(cards, number):
        return cards[deal.permutation(len(cards))[number % len(cards)]]

    def around(spread):
        mean, sd = spread[sex]
        return float(np.clip(rng.normal(mean, sd), mean - 1.8 * sd, mean + 1.8 * sd))

    colours = {part: dealt(cards, actor - 1) for part, cards in _TABLE["palettes"].items()}
    cuts = {who: dealt(cards, (actor - 1) // 2) for who, cards in _TABLE["cuts"].items()}
    beard = dealt(_TABLE["beards"], (actor - 1) // 2)
    dark = np.mean(colours["skin"]) < 150
    if dark and np.mean(colours["hair"]) > 80:
        colours["hair"] = _TABLE["palettes"]["hair"][2]
    skin = np.clip(np.array(colours["skin"]) + rng.normal(0, 4), 20, 250)
    colours["skin"] = tuple(int(v) for v in skin)
    colours["lips"] = tuple(int(v) for v in skin * _TABLE["lips"][sex])
    shape = {name: around(spread) for name, spread in _TABLE["shape"].items()}
    shape["lips"] *= 1.12 if dark else 1.0
    return Person(
        actor=actor,
        sex=sex,
        shape=Shape(**shape),
        **colours,
        cut=cuts[sex],
        beard=beard if sex == "male" else "none",
        brow=around(_TABLE["brow"]),
        light=(float(rng.choice([-1, 1]) * rng.uniform(12, 30)), float(rng.uniform(22, 36))),
        **{name: around(spread) for name, spread in _TABLE["voice"].items()},
    )
