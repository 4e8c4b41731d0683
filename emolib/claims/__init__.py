"""The ledger: every number the papers print, and what was found about it."""
