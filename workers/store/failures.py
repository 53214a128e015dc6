"""Which exceptions of botocore and aiohttp mean that there are no credentials, or that no answer came."""

import aiohttp
from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    ConnectionError as NotConnected,
)
from botocore.exceptions import (
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]  # ships no types

NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    MetadataRetrievalError,
    SSOError,
)
NO_ANSWER = (
    NotConnected,
    HTTPClientError,
    IncompleteReadError,
    ResponseParserError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)
