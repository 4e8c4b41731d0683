"""The book: notebooks executed, pages laid out and checked, tables and exercises."""
