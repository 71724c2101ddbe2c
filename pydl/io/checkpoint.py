"""Checkpoints: everything that a training run needs to go on as if it had never stopped, in one safetensors file.

The tensors stand in it under names like `model.0.weight` and `optimizer.state.0.exp_avg`; all else is JSON in the metadata,
under `pydl.checkpoint`.
"""

import copy
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydl.io.files import read_tensors, write_tensors
from pydl.io.models import HasState, check_version, format_metadata
from pydl.io.plain import Writer, read_plain, text_of
from pydl.io.replace import Path
from pydl.random import Generator, default_generator

CONTENT = "pydl.checkpoint"
DEFAULT = "default"
Parts = HasState | Mapping[str, HasState] | None
Generators = Generator | Mapping[str, Generator] | None


class Checkpoint(NamedTuple):
    """What load_checkpoint returns: step and extra as they were given to save_checkpoint, and the file's metadata."""

    step: int | None
    extra: Any
    metadata: dict[str, str]


def save_checkpoint(
    path: Path,
    *,
    model: Parts = None,
    optimizer: Parts = None,
    scheduler: Parts = None,
    generator: Generators = None,
    step: int | None = None,
    extra: Any = None,
) -> None:
    """Writes the state of a training run to one safetensors file; whatever fails, the old file stays as it was.

    model, optimizer and scheduler are anything with state_dict and load_state_dict, or a dict of several by name, such as
    the two networks of a GAN. The state of the default generator is always kept; generator: others, such as that of a
    DataLoader. extra: plain data (None, bools, numbers, text, lists, tuples, dicts) and tensors. No pickle: raises TypeError,
    naming the place, for anything else. OSError where the file cannot be written.
    """
    parts = parts_of("save_checkpoint", {"model": model, "optimizer": optimizer, "scheduler": scheduler})
    generators = {DEFAULT: default_generator, **generators_of("save_checkpoint", generator)}
    writer = Writer()
    try:
        text = text_of({
            "step": writer.plain(step, "step"),
            "states": {label: {"class": type(part).__name__, "state": writer.plain(part.state_dict(), label)}
                       for label, part in parts.items()},
            "random": {label: writer.plain(own.get_state(), f"random.{label}") for label, own in generators.items()},
            "extra": writer.plain(extra, "extra"),
        })
    except (TypeError, ValueError) as error:
        raise type(error)(f"save_checkpoint: {error}") from None
    write_tensors("save_checkpoint", writer.tensors, path, {**format_metadata(), CONTENT: text})


def load_checkpoint(
    path: Path,
    *,
    model: Parts = None,
    optimizer: Parts = None,
    scheduler: Parts = None,
    generator: Generators = None,
    random_state: bool = True,
) -> Checkpoint:
    """Puts everything given back into the state that a checkpoint holds: the run goes on bit by bit as it would have.

    What is not asked for is not loaded. random_state=False leaves the default generator alone. Raises ValueError, naming the
    file, where it is damaged, no checkpoint, of a newer pydl, without the state asked for, or of another model, optimizer or
    scheduler; all is as it was then.
    """
    parts = parts_of("load_checkpoint", {"model": model, "optimizer": optimizer, "scheduler": scheduler})
    generators = {DEFAULT: default_generator} if random_state else {}
    generators |= generators_of("load_checkpoint", generator)
    tensors, metadata = read_tensors("load_checkpoint", path, None, False)
    try:
        check_version(metadata)
        if CONTENT not in metadata:
            raise ValueError("not a checkpoint: it holds tensors only; load_model loads weights")
        content = read_plain(metadata[CONTENT], tensors, CONTENT)
        restore(parts, {label: state_of(label, part, content) for label, part in parts.items()},
                generators, {label: section(content, "random", label) for label in generators})
        return Checkpoint(content.get("step"), content.get("extra"), metadata)
    except ValueError as error:
        raise ValueError(f"load_checkpoint: {os.fsdecode(path)}: {error}") from error


def parts_of(caller: str, given: dict[str, Parts]) -> dict[str, HasState]:
    """Label -> what has a state: "model", or "model.<name>" for each of several."""
    found: dict[str, HasState] = {}
    for label, part in given.items():
        named: Mapping[str, Any] = {f"{label}.{name}": own for name, own in part.items()} if isinstance(part, Mapping) else {label: part}
        for name, own in named.items():
            if hasattr(own, "state_dict") and hasattr(own, "load_state_dict"):
                found[name] = own
            elif part is not None:
                raise TypeError(f"{caller}: {name}: expected something with state_dict and load_state_dict, got {type(own).__name__}")
    return found


def generators_of(caller: str, given: Generators) -> dict[str, Generator]:
    named = {f"generator.{name}": own for name, own in given.items()} if isinstance(given, Mapping) else {"generator": given}
    for name, own in named.items():
        if given is not None and not isinstance(own, Generator):
            raise TypeError(f"{caller}: {name}: expected a Generator, got {type(own).__name__}")
    return {name: own for name, own in named.items() if own is not None}


def section(content: Any, kind: str, label: str) -> Any:
    """One entry of "states" or "random"."""
    entries = content.get(kind) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise ValueError(f"{CONTENT}: expected an object with {kind}")
    if label not in entries:
        raise ValueError(f"it has no state of {label}, only of {', '.join(entries) or 'nothing'}")
    return entries[label]


def state_of(label: str, part: HasState, content: Any) -> Any:
    saved = section(content, "states", label)
    if not isinstance(saved, dict) or not isinstance(saved.get("state"), dict):
        raise ValueError(f"{CONTENT}: expected the class and the state of {label}")
    if not is_model(label) and saved.get("class") != type(part).__name__:
        raise ValueError(f"{label} is of class {saved.get('class')} in the checkpoint, but of {type(part).__name__} here")
    return saved["state"]


def is_model(label: str) -> bool:
    return label.split(".")[0] == "model"


def restore(parts: dict[str, HasState], states: dict[str, Any], generators: dict[str, Generator], positions: dict[str, Any]) -> None:
    """Loads all, or raises ValueError and loads nothing. What a load_state_dict refuses, it has not changed.

    Models come first: if one does not fit, its report says more than an optimizer's.
    """
    undo: list[tuple[Callable[[Any], Any], Any]] = []
    label = ""
    try:
        for label, generator in generators.items():
            undo.append((generator.set_state, generator.get_state()))
            generator.set_state(positions[label])
        for label, part in parts.items():
            before = None
            if label != list(parts)[-1]:
                # A module writes into its tensors, an optimizer or schedule takes new ones.
                before = copy.deepcopy(part.state_dict()) if is_model(label) else part.state_dict()
            part.load_state_dict(states[label])
            if before is not None:
                undo.append((part.load_state_dict, before))
    except BaseException as error:
        for put_back, before in reversed(undo):
            put_back(before)
        if isinstance(error, (ValueError, TypeError, LookupError, AttributeError)):
            raise ValueError(f"{label}: {error}") from error
        raise
