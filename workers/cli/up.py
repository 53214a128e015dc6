"""`strongroom up`: an embedded Kafka, S3, archive worker, judge and steward, until Ctrl-C."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

import click

from workers.cli import running
from workers.cli.run_folder import run_folder
from workers.embedded.fleet import Fleet, embedded_fleet
from workers.settings_checks import PREFIX

FLUSH_INTERVAL = 5.0  # seconds: a person who tries things wants to see them archived soon
LOOK = 0.5  # seconds between looks at the processes

TRY = """\
To try it, in another terminal:
  source {env}
  strongroom workspaces set shop --source web:browser --allow-origin shop.example
  strongroom keys add my-write-key --workspace shop --source web
  echo '{{"type":"track","event":"Hello","messageId":"m-1","userId":"u-1"}}' |
    strongroom send --write-key my-write-key --origin https://shop.example -
  strongroom read --workspace shop --unwrap      (after {interval:g} s)
  strongroom keys revoke my-write-key --reason "trying it"
  strongroom verify
"""


@click.command()
def up() -> None:
    """Run an embedded Kafka, S3, archive worker, judge and steward until Ctrl-C.

    Everything is in memory and ends with it. For trying things out: not for production.
    """
    with run_folder() as folder:
        running.run(_up(folder))


async def _up(folder: Path) -> None:
    click.echo("starting Kafka, S3, the archive worker, the judge and the steward …")
    stop = asyncio.Event()
    async with embedded_fleet(folder, flush_interval=FLUSH_INTERVAL, all_roles=True) as fleet:
        await fleet.ready()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        exports = _exports(fleet.environ)
        (folder / "env.sh").write_text(exports)
        click.echo(_describe(fleet, folder, exports))
        while not stop.is_set():
            fleet.check()
            try:
                await asyncio.wait_for(stop.wait(), LOOK)
            except TimeoutError:
                continue
        click.echo("stopping …")
        await fleet.stop()


def _exports(environ: Mapping[str, str]) -> str:
    names = sorted(name for name in environ if name.startswith((PREFIX, "AWS_")))
    return "".join(f"export {name}={environ[name]}\n" for name in names)


def _describe(fleet: Fleet, folder: Path, exports: str) -> str:
    return "\n".join(
        [
            "",
            f"Kafka    {fleet.stack.bootstrap}",
            f"S3       {fleet.stack.endpoint}, bucket {fleet.settings.s3_bucket}",
            *(
                f"{name:8} http://127.0.0.1:{port}/metrics, /livez, /readyz"
                for name, port in (
                    ("archive", fleet.settings.http_port),
                    *((other.name, other.port) for other in fleet.others),
                )
            ),
            f"logs     {folder}",
            "",
            f"{folder / 'env.sh'} says:",
            exports,
            TRY.format(env=folder / "env.sh", interval=FLUSH_INTERVAL),
            "Ctrl-C ends it all.",
        ]
    )
