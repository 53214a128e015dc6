"""S3's XML is read as S3 writes it, and nothing else is taken for it."""

from collections.abc import Callable
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.store.documents import (
    NAMESPACE,
    Malformed,
    Refused,
    deletion,
    kept,
    list_page,
    upload_page,
    version_page,
)
from workers.store.port import Stat, Version

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
MOMENT = "2026-11-26T03:00:00.120Z"
MS = 1_795_662_000_120


def document(name: str, inside: str, space: str = NAMESPACE) -> bytes:
    return f'{HEAD}<{name} xmlns="{space}">{inside}</{name}>'.encode()


def contents(key: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{MOMENT}</LastModified><ETag>&quot;a&quot;</ETag>"
        "<Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def version(key: str, number: str, *, latest: bool, modified: str = MOMENT, name: str = "Version") -> str:
    size = "<Size>7</Size>" if name == "Version" else ""
    return (
        f"<{name}><Key>{key}</Key><VersionId>{number}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>{modified}</LastModified>{size}<Owner><ID>o</ID></Owner></{name}>"
    )


def test_a_list_has_what_s3_says_of_each_object() -> None:
    page = list_page(document("ListBucketResult", f"<IsTruncated>true</IsTruncated>{contents('a/b')}"))
    assert page.found == [Stat("a/b", 7, '"a"', MS)]
    assert page.truncated


def test_a_document_without_a_namespace_is_read_too() -> None:
    body = f"<ListBucketResult>{contents('a')}<IsTruncated>false</IsTruncated></ListBucketResult>"
    assert [stat.key for stat in list_page(body.encode()).found] == ["a"]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("data%2Fws%3Da%2Fsrc%3Db%2Fx", "data/ws=a/src=b/x"),
        ("data/ws%3Da/x", "data/ws=a/x"),
        ("a+b%2Bc", "a b+c"),
        ("%252F", "%2F"),
        ("a%2F", "a/"),
        ("%01%C3%BC", "\x01ü"),
        ("a%0D%0Ab", "a\r\nb"),
    ],
)
def test_a_name_is_decoded_where_the_answer_says_that_it_is_encoded(written: str, key: str) -> None:
    encoded = "<EncodingType>url</EncodingType>"
    page = list_page(document("ListBucketResult", encoded + contents(written)))
    assert [stat.key for stat in page.found] == [key]
    versions = version_page(document("ListVersionsResult", encoded + version(written, "1", latest=True)))
    assert [each.key for each in versions.found] == [key]
    plain = list_page(document("ListBucketResult", contents(written)))
    assert [stat.key for stat in plain.found] == [written]


def test_versions_and_markers_are_by_key_and_the_newest_first() -> None:
    inside = (
        version("b", "4", latest=True)
        + version("a", "1", latest=False, modified="2026-11-26T01:00:00Z")
        + version("a", "2", latest=False, modified="2026-11-26T02:00:00Z")
        + version("a", "3", latest=True, name="DeleteMarker")
    )
    page = version_page(document("ListVersionsResult", inside))
    assert page.found == [
        Version("a", "3", True, True, 0),
        Version("a", "2", False, False, 7),
        Version("a", "1", False, False, 7),
        Version("b", "4", True, False, 7),
    ]
    assert page.more is None


def test_the_next_page_is_asked_for_by_what_this_one_ends_with() -> None:
    ends = (
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</NextKeyMarker>"
    )
    assert version_page(document("ListVersionsResult", ends)).more == {"key-marker": "a/b"}
    both = f"{ends}<NextVersionIdMarker>v%2B</NextVersionIdMarker>"
    assert version_page(document("ListVersionsResult", both)).more == {
        "key-marker": "a/b",
        "version-id-marker": "v%2B",
    }


def test_uploads_are_keys_and_ids() -> None:
    inside = (
        "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>"
        "<Upload><Key>k</Key><UploadId>1</UploadId></Upload><Upload><Key>k</Key><UploadId>2</UploadId></Upload>"
    )
    page = upload_page(document("ListMultipartUploadsResult", inside))
    assert page.found == [("k", "1"), ("k", "2")]
    assert page.more == {"key-marker": "k", "upload-id-marker": "2"}


def test_what_a_deletion_kept_is_told_with_its_reason() -> None:
    inside = (
        "<Error><Key>a&amp;b</Key><VersionId>1</VersionId><Code>AccessDenied</Code><Message>no</Message></Error>"
        "<Error><Key>c</Key><Code>SlowDown</Code></Error>"
    )
    assert kept(document("DeleteResult", inside)) == {"a&b": "AccessDenied: no", "c": "SlowDown: "}
    assert kept(b"<DeleteResult/>") == {}


@given(
    st.lists(
        st.tuples(
            st.text(
                # what XML 1.0 can hold (2.2, Char): no key of ours has anything else
                st.characters(
                    min_codepoint=0x20, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"
                )
                | st.sampled_from("\r\n\t&<>")
            ),
            st.none() | st.text(st.sampled_from("aZ0._-+/&"), min_size=1),
        ),
        min_size=1,
    )
)
def test_a_deletion_names_exactly_these(things: list[tuple[str, str | None]]) -> None:
    found = fromstring(deletion(things))
    space = f"{{{NAMESPACE}}}"
    assert [
        (one.findtext(f"{space}Key"), one.findtext(f"{space}VersionId"))
        for one in found.iterfind(f"{space}Object")
    ] == things
    assert found.findtext(f"{space}Quiet") == "true"


READERS = [list_page, version_page, upload_page, kept]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>proxy</html>",
        b"<a/>",
        b"not XML",
        b"<ListBucketResult><Contents></Contents></ListBucketResult>x",
    ],
)
def test_what_is_no_answer_is_not_taken_for_an_empty_one(
    read: Callable[[bytes], object], body: bytes
) -> None:
    with pytest.raises(Malformed):
        read(body)


@pytest.mark.parametrize("read", READERS)
def test_an_error_in_the_place_of_an_answer_is_one(read: Callable[[bytes], object]) -> None:
    with pytest.raises(Refused) as raised:
        read(b"<Error><Code>SlowDown</Code><Message>x</Message></Error>")
    assert raised.value.code == "SlowDown"


def test_a_page_that_was_cut_off_is_refused() -> None:
    whole = document("ListVersionsResult", version("a", "1", latest=True) + version("b", "2", latest=True))
    assert len(version_page(whole).found) == 2
    for end in range(len(whole)):
        with pytest.raises(Malformed):
            version_page(whole[:end])


@pytest.mark.parametrize("missing", ["Key", "VersionId", "IsLatest", "LastModified", "Size"])
def test_a_version_that_lacks_something_is_refused(missing: str) -> None:
    whole = document("ListVersionsResult", version("a", "1", latest=True)).decode()
    with pytest.raises(Malformed):
        version_page(whole.replace(f"<{missing}>", "<X>").replace(f"</{missing}>", "</X>").encode())


def test_a_page_that_goes_on_nowhere_is_refused() -> None:
    with pytest.raises(Malformed, match="NextKeyMarker"):
        version_page(document("ListVersionsResult", "<IsTruncated>true</IsTruncated>"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_entities_are_refused(encoding: str) -> None:
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        "<DeleteResult><Error><Key>&b;</Key><Code>x</Code></Error></DeleteResult>"
    )
    with pytest.raises(Malformed):
        kept(bomb.encode(encoding))
