"""The errors this package raises on purpose, all under one base class.

Each is also the builtin a caller would expect (``ValueError``, ``OSError`` ...), and each
message says what is wrong *and* how to mend it, because the command line and the dock widgets
show it as it is.
"""


class GlandMTLError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInputError(GlandMTLError, ValueError):
    """A value, option, array or table that cannot be used as it is."""


class MissingPixelSizeError(InvalidInputError):
    """An image whose um/px is unknown or implausible and was not given by the user."""


class UnreadableImageError(GlandMTLError, OSError):
    """A file that is no image, or one that is damaged or of an unsupported kind."""


class UnsupportedImageError(UnreadableImageError):
    """A sound image of a kind that cannot be segmented (a stack, fluorescence, real numbers)."""


class DatasetError(GlandMTLError, ValueError):
    """A training or evaluation data set that is empty, inconsistent or mislabelled."""


class ModelNotFoundError(GlandMTLError, FileNotFoundError):
    """No bundled model, file or run folder of that name."""


class CheckpointError(GlandMTLError, ValueError):
    """A file that is not one of this package's safetensors checkpoints."""


class OutputExistsError(GlandMTLError, FileExistsError):
    """The output is there already and would have been overwritten."""


class OutputNotWritableError(GlandMTLError, OSError):
    """The output folder cannot be written to (permissions, full disk)."""


class AnnotationConflictError(GlandMTLError, RuntimeError):
    """An annotated area that somebody else has saved, or removed, since it was read."""


class NonFiniteLossError(GlandMTLError, ArithmeticError):
    """Training produced a loss that is NaN or infinite; the last good state was kept."""


class DeviceNotAvailableError(GlandMTLError, RuntimeError):
    """The requested device (``cuda``, ``mps``) does not exist on this machine."""


class ClusterError(GlandMTLError, ConnectionError):
    """A cluster that cannot be reached, has no fit workers, or went away."""


class MissingExtraError(GlandMTLError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class ProcessLostError(GlandMTLError, RuntimeError):
    """A process that was working on a job ended before its time; what was saved is kept."""
