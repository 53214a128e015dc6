"""`strongroom keyservice`: customers' own clients have their data keys unwrapped here, until SIGTERM."""

import click

from workers.settings import Settings


@click.command()
def keyservice() -> int:
    """Unwrap data keys for customers who read their own objects, until SIGTERM.

    It speaks AWS KMS's protocol (Decrypt and DescribeKey) to readers that `strongroom readers add` made, on
    STRONGROOM_KEYSERVICE_HOST and _PORT; /livez, /readyz and /metrics are on STRONGROOM_HTTP_PORT. It reads
    the keystore, and writes nothing.
    """
    from workers.roles import keyservice as role  # noqa: PLC0415 - a server, for this command alone

    return role.run(Settings.load())
