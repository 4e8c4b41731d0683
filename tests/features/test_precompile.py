"""What a student would try with librosa must not end the process: in a notebook, a dead kernel."""

import subprocess
import sys

import pytest

from emolib.features import precompile


@pytest.mark.parametrize("call", precompile.CALLS.values(), ids=precompile.CALLS)
def test_it_returns_instead_of_ending_the_process(call):
    code = f"from emolib.features import precompile; precompile.run([{call!r}]); print('returned')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "returned"), done.stderr[-500:]
