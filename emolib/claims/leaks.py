"""The eight ways in which a test can leak, after Kapoor and Narayanan (2023).

A claim that was measured under a leak names its type in `Claim.leak`. The taxonomy is that of
"Leakage and the reproducibility crisis in machine-learning-based science", Patterns 4(9).
"""

from typing import Literal, get_args

Leak = Literal["L1.1", "L1.2", "L1.3", "L1.4", "L2", "L3.1", "L3.2", "L3.3"]

#: What each type is called.
LEAKS: dict[Leak, str] = {
    "L1.1": "no test set: the model was chosen on what it is reported on",
    "L1.2": "preprocessing looked at training and test set together",
    "L1.3": "features were selected on training and test set together",
    "L1.4": "duplicates lie on both sides",
    "L2": "a feature is not legitimate: it stands in for the answer",
    "L3.1": "temporal leakage: the training set holds what came after the test",
    "L3.2": "training and test samples depend on each other: one person or clip is on both sides",
    "L3.3": "sampling bias: the test set is not drawn from the people the claim is about",
}
assert tuple(LEAKS) == get_args(Leak)
