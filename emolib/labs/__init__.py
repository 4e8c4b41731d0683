"""Questions that several runs answer together: leaks, fusion, people, grids."""
