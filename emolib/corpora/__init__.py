"""Which recordings exist: one manifest for every corpus."""
