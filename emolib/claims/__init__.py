"""Every number that the papers print, and what was found about it: the ledger of claims."""

from emolib.claims.bench import Bench
from emolib.claims.leaks import LEAKS
from emolib.claims.ledger import evaluate, facts, findings, judge, recount, summary, table, tally
from emolib.claims.schema import Claim, Finding, Ledger, ledger_of, load, read, reforms
from emolib.claims.sealing import seal
from emolib.claims.verdicts import (
    DEFINITIONS,
    ENOUGH,
    VERDICTS,
    ClaimError,
    Measurement,
    Outcome,
    Verdict,
)

__all__ = ["DEFINITIONS", "ENOUGH", "LEAKS", "VERDICTS", "Bench", "Claim", "ClaimError", "Finding"]
__all__ += ["Ledger", "Measurement", "Outcome", "Verdict", "evaluate", "facts", "findings", "judge"]
__all__ += ["ledger_of", "load", "read", "recount", "reforms", "seal", "summary", "table", "tally"]
