"""Compile librosa's pitch, onset and beat functions once, in one process.

librosa keeps what numba compiles beside its own files. Two processes that compile the same
function at the same time can leave files there that do not fit together, and every later call
ends the process with a segmentation fault (librosa issue 1998, numba issue 10128): in a notebook,
a dead kernel. ``make env`` therefore runs ``python -m emolib.features.precompile`` before anything
can run in parallel.
"""

from collections.abc import Iterable

#: What a student would try, on `sound` at `rate`; all of it is compiled on its first call.
CALLS = {
    "tuning": "librosa.estimate_tuning(y=sound, sr=rate)",
    "pitch by parabola": "librosa.piptrack(y=sound, sr=rate)",
    "pitch by yin": "librosa.yin(sound, fmin=60, fmax=400, sr=rate)",
    "pitch by pyin": "librosa.pyin(sound, fmin=60, fmax=400, sr=rate)",
    "chroma": "librosa.feature.chroma_stft(y=sound, sr=rate)",
    "beat": "librosa.beat.beat_track(y=sound, sr=rate)",
    "onsets": "librosa.onset.onset_detect(y=sound, sr=rate)",
    "pitch shift": "librosa.effects.pitch_shift(sound, sr=rate, n_steps=2)",
}


def run(calls: Iterable[str] = ()) -> None:
    """Make each call (by default all) on a rising tone of a second."""
    import librosa

    rate = 22_050
    calls = tuple(calls) or tuple(CALLS.values())
    for dtype in ("float32", "float64"):
        sound = librosa.chirp(fmin=110, fmax=880, sr=rate, duration=1).astype(dtype)
        for call in calls:
            eval(call, {"librosa": librosa, "sound": sound, "rate": rate})


if __name__ == "__main__":
    run()
