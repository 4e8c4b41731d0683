"""What a batch goes through in training, drawn anew for every sample.

A change takes the values of one input and a generator, and returns the changed values. It draws
on the generator's device and works on that of the values, so a run can be repeated anywhere.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Change = Callable[[Tensor, torch.Generator], Tensor]


def augmenter(changes: Sequence[tuple[str, Change]]) -> Callable | None:
    """Return an ``augment`` for `training.fit` that applies changes in order, or None for none.

    Parameters
    ----------
    changes
        (input, change): ``change(values, generator)`` returns the changed values of that input;
        a batch without the input is left as it is.
    """
    if not changes:
        return None

    def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        changed = dict(inputs)
        for name, change in changes:
            if name in changed:
                changed[name] = change(changed[name], generator)
        return changed

    return augment


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw n numbers from low to high."""
    drawn = torch.rand(n, generator=generator, device=generator.device)
    return low + (high - low) * drawn


# --- versions of a clip that were made before the features were taken -----------------------


def one_version(values: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw one version of each sample in training, and take the original outside of it.

    Parameters
    ----------
    values
        Shape (B, versions, …), the original first.
    generator
        None outside training.

    Returns
    -------
    Tensor
        Shape (B, …).
    """
    n, count = values.shape[:2]
    if generator is None or count == 1:
        return values[:, 0]
    which = torch.randint(count, (n,), generator=generator, device=generator.device)
    return values[torch.arange(n, device=values.device), which.to(values.device)]


def drawn(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Draw a version of each voice, (B, 1, n_mels, T), and scale grey values to [-1, 1]."""
    ready = dict(inputs)
    if "audio" in ready:
        ready["audio"] = one_version(ready["audio"], generator)[:, None]
    if "video" in ready:
        ready["video"] = faces_to_input(ready["video"])
    return ready


# --- faces ----------------------------------------------------------------------------------


def faces_to_input(pixels: Tensor) -> Tensor:
    """Scale grey values 0…255 to [-1, 1] (Mostafa, Section III-A)."""
    return pixels.float() / 127.5 - 1


def warp(images: Tensor, *matrix: Tensor) -> Tensor:
    """Take every pixel of (B, C, H, W) from elsewhere; beyond the edge lies the edge.

    Parameters
    ----------
    matrix
        The six numbers of an affine map from new to old places, row by row, each (B,): places
        run from -1 to 1, so a shift of 1 is half a side.
    """
    n, _, height, width = images.shape
    maps = torch.stack(matrix, 1).view(n, 2, 3).to(images)
    grid = F.affine_grid(maps, [n, 1, height, width], align_corners=False)  # (B, H, W, 2)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def mirror(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the samples (B, …, W), each with all its frames: the emotion is the same."""
    turned = (uniform(len(faces), 0, 1, generator) < 0.5).to(faces.device)
    return torch.where(turned.view(-1, *[1] * (faces.ndim - 1)), faces.flip(-1), faces)


def move(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to 8 %, turn by up to 12°, scale by up to 12 %: each face its own way."""
    n = len(faces)
    angle = uniform(n, -12, 12, generator).deg2rad()
    scale = uniform(n, 0.88, 1.12, generator)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    dx, dy = (uniform(n, -0.16, 0.16, generator) for _ in "xy")  # of half a side
    return warp(faces, cos, -sin, dx, sin, cos, dy)


def cutout(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Blank a square of a third of the side in half of the faces (DeVries & Taylor 2017)."""
    n, side, half = len(faces), faces.shape[-1], faces.shape[-1] // 6
    row, column = (uniform(n, 0, side, generator)[:, None] for _ in "rc")
    at = torch.arange(side, device=faces.device)
    hidden = ((at - row).abs() < half)[:, :, None] & ((at - column).abs() < half)[:, None, :]
    hit = uniform(n, 0, 1, generator) < 0.5
    return faces.masked_fill((hidden & hit[:, None, None])[:, None], 0.0)


# --- spectrograms (B, 1, n_mels, T) ---------------------------------------------------------


def mask(spectrograms: Tensor, generator: torch.Generator, *, bands: int, frames: int) -> Tensor:
    """Blank up to so many bands and frames of each (SpecAugment, Park et al. 2019)."""
    n, device = len(spectrograms), generator.device
    for axis, widest in ((2, bands), (3, frames)):
        size = spectrograms.shape[axis]
        start, width = (
            torch.randint(most, (n, 1), generator=generator, device=device)
            for most in (size, widest + 1)
        )
        at = torch.arange(size, device=device)
        hidden = (at >= start) & (at < start + width)  # (B, size)
        shape = (n, 1, size, 1) if axis == 2 else (n, 1, 1, size)
        spectrograms = spectrograms.masked_fill(hidden.view(shape), 0.0)
    return spectrograms


def stretch_and_shift(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Stretch time by 0.8 to 1.25, move bands by up to 4 of 64 and time by up to a fifth.

    Mostafa's time stretch and pitch shift, done on the spectrogram.
    """
    n = len(spectrograms)
    stretch = uniform(n, -0.223, 0.223, generator).exp()
    later, higher = uniform(n, -0.4, 0.4, generator), uniform(n, -0.125, 0.125, generator)
    zeros, ones = torch.zeros_like(stretch), torch.ones_like(stretch)
    return warp(spectrograms, stretch, zeros, later, zeros, ones, higher)


def displace(
    spectrograms: Tensor,
    generator: torch.Generator,
    *,
    frames: int = 4,
    bands: int = 1,
    stretch: float = 0.1,
) -> Tensor:
    """Take each of (B, 1, n_mels, T) from elsewhere: no value is made up.

    Time is stretched about its end, where the words are, and moved by up to `frames`; mel bands
    move by up to `bands`, as if the speaker's mouth were a little larger or smaller. What comes
    from beyond an edge is the edge.
    """
    n, _, n_mels, steps = spectrograms.shape
    device = generator.device
    by, up = (
        torch.randint(-most, most + 1, (n, 1), generator=generator, device=device)
        for most in (frames, bands)
    )
    rate = 1 + stretch * (2 * torch.rand(n, 1, generator=generator, device=device) - 1)
    before_end = torch.arange(steps - 1, -1, -1, device=device)  # (T,)
    at = (steps - 1 - before_end * rate).round().long() - by  # (B, T)
    moved = spectrograms.gather(3, at.clamp(0, steps - 1)[:, None, None].expand_as(spectrograms))
    band = (torch.arange(n_mels, device=device) - up).clamp(0, n_mels - 1)  # (B, n_mels)
    return moved.gather(2, band[:, None, :, None].expand_as(moved))
