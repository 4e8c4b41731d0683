"""The one training loop: a recipe, tensors on the device, Lightning Fabric around them.

The five papers train small models on a few thousand samples. Such a data set fits into
memory, so it stays there as tensors and is indexed batch by batch: no worker processes, no
per-item Python. `fit` is the loop that every chapter uses; what differs between the papers
is data in a `TrainingRecipe`.

Three promises, each tested: the same seed on the same machine (and the same number of
threads) gives the same weights bit for bit; a run that was killed and started again ends
with the weights it would have had; the test rows are never seen here.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from emolib import paths
from emolib.errors import EmolibError

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Inputs = dict[str, Tensor]
# prepare(inputs, generator or None) and augment(inputs, generator), both -> inputs
Prepare = Callable[[Inputs, torch.Generator | None], Inputs]
Augment = Callable[[Inputs, torch.Generator], Inputs]

# A checkpoint may be older than the last epoch: replaying those epochs gives the same
# weights, so writing one after every 50 ms epoch would buy nothing.
CHECKPOINT_EVERY_SECONDS = 5.0


class TrainingError(EmolibError, RuntimeError):
    """Training cannot start or go on; the message says why and what to do."""


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the message says how to go on."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How a model is trained; two recipes with the same `digest` train alike.

    Attributes
    ----------
    optimizer
        "adam", "adamw" or "sgd" (Nesterov momentum 0.9).
    lr, betas, eps, weight_decay
        The optimiser's own settings.
    batch_size
        Samples in one step. A last batch of one sample joins the batch before it, because
        batch normalisation cannot work on a single value per channel.
    max_epochs
        Upper limit of passes over the training rows.
    scheduler, scheduler_options
        None, "cosine" (per epoch, to zero at `max_epochs`), "plateau" (on the validation
        loss) or "onecycle" (per step); options as pairs, e.g. ``(("patience", 5),)``.
    clip_norm
        Largest global L2 norm of the gradient.
    patience, min_delta, monitor, restore_best
        Early stopping: an epoch is better when `monitor` on the validation rows ("loss",
        "accuracy" or "uar") improves by more than `min_delta`; after `patience` epochs that
        are not, training ends. The weights of the best epoch are restored.
    label_smoothing, class_weights, mixup
        Loss: smoothing in [0, 1); weights inverse to the class counts of the training rows;
        mixup with Beta(`mixup`, `mixup`) when positive. The validation loss is always the
        plain cross-entropy.
    precision
        Fabric's name for it: "32-true", "bf16-mixed", "16-mixed".
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    batch_size: int = 128
    max_epochs: int = 200
    scheduler: Literal["cosine", "plateau", "onecycle"] | None = None
    scheduler_options: tuple[tuple[str, float], ...] = ()
    clip_norm: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    monitor: Literal["loss", "accuracy", "uar"] = "loss"
    restore_best: bool = True
    label_smoothing: float = 0.0
    class_weights: bool = False
    mixup: float = 0.0
    precision: str = "32-true"

    def __post_init__(self) -> None:
        """Reject names that no table below knows."""
        for value, known in (
            (self.optimizer, OPTIMIZERS),
            (self.scheduler, (None, *SCHEDULERS)),
            (self.monitor, ("loss", "accuracy", "uar")),
        ):
            if value not in known:
                names = ", ".join(map(str, known))
                raise TrainingError(f"the recipe says {value!r}: known are {names}")
        if self.batch_size < 1 or self.max_epochs < 1:
            raise TrainingError("batch_size and max_epochs must be at least 1")

    def digest(self) -> str:
        """Return 16 hexadecimal digits that name this recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def quick(self, max_epochs: int = 3) -> "TrainingRecipe":
        """Return the same recipe with at most `max_epochs` epochs, to check machinery with."""
        return replace(self, max_epochs=min(self.max_epochs, max_epochs))


@dataclass(frozen=True)
class Samples:
    """Input tensors that share their first axis, and one label for each row of it."""

    inputs: Inputs
    labels: Tensor

    def __post_init__(self) -> None:
        """Check that every input has as many rows as there are labels."""
        for name, values in self.inputs.items():
            if len(values) != len(self.labels):
                raise TrainingError(
                    f"input {name!r} has {len(values)} rows but there are {len(self.labels)} "
                    "labels: build both from the same manifest"
                )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Samples":
        """Return the same samples on another device."""
        inputs = {name: values.to(device) for name, values in self.inputs.items()}
        return Samples(inputs, self.labels.to(device))

    def take(self, indices: Tensor | np.ndarray) -> "Samples":
        """Return the rows at `indices`, in that order."""
        rows = torch.as_tensor(indices, dtype=torch.long, device=self.labels.device)
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        return Samples(inputs, self.labels[rows])

    def join(self, other: "Samples") -> "Samples":
        """Return these rows followed by those of `other`."""
        inputs = {
            name: torch.cat([values, other.inputs[name]]) for name, values in self.inputs.items()
        }
        return Samples(inputs, torch.cat([self.labels, other.labels]))


@dataclass(frozen=True)
class Fit:
    """A trained model and how it got there.

    `history` has one row per epoch: ``epoch, train_loss, train_accuracy, valid_loss,
    valid_accuracy, valid_uar, lr, seconds``. `seconds` sums what the epochs took, those
    before an interruption included.
    """

    model: nn.Module
    history: pd.DataFrame
    best_epoch: int
    seconds: float


@dataclass
class _State:
    """Everything that changes during training besides model, optimiser and random states."""

    epoch: int = 0  # epochs done
    history: list[dict] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int = 0
    best_weights: dict | None = None
    waited: int = 0  # epochs since the best one
    finished: bool = False


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global random number generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 -- libraries that draw from the global state
    torch.manual_seed(seed)


@contextmanager
def deterministic() -> Iterator[None]:
    """Use algorithms that give the same bits on every run, and restore the settings after."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill, benchmark = (
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.backends.cudnn.benchmark,
    )
    # A few CUDA kernels have no deterministic form: those warn instead of ending the run.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark


# mallopt's parameters (glibc, malloc.h) with the values to train with and glibc's own ones.
_MALLOPT = {-1: (1 << 30, 128 << 10), -2: (256 << 20, 0), -4: (0, 1 << 16)}  # trim, top pad, mmaps


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the process keep what a step frees, because the next step wants just as much.

    By default glibc gives blocks of megabytes back to the system at once, and each activation
    of each step is mapped and zeroed anew: up to a third of a convolutional step on a CPU (see
    tests/benchmarks). Does nothing where the C library is another one.
    """
    import ctypes
    import platform

    c = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    for parameter, (training, _) in _MALLOPT.items() if c else ():
        c.mallopt(parameter, training)
    try:
        yield
    finally:
        for parameter, (_, default) in _MALLOPT.items() if c else ():
            c.mallopt(parameter, default)
        if c:
            c.malloc_trim(0)


# --- optimiser, scheduler, batches, loss ---------------------------------------------------

OPTIMIZERS: Mapping[str, Callable] = {
    "adam": lambda p, r, fused: torch.optim.Adam(
        p, r.lr, r.betas, r.eps, r.weight_decay, fused=fused
    ),
    "adamw": lambda p, r, fused: torch.optim.AdamW(
        p, r.lr, r.betas, r.eps, r.weight_decay, fused=fused
    ),
    "sgd": lambda p, r, fused: torch.optim.SGD(
        p, r.lr, momentum=0.9, nesterov=True, weight_decay=r.weight_decay, fused=fused
    ),
}
SCHEDULERS: Mapping[str, Callable] = {
    "cosine": lambda o, r, steps: torch.optim.lr_scheduler.CosineAnnealingLR(
        o, **{"T_max": r.max_epochs, **dict(r.scheduler_options)}
    ),
    "plateau": lambda o, r, steps: torch.optim.lr_scheduler.ReduceLROnPlateau(
        o, **dict(r.scheduler_options)
    ),
    "onecycle": lambda o, r, steps: torch.optim.lr_scheduler.OneCycleLR(
        o,
        **{
            "max_lr": r.lr,
            "epochs": r.max_epochs,
            "steps_per_epoch": steps,
            **dict(r.scheduler_options),
        },
    ),
}


def batches(n: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle `n` rows into batches; a last batch of one row joins the one before it."""
    parts = list(torch.randperm(n, generator=generator).split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def balanced_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Return n / (classes · count) for each class, and 0 for a class without samples."""
    counts = torch.bincount(labels, minlength=n_classes).float()
    present = (counts > 0).sum()
    return torch.where(counts > 0, len(labels) / (present * counts.clamp(min=1)), 0.0)


def _mix(inputs: Inputs, labels: Tensor, alpha: float) -> tuple[Inputs, Tensor, float]:
    """Blend every sample with another one of the batch (mixup, Zhang et al. 2018)."""
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(labels)).to(labels.device)
    for name, values in inputs.items():
        if not values.is_floating_point():
            raise TrainingError(
                f"mixup cannot blend {name!r} ({values.dtype}): set mixup=0 in the recipe, or "
                "turn the input into floats in prepare()"
            )
    mixed = {name: share * values + (1 - share) * values[other] for name, values in inputs.items()}
    return mixed, labels[other], share


# --- the loop ------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    train: Samples,
    valid: Samples,
    recipe: TrainingRecipe,
    *,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    augment: Augment | None = None,
    prepare: Prepare | None = None,
    device: str = "auto",
    progress: bool = True,
    fabric: "Fabric | None" = None,
) -> Fit:
    """Train `model` on `train`, stopping and choosing the best epoch on `valid`.

    Parameters
    ----------
    model
        Called with the inputs by name; returns logits (B, n_classes). Trained in place.
    train, valid
        Rows as they are stored (``uint8`` images, say); moved to the device once.
    recipe
        Optimiser, schedule, stopping rule and loss.
    seed
        Seeds dropout, shuffling and augmentation. (Seed the initial weights yourself:
        ``seed_everything(seed)`` before the model is built.)
    checkpoint
        File to keep the whole state in. If it exists, training goes on from there and ends
        with the same weights as an undisturbed run; a finished one returns at once.
    prepare
        ``prepare(inputs, generator)`` turns a stored batch into model inputs; the generator
        is None outside training.
    augment
        ``augment(inputs, generator)`` changes prepared training batches only.
    device
        "auto", "cpu", "cuda" or "mps".
    progress
        Show a bar over epochs.
    fabric
        A launched Fabric of your own, e.g. for several GPUs: each process then takes its share
        of every batch.

    Raises
    ------
    TrainingError
        Empty data, labels outside the model's classes, a loss that is not finite, or a
        checkpoint that belongs to another run.
    TrainingInterrupted
        After Ctrl-C; says how to go on.
    """
    fabric = fabric or _fabric(device, recipe)
    if not len(train) or not len(valid):
        raise TrainingError(
            f"{len(train)} training and {len(valid)} validation rows: both are needed; check "
            "the split against the manifest (problems.csv lists clips that were left out)"
        )
    seed_everything(seed)
    shuffle = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device=fabric.device).manual_seed(seed + 1)
    # Channels-last weights make 2D convolutions 1.7 times as fast on CPUs (see
    # tests/benchmarks); one-dimensional layers are untouched.
    model.to(fabric.device, memory_format=torch.channels_last)
    train, valid = train.to(fabric.device), valid.to(fabric.device)
    n_classes = _check_classes(model, train, valid, prepare)
    weight = balanced_weights(train.labels, n_classes) if recipe.class_weights else None

    fused = fabric.device.type in ("cpu", "cuda") and recipe.precision != "16-mixed"
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), recipe, fused)
    n_batches = len(batches(len(train), recipe.batch_size, torch.Generator()))
    scheduler = (
        SCHEDULERS[recipe.scheduler](optimizer, recipe, n_batches) if recipe.scheduler else None
    )
    wrapped, optimizer = fabric.setup(model, optimizer)

    state = _State()
    keeper = _Keeper(checkpoint, _fingerprint(model, train, valid, recipe, seed))
    keeper.restore(state, model, optimizer, scheduler, (shuffle, noise))
    bar = tqdm(
        total=recipe.max_epochs,
        initial=state.epoch,
        desc=f"training, seed {seed}",
        unit="epoch",
        disable=not progress or fabric.global_rank > 0,
    )
    try:
        with bar, deterministic(), freed_memory_kept():
            while not state.finished:
                started = time.perf_counter()
                measured = _train_epoch(
                    fabric, wrapped, optimizer, scheduler, train, recipe, weight,
                    state.epoch + 1, (shuffle, noise), prepare, augment,
                )  # fmt: skip
                measured |= _validate(wrapped, valid, n_classes, recipe.batch_size, prepare)
                if recipe.scheduler == "plateau":
                    scheduler.step(measured["valid_loss"])
                elif recipe.scheduler == "cosine":
                    scheduler.step()
                measured["lr"] = optimizer.param_groups[0]["lr"]
                measured["seconds"] = time.perf_counter() - started
                _judge(state, measured, model, recipe)
                bar.update()
                bar.set_postfix(
                    train=f"{measured['train_loss']:.3f}",
                    valid=f"{measured['valid_loss']:.3f}",
                    best=state.best_epoch,
                )
                if fabric.global_rank == 0:
                    keeper.keep(state, model, optimizer, scheduler, (shuffle, noise))
    except KeyboardInterrupt:
        raise TrainingInterrupted(
            f"training stopped in epoch {state.epoch + 1}: " + keeper.how_to_resume()
        ) from None
    if recipe.restore_best:
        model.load_state_dict(state.best_weights)
    model.eval()
    history = pd.DataFrame(state.history)
    return Fit(model, history, state.best_epoch, float(history["seconds"].sum()))


def _fabric(device: str, recipe: TrainingRecipe) -> "Fabric":
    """Return a Fabric on one device."""
    from lightning.fabric import Fabric  # seconds to import: only training pays for it

    fabric = Fabric(accelerator=device, devices=1, precision=recipe.precision)
    fabric.launch()
    return fabric


def _check_classes(model: nn.Module, train: Samples, valid: Samples, prepare) -> int:
    """Return the number of classes the model tells apart, and check the labels against it."""
    model.eval()
    first = train.take(range(min(2, len(train))))
    with torch.no_grad():
        n_classes = model(**(prepare(first.inputs, None) if prepare else first.inputs)).shape[-1]
    for part, samples in (("training", train), ("validation", valid)):
        low, high = int(samples.labels.min()), int(samples.labels.max())
        if low < 0 or high >= n_classes:
            raise TrainingError(
                f"{part} labels run from {low} to {high} but the model tells {n_classes} classes "
                f"apart: labels must lie in 0…{n_classes - 1}; build the model with n_classes "
                "of this corpus"
            )
    return n_classes


def _train_epoch(
    fabric, model, optimizer, scheduler, train, recipe, weight, epoch, generators, prepare, augment
) -> dict[str, float]:
    """Pass once over the training rows; return mean loss and accuracy."""
    shuffle, noise = generators
    model.train()
    losses, hits, seen = 0.0, 0, 0
    for number, rows in enumerate(batches(len(train), recipe.batch_size, shuffle), start=1):
        batch = train.take(rows[fabric.global_rank :: fabric.world_size])
        inputs = prepare(batch.inputs, noise) if prepare else batch.inputs
        inputs = augment(inputs, noise) if augment else inputs
        partner, share = batch.labels, 1.0
        if recipe.mixup > 0:
            inputs, partner, share = _mix(inputs, batch.labels, recipe.mixup)
        logits = model(**inputs)
        loss = F.cross_entropy(logits, batch.labels, weight, label_smoothing=recipe.label_smoothing)
        if share < 1:
            mixed = F.cross_entropy(logits, partner, weight, label_smoothing=recipe.label_smoothing)
            loss = share * loss + (1 - share) * mixed
        value = loss.item()
        if not np.isfinite(value):
            raise TrainingError(
                f"the loss is {value} in epoch {epoch}, batch {number}: lower lr (now "
                f"{optimizer.param_groups[0]['lr']:g}), set clip_norm=1.0 in the recipe, and "
                "check the features for values that are not finite"
            )
        optimizer.zero_grad()
        fabric.backward(loss)
        if recipe.clip_norm is not None:
            fabric.clip_gradients(model, optimizer, max_norm=recipe.clip_norm)
        optimizer.step()
        if recipe.scheduler == "onecycle":
            scheduler.step()
        losses += value * len(batch)
        hits += int((logits.argmax(1) == batch.labels).sum())
        seen += len(batch)
    return {"epoch": epoch, "train_loss": losses / seen, "train_accuracy": hits / seen}


def _validate(model, valid: Samples, n_classes: int, batch_size: int, prepare) -> dict[str, float]:
    """Return loss, accuracy and unweighted average recall on the validation rows."""
    logits = _logits(model, valid, batch_size, prepare)
    labels = valid.labels
    hits = logits.argmax(1) == labels
    support = torch.bincount(labels, minlength=n_classes)
    recalled = torch.bincount(labels[hits], minlength=n_classes)
    present = support > 0
    return {
        "valid_loss": F.cross_entropy(logits, labels).item(),
        "valid_accuracy": hits.double().mean().item(),
        "valid_uar": (recalled[present] / support[present]).double().mean().item(),
    }


def _judge(state: _State, measured: dict, model: nn.Module, recipe: TrainingRecipe) -> None:
    """Enter an epoch into the history; keep its weights if best; decide whether to stop."""
    value = measured[f"valid_{recipe.monitor}"]
    score = -value if recipe.monitor == "loss" else value
    state.epoch += 1
    state.history.append(measured)
    if score > state.best_score + recipe.min_delta or state.best_weights is None:
        state.best_score, state.best_epoch, state.waited = score, state.epoch, 0
        state.best_weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
    else:
        state.waited += 1
    tired = recipe.patience is not None and state.waited >= recipe.patience
    state.finished = tired or state.epoch >= recipe.max_epochs


def _logits(model: nn.Module, samples: Samples, batch_size: int, prepare) -> Tensor:
    """Return the logits (N, C) of all rows in order."""
    model.eval()
    parts = []
    with torch.no_grad():
        for rows in torch.arange(len(samples)).split(batch_size):
            batch = samples.take(rows)
            parts.append(model(**(prepare(batch.inputs, None) if prepare else batch.inputs)))
    return torch.cat(parts).float()


def predict(
    model: nn.Module,
    samples: Samples,
    *,
    batch_size: int = 512,
    prepare: Prepare | None = None,
) -> np.ndarray:
    """Return class probabilities (N, C), float32, of all rows in order.

    The rows are moved batch by batch to wherever the model's parameters are.
    """
    if not len(samples):
        raise TrainingError("there are no rows to predict: check the split against the manifest")
    device = next(model.parameters()).device
    logits = _logits(model, samples.to(device), batch_size, prepare)
    return logits.softmax(dim=1).cpu().numpy()


# --- checkpoints ---------------------------------------------------------------------------


def _fingerprint(model, train: Samples, valid: Samples, recipe: TrainingRecipe, seed: int) -> str:
    """Return a hash of what a checkpoint must share with the run that wants to go on from it."""
    parts = [type(model).__name__, recipe.digest(), str(seed)]
    parts += [f"{name}{tuple(value.shape)}" for name, value in model.state_dict().items()]
    for samples in (train, valid):
        parts.append(hashlib.sha256(samples.labels.cpu().numpy().tobytes()).hexdigest())
        parts += [f"{name}{tuple(value.shape)}" for name, value in samples.inputs.items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _random_states(generators: tuple[torch.Generator, ...]) -> dict:
    """Return every random state as tensors and plain numbers (loadable with weights_only)."""
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    states = {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "generators": [generator.get_state() for generator in generators],
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _set_random_states(states: dict, generators: tuple[torch.Generator, ...]) -> None:
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    for generator, saved in zip(generators, states["generators"], strict=True):
        generator.set_state(saved)
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


class _Keeper:
    """Keeps the whole state of a run in one file, or does nothing when there is no file."""

    def __init__(self, path: Path | str | None, fingerprint: str):
        self.path = Path(path) if path else None
        self.fingerprint = fingerprint
        self.kept_at = time.monotonic()

    def keep(self, state: _State, model, optimizer, scheduler, generators) -> None:
        """Write the state if the last one is old or the run has ended."""
        now = time.monotonic()
        if self.path is None or (
            now - self.kept_at < CHECKPOINT_EVERY_SECONDS and not state.finished
        ):
            return
        kept = {
            "fingerprint": self.fingerprint,
            "state": vars(state),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict() if scheduler else None,
            "random": _random_states(generators),
        }
        with paths.atomic(self.path) as temporary:
            torch.save(kept, temporary)
        self.kept_at = time.monotonic()

    def restore(self, state: _State, model, optimizer, scheduler, generators) -> None:
        """Bring back what the file holds, if there is one."""
        if self.path is None or not self.path.exists():
            return
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise TrainingError(
                f"{self.path}: not a readable checkpoint ({type(error).__name__}); delete it to "
                "start over"
            ) from error
        if kept.get("fingerprint") != self.fingerprint:
            raise TrainingError(
                f"{self.path}: this checkpoint belongs to another run (model, recipe, seed or "
                "data differ); delete it, or give another checkpoint path"
            )
        for name, value in kept["state"].items():
            setattr(state, name, value)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        if scheduler:
            scheduler.load_state_dict(kept["scheduler"])
        _set_random_states(kept["random"], generators)

    def how_to_resume(self) -> str:
        """Return a sentence for somebody who has just pressed Ctrl-C."""
        if self.path is None:
            return "nothing was kept; give fit(…, checkpoint=PATH) to be able to go on next time"
        if not self.path.exists():
            return f"{self.path} had not been written yet; call fit again to start over"
        return f"the state is kept in {self.path}; call fit again with the same arguments to go on"
