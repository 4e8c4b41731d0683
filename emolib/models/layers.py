"""What several of the five networks share: input checks and frames seen one by one."""

from collections.abc import Sequence

from torch import Tensor, nn


def expect(name: str, value: Tensor | None, shape: Sequence[int | None], remedy: str) -> Tensor:
    """Return `value` if it is there and has the shape ``(B, *shape)``.

    Parameters
    ----------
    name
        The modality, for the message.
    value
        The tensor that ``forward`` was given, or None.
    shape
        Sizes behind the batch axis; None stands for any size.
    remedy
        What to do when the modality is missing.

    Raises
    ------
    ValueError
        If `value` is None or has another shape; the message says what was expected.
    """
    if value is None:
        raise ValueError(f"{name}= is missing: {remedy}")
    sizes = tuple(value.shape[1:])
    fits = len(sizes) == len(shape) and all(
        want is None or size == want for size, want in zip(sizes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(["B", *("any" if want is None else str(want) for want in shape)])
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected ({wanted})")
    return value


def per_frame(network: nn.Module, video: Tensor) -> Tensor:
    """Apply `network` to each frame alone: ``(B, F, …)`` → ``(B, F, …)``.

    Frames become a longer batch, so that one call sees them all and, in training, batch
    normalisation takes its statistics over all frames of all clips.
    """
    batch, frames = video.shape[:2]
    features = network(video.flatten(0, 1))  # (B·F, …)
    return features.unflatten(0, (batch, frames))  # (B, F, …)
