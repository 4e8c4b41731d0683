"""The one error of the package."""


class EmolibError(Exception):
    """An error whose message names the cause and the remedy.

    All errors that a user can cause derive from it, so the command line and a caller catch one
    class; anything else that is raised is a bug.
    """
