"""Ask a whole file, with nothing but onnxruntime and NumPy.

What the file takes and what its answers are called is in its metadata, so that this module is
short enough to be copied to a board, or written again in another language.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emolib.errors import EmolibError

#: The shortest sound that is judged, in seconds.
SHORTEST_S = 0.5


class AnswerError(EmolibError, ValueError):
    """A file that cannot be asked, or something that it cannot be asked; the message says why."""


class WholeFile:
    """A network with its front end in one ONNX file, as `emolib export KEY --whole` writes it.

    Parameters
    ----------
    path
        The file.
    threads
        Of onnxruntime.

    Raises
    ------
    AnswerError
        If it is missing, damaged, or has no front end.
    """

    def __init__(self, path: str | Path, threads: int = 1):
        self.path = Path(path)
        if not self.path.is_file():
            raise AnswerError(f"{path} does not exist: write it with `emolib export KEY --whole`")
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = str(error).splitlines()[0][:150]
            raise AnswerError(f"{path} is not an ONNX file that can be run: {reason}") from error
        self.told: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if "classes" not in self.told:
            raise AnswerError(
                f"{path} holds a network without its front end: write it with "
                "`emolib export KEY --whole`"
            )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the answers, in order."""
        return tuple(json.loads(self.told["classes"]))

    @cached_property
    def card(self) -> dict[str, Any]:
        """What the network was trained and tested on."""
        return json.loads(self.told["card"])

    @property
    def takes(self) -> str:
        """What it is asked: "waveform" or "picture"."""
        return self.told["input"]

    @property
    def rate(self) -> int:
        """Samples a second of its waveform; 0 where it takes pictures."""
        return int(self.told.get("rate") or 0)

    def of_sound(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the probabilities (C,) of mono sound, float (n,) in [-1, 1].

        Raises
        ------
        AnswerError
            If the rate is not `rate`, or the sound is too short or not finite.
        """
        self._expect("waveform", "sound")
        if rate != self.rate:
            raise AnswerError(
                f"{self.path} takes {self.rate} samples a second, not {rate}: resample the sound, "
                "or export the network with another --rate"
            )
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1 or len(samples) < SHORTEST_S * rate:
            raise AnswerError(
                f"sound of shape {samples.shape}: give one channel of at least {SHORTEST_S} s, "
                f"({int(SHORTEST_S * rate)},) samples"
            )
        if not np.isfinite(samples).all():
            raise AnswerError("some samples are not finite numbers: repair the recording")
        return self._ask(samples[None])[0]

    def of_picture(self, picture: np.ndarray) -> np.ndarray:
        """Return the probabilities (C,) of a face cut out of a picture.

        Parameters
        ----------
        picture
            uint8, (H, W) grey or (H, W, 3) RGB; of one that is not square the middle counts.

        Raises
        ------
        AnswerError
            If it has no pixels, or not such.
        """
        self._expect("picture", "pictures")
        picture = np.asarray(picture)
        grey = picture[..., None] if picture.ndim == 2 else picture
        if grey.dtype != np.uint8 or grey.ndim != 3 or grey.shape[2] not in (1, 3):
            raise AnswerError(
                f"a picture of {picture.dtype} {picture.shape}: give uint8 (height, width) or "
                "(height, width, 3)"
            )
        if 0 in grey.shape:
            raise AnswerError(f"an empty picture, {picture.shape}: give one with pixels")
        return self._ask(np.ascontiguousarray(grey)[None])[0]

    def named(self, probabilities: np.ndarray) -> dict[str, float]:
        """Return emotion → probability, the likeliest first."""
        order = np.argsort(-probabilities)
        return {self.classes[i]: float(probabilities[i]) for i in order}

    def _expect(self, takes: str, given: str) -> None:
        if self.takes != takes:
            raise AnswerError(f"{self.path} takes a {self.takes}, not {given}: give another file")

    def _ask(self, batch: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self.takes: batch})[0]
