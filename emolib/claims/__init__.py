"""Every number that the papers print, and what was found about it: the ledger of claims."""

from emolib.claims.bench import Bench
from emolib.claims.ledger import evaluate, judge, recount, summary, table, tally
from emolib.claims.schema import Claim, Ledger, load, read
from emolib.claims.sealing import seal
from emolib.claims.verdicts import VERDICTS, ClaimError, Outcome, Verdict

__all__ = ["VERDICTS", "Bench", "Claim", "ClaimError", "Ledger", "Outcome", "Verdict"]
__all__ += ["evaluate", "judge", "load", "read", "recount", "seal", "summary"]
__all__ += ["table", "tally"]
