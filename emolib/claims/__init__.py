"""Every number that the papers print, and what was found about it: the ledger of claims."""

from emolib.claims.bench import Bench
from emolib.claims.leaks import LEAKS
from emolib.claims.ledger import evaluate, facts, findings, judge, recount, summary, table, tally
from emolib.claims.schema import Claim, Finding, Ledger, ledger_of, load, read, reforms
from emolib.claims.verdicts import VERDICTS, ClaimError, Outcome, Verdict

__all__ = ["LEAKS", "VERDICTS", "Bench", "Claim", "ClaimError", "Finding", "Ledger", "Outcome"]
__all__ += ["Verdict", "evaluate", "facts", "findings", "judge", "ledger_of", "load", "read"]
__all__ += ["recount", "reforms", "summary", "table", "tally"]
