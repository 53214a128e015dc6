"""`strongroom worker`: runs a role of the fleet until SIGTERM."""

import click

from workers.settings import Settings


@click.group()
def worker() -> None:
    """Run a role of the fleet."""


@worker.command()
def archive() -> int:
    """Seal raw events into S3, under the ledger, until SIGTERM.

    /livez, /readyz and /metrics are on STRONGROOM_HTTP_PORT. Exits 0 after a clean stop, with nothing lost;
    after any other end, start it again.
    """
    from workers.roles import archive as role  # noqa: PLC0415 - Faust and friends, for this command alone

    return role.run(Settings.load())


@worker.command()
def judge() -> int:
    """Tell scraped copies from customers' own pages, by what archive workers saw of hosts, until SIGTERM.

    What it concludes is policy: it puts verdicts on record, and never says that a host is hostile. /livez,
    /readyz and /metrics are on STRONGROOM_HTTP_PORT.
    """
    from workers.roles import judge as role  # noqa: PLC0415 - as above

    return role.run(Settings.load())


@worker.command()
def retain() -> int:
    """Dispose of what is past its retention, with a certificate for each disposal, until SIGTERM.

    It deletes only with STRONGROOM_RETAIN_DELETE=true, and needs no root key. /livez, /readyz and /metrics
    are on STRONGROOM_HTTP_PORT.
    """
    from workers.roles import retain as role  # noqa: PLC0415 - as above

    return role.run(Settings.load())


@worker.command()
def steward() -> int:
    """Sweep what crashes left in the data bucket, and replay unclaimed records, until SIGTERM.

    It deletes only with STRONGROOM_SWEEP_DELETE=true. Only the replay needs Kafka and a root key: without the
    latter it is off. /livez, /readyz and /metrics are on STRONGROOM_HTTP_PORT.
    """
    from workers.roles import steward as role  # noqa: PLC0415 - as above

    return role.run(Settings.load())
