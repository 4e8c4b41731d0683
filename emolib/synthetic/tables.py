"""The numbers behind faces and voices, kept apart from the code that draws and speaks with them."""

from pathlib import Path

import yaml


def table(name: str) -> dict:
    """Read ``<name>.yml`` of this package, lists as tuples, so that nothing changes them."""
    return _fixed(yaml.safe_load(Path(__file__).with_name(f"{name}.yml").read_text("utf-8")))


def _fixed(value):
    if isinstance(value, dict):
        return {key: _fixed(one) for key, one in value.items()}
    return tuple(map(_fixed, value)) if isinstance(value, list) else value
