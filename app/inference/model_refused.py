"""Why a published version of a model is not served."""

from clips.errors import CommandError


class ModelRefused(CommandError):
    """It breaks a rule of the repository, of its graph or of its manifest, or does not run here.

    The message is for the log and the command line. ``cause`` may be told to a client: it names no path outside of the
    version's folder.
    """

    def __init__(self, title: str, cause: str, more: str | None = None) -> None:
        self.cause = cause
        super().__init__(f"{title}: {cause}" + (f": {more}" if more else ""))


class NotPublished(ModelRefused):
    """The repository holds no such version."""
