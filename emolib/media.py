"""What of a recording a network can be given, and which of it goes together."""

#: Name of an input → how a person calls it.
MEDIA = {"audio": "voices", "video": "faces", "text": "words"}

#: Modality → the inputs of a network that was built for it, in this order.
MODALITIES = {
    "audio": ("audio",),
    "video": ("video",),
    "text": ("text",),
    "both": ("audio", "video"),
    "audio and text": ("audio", "text"),
    "video and text": ("video", "text"),
    "all": ("audio", "video", "text"),
}
