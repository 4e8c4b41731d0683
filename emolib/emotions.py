"""The one vocabulary of emotions: RAVDESS' order, and contempt for MEAD and CK+."""

EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
    "contempt",
)
