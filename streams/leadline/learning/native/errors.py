"""What is wrong with a file for native code."""


class NativeError(Exception):
    """The file is not sound, or of a kind that is not served; the message goes on from the name of the file."""
