"""Why a sealed object or a key is refused: one class a reason, and never a word of what either holds."""

from workers.errors import Poison, Retryable


class Refused(Poison):
    """Something that claims to be sealed can't be opened. Nothing of it was released."""


class NotSealed(Refused):
    """No sealing header at all: the object was never sealed, or lost its metadata."""


class LegacyFormat(Refused):
    """Formats V1 and V2 of the S3 Encryption Client do not commit to their key."""


class MixedVersions(Refused):
    """Headers of two format versions on one object: an invitation to choose the weaker one."""


class UnknownSuite(Refused):
    """Any algorithm suite but 115."""


class UnknownWrapping(Refused):
    """The data key was wrapped by something else than a key service with an encryption context."""


class MalformedHeader(Refused):
    """A header is missing, too long, of the wrong length, or not written the one way there is to write it."""


class MalformedContext(Refused):
    """An encryption context that can't be stored: not printable US-ASCII, or too long for S3's metadata."""


class WrongContext(Refused):
    """The object is not the one that was asked for: its context names another workspace, day or key."""


class MalformedKey(Refused):
    """A wrapped key that does not have the shape of one."""


class ForeignKey(Refused):
    """A wrapped key of another workspace, day or generation."""


class WrongKey(Refused):
    """A wrapped key that the key above it does not open, under this context."""


class WrongCommitment(Refused):
    """The data key is not the one that the object commits to."""


class Damaged(Refused):
    """The body is truncated, extended or altered: its tag does not verify."""


class TooLarge(Refused):
    """More plaintext than one object may hold."""


class NoSuchKey(Refused):
    """No row of this unit: it was never sealed for, or its row was lost."""


class KeyDisabled(Refused):
    """The unit's key is disabled: nobody reads or writes with it until it is enabled."""


class KeyShredded(Refused):
    """The unit's key is gone for good, and so is what it sealed."""


class KeyExpired(Retryable):
    """A cached key that was not validated within its life: ask the keystore for it again."""
