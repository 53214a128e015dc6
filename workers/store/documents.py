"""S3's XML, pure: pages of listings, what a deletion asks and answers (Amazon S3 API reference, Actions).

expat reads it, and a document that declares a type is refused: no server of S3 sends one, and entities are
declared there alone. Names of keys in listings come percent-encoded where the answer says so: XML has no way
to write some characters.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape

from botocore.utils import parse_timestamp  # type: ignore[import-untyped]  # ships no types

from workers.store.port import Stat, Version

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
SLASH = "%2F"
# a parser takes line ends for one another (XML 1.0, 2.11)
LINE_ENDS = {"\r": "&#13;", "\n": "&#10;"}


class Malformed(Exception):
    """Not what S3 would answer, or not all of it."""


class Refused(Exception):
    """An error in the place of an answer, as S3 sends it behind a 200 that it has begun already."""

    def __init__(self, code: str) -> None:
        self.code = code


class ListPage(NamedTuple):
    found: list[Stat]
    truncated: bool


class VersionPage(NamedTuple):
    """`more`: the parameters that ask for the next page; None where there is none."""

    found: list[Version]
    more: Mapping[str, str] | None


class UploadPage(NamedTuple):
    """`found`: keys and upload ids."""

    found: list[tuple[str, str]]
    more: Mapping[str, str] | None


class _Document:
    """An answer whose outermost element must be `name`."""

    def __init__(self, body: bytes, name: str) -> None:
        if b"<!DOCTYPE" in body or b"\0" in body:  # the latter: nor in UTF-16
            raise Malformed("it declares a document type")
        try:
            root = fromstring(body)  # noqa: S314 # entities are declared in a document type
        except ParseError as error:
            raise Malformed(str(error)) from None
        space, closed, found = root.tag.rpartition("}")
        self._root, self._space = root, space + closed
        if found == "Error":
            raise Refused(self.text("Code"))
        if found != name:
            raise Malformed(f"it is a {found[:64]}")
        self._is_encoded = self.text("EncodingType") == "url"

    def text(self, name: str) -> str:
        return self._root.findtext(self._space + name) or ""

    def all(self, name: str) -> Iterable[Mapping[str, str]]:
        """The elements of this name, each as the texts of its own by their names."""
        for one in self._root.iterfind(self._space + name):
            yield self._fields(one)

    def _fields(self, one: Element) -> dict[str, str]:
        skipped = len(self._space)
        return {each.tag[skipped:]: each.text or "" for each in one}

    def key(self, fields: Mapping[str, str], name: str = "Key") -> str:
        text = fields[name]
        return _decoded(text) if self._is_encoded else text

    @property
    def is_truncated(self) -> bool:
        return self.text("IsTruncated") == "true"

    def more(self, *names: str) -> Mapping[str, str] | None:
        """What asks for the page behind this one: `names` of what it ends with, as parameters."""
        if not self.is_truncated:
            return None
        key = self.key({"": self.text(names[0])}, "")
        if not key:
            raise Malformed(f"it is truncated, and has no {names[0]}")
        marked = {_PARAMETERS[names[0]]: key}
        if second := self.text(names[1]):
            marked[_PARAMETERS[names[1]]] = second
        return marked


_PARAMETERS = {
    "NextKeyMarker": "key-marker",
    "NextVersionIdMarker": "version-id-marker",
    "NextUploadIdMarker": "upload-id-marker",
}


def list_page(body: bytes) -> ListPage:
    """Of ListObjectsV2. Raises Malformed, Refused."""
    document = _Document(body, "ListBucketResult")
    try:
        found = [
            Stat(document.key(one), int(one["Size"]), one["ETag"], _ms(one["LastModified"]))
            for one in document.all("Contents")
        ]
    except (KeyError, ValueError) as error:
        raise Malformed(repr(error)) from None
    return ListPage(found, document.is_truncated)


def version_page(body: bytes) -> VersionPage:
    """Of ListObjectVersions: by key, of one key the newest first. Raises Malformed, Refused."""
    document = _Document(body, "ListVersionsResult")
    found: list[tuple[int, Version]] = []
    try:
        for name, marker in (("Version", False), ("DeleteMarker", True)):
            for one in document.all(name):
                version = Version(
                    document.key(one),
                    one["VersionId"],
                    one["IsLatest"] == "true",
                    marker,
                    0 if marker else int(one["Size"]),
                )
                found.append((_ms(one["LastModified"]), version))
    except (KeyError, ValueError) as error:
        raise Malformed(repr(error)) from None
    found.sort(key=lambda of: (of[1].key, not of[1].is_latest, -of[0]))
    return VersionPage(
        [version for _, version in found], document.more("NextKeyMarker", "NextVersionIdMarker")
    )


def upload_page(body: bytes) -> UploadPage:
    """Of ListMultipartUploads. Raises Malformed, Refused."""
    document = _Document(body, "ListMultipartUploadsResult")
    try:
        found = [(document.key(one), one["UploadId"]) for one in document.all("Upload")]
    except KeyError as error:
        raise Malformed(repr(error)) from None
    return UploadPage(found, document.more("NextKeyMarker", "NextUploadIdMarker"))


def deletion(things: Iterable[tuple[str, str | None]]) -> bytes:
    """What DeleteObjects is sent: keys, and versions of them where these alone are to go."""
    objects = "".join(
        f"<Object><Key>{escape(key, LINE_ENDS)}</Key></Object>"
        if version is None
        else f"<Object><Key>{escape(key, LINE_ENDS)}</Key><VersionId>{escape(version)}</VersionId></Object>"
        for key, version in things
    )
    return f'<Delete xmlns="{NAMESPACE}">{objects}<Quiet>true</Quiet></Delete>'.encode()


def kept(body: bytes) -> dict[str, str]:
    """Of a quiet DeleteObjects: key → why it was not deleted. Raises Malformed, Refused."""
    document = _Document(body, "DeleteResult")
    try:
        return {one["Key"]: f"{one['Code']}: {one.get('Message', '')}" for one in document.all("Error")}
    except KeyError as error:
        raise Malformed(repr(error)) from None


def parsed_time(text: object) -> datetime:
    """As botocore's, and quick for the times that S3 writes in its documents (RFC 3339, section 5.6)."""
    if isinstance(text, str):
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            if found.tzinfo is not None:
                return found
    parsed: datetime = parse_timestamp(text)
    return parsed


def _ms(text: str) -> int:
    return round(parsed_time(text).timestamp() * 1000)


def _decoded(key: str) -> str:
    """Some servers encode slashes too; most keys of a page lie in one folder."""
    folder, slash, name = key.rpartition(SLASH)
    if slash:
        return f"{_folder(folder)}/{unquote_plus(name)}"
    return unquote_plus(name)


@lru_cache(maxsize=256)
def _folder(encoded: str) -> str:
    return unquote_plus(encoded)
