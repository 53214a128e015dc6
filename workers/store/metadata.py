"""What user metadata may hold so that every backend keeps it as it is: S3 carries it in HTTP headers."""

import re
from collections.abc import Mapping

LIMIT = 2048  # bytes, names and values (S3 user guide, "Working with object metadata")

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2, in lower case
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")  # printable ASCII, no space at its ends


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raises ValueError for what would be refused, changed on the way, or read as another header."""
    size = 0
    for name, value in metadata.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"metadata name {name!r} is no lower-case HTTP token")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"metadata {name!r} is not printable ASCII")
        size += len(name) + len(value)
    if size > LIMIT:
        raise ValueError(f"metadata of {size} bytes is more than S3's {LIMIT}")
