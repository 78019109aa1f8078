"""What all commands share: consoles, exit codes, the way in which they fail, the way to the broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient
    from rich.console import Console

ANSWER_WITHIN_MS = 5_000
"""How long a broker may take to answer for the first time before it counts as not reachable."""


class Exit(IntEnum):
    """Exit codes of all commands."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFLICT = 3
    BROKER = 4
    UNKNOWN_CASE = 5
    BUSY = 6
    PENDING = 7


BootstrapServers = Annotated[
    str,
    typer.Option(
        "--bootstrap-servers",
        "-b",
        envvar="KOUAN_BOOTSTRAP_SERVERS",
        help="Kafka 地址，多个以逗号分隔 · Kafka brokers, comma separated",
        metavar="HOST:PORT,…",
    ),
]
"""The option of every command that talks to Kafka. Default: `DEFAULT_SERVERS`."""

DEFAULT_SERVERS = "127.0.0.1:9092"


def out() -> Console:
    """Results go here (standard output)."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """Progress and errors go here (standard error), so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def fail(code: Exit, zh: str, en: str) -> NoReturn:
    """Say what is wrong and what to do, in both languages, and end the command."""
    from rich.text import Text

    console = err()
    # Left to the terminal to wrap: rich breaks Chinese text only at spaces, which it has few of.
    console.print(Text.assemble(("错误 ", "bold red"), zh), soft_wrap=True)
    console.print(Text.assemble(("Error ", "bold red"), en), soft_wrap=True)
    raise typer.Exit(code)


def fail_unreachable(servers: str, reason: object = None) -> NoReturn:
    """End the command because no broker answers, or none any more."""
    told = f" ({reason})" if reason else ""
    fail(
        Exit.BROKER,
        f"连不上 Kafka：{servers} 没有应答{told}。请确认它在运行（本机可用 kouan up 启动），"
        "或用 --bootstrap-servers / KOUAN_BOOTSTRAP_SERVERS 指定地址。",
        f"No Kafka broker answers at {servers}{told}. Check that it runs (`kouan up` starts one here), "
        "or name another with --bootstrap-servers or KOUAN_BOOTSTRAP_SERVERS.",
    )


def quieten_clients() -> None:
    """Keep the client library's own log off the terminal: what it reports reaches people as one clear error."""
    import logging

    logging.getLogger("kafka").addHandler(logging.NullHandler())
    logging.getLogger("kafka").propagate = False


@contextmanager
def administering(servers: str) -> Iterator[KafkaAdminClient]:
    """An admin client of the cluster; ends the command with a clear message when the cluster can't be asked."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError, KafkaTimeoutError

    quieten_clients()
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=servers.split(","),
            bootstrap_timeout_ms=ANSWER_WITHIN_MS,
            client_id="kouan-cli",
        )
    except KafkaTimeoutError:
        fail_unreachable(servers)
    except (KafkaError, ValueError, OSError) as error:
        fail_unreachable(servers, short(error))
    try:
        yield admin
    except KafkaError as error:
        fail_unreachable(servers, short(error))
    finally:
        admin.close()


def short(error: Exception) -> str:
    """The first line of a client's error, named by its kind where it has no words of its own."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
