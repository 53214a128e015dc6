"""`strongroom context`: what Amazon's clients must be given to open an object, from its name."""

import click

from workers.cli import output
from workers.errors import Poison
from workers.ledger.data_name import parse
from workers.sealing.keys import Unit, checked_unit, context_of


@click.command()
@click.argument("key")
def context(key: str) -> None:
    """Print the encryption context of KEY, an object's name in the bucket, as JSON.

    Amazon's S3 Encryption Client takes these pairs and no others: it adds the pair of its suite by itself.
    Nothing is looked up: whether there is such an object is not said.
    """
    output.print_json(context_named(key))


def context_named(key: str) -> dict[str, str]:
    """The context of the object of that name. Raises Poison for a name that the archive gives to none."""
    name = parse(key)
    if name is None:
        raise Poison(
            f"{output.visible(key[:200])!r} is no name of an archived object",
            remedy="Give its whole name as `strongroom manifest` lists it: data/ws=…, without bucket and s3://",
        )
    return context_of(checked_unit(Unit(name.workspace, name.source, name.day, name.clock)), key)
