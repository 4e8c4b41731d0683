"""Benchmarks run only when asked for: ``pytest -m benchmark`` or ``emolib bench``."""

import pytest


def pytest_collection_modifyitems(config, items):
    """Skip benchmarks in an ordinary run: their numbers mean nothing on a busy machine."""
    if "benchmark" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="a benchmark: run it with `pytest -m benchmark -s`")
    for item in items:
        if item.get_closest_marker("benchmark"):
            item.add_marker(skip)
