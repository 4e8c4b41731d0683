"""The five papers: what each declares, and the engine that turns a declaration into a result."""
