"""Five papers on lightweight multimodal emotion recognition, rebuilt and put to the test.

Importing the package is light: no download, no font, no GPU. Data walks one way:
``corpora`` (which recordings exist) → ``features`` (media to arrays) → ``models`` →
``training`` → ``evaluation``, ``explain``, ``devices`` → ``results`` and ``claims`` → ``book``.
"""

__version__ = "0.1.0"
