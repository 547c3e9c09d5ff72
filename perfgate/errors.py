"""The one exception for what a user can mend."""


class UserError(Exception):
    """Something a user gave cannot be used.

    The message is one sentence that names the file or key and the remedy; it is printed without a traceback.
    """
