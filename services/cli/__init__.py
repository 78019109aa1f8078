"""The `kouan` command. Each command imports what it needs only when it runs, so that help and errors come at once."""

from __future__ import annotations

import typer

from services.cli import (
    case,
    chain,
    demo,
    gateway,
    policy,
    policy_agree,
    publish,
    queue,
    rebuild,
    schemas,
    topics,
    topics_files,
    transitions,
    up,
    worker,
)

app = typer.Typer(
    name="kouan",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="口岸协作：商务与银行两侧以事件协同 · Commerce departments and Exim Bank branches, working together by events",
)
topics.commands.command("import")(topics_files.import_topics)
topics.commands.command("export")(topics_files.export)
for agree in (policy_agree.propose, policy_agree.confirm, policy_agree.status):
    policy.commands.command(agree.__name__)(agree)
app.add_typer(topics.commands, name="topics")
app.add_typer(schemas.commands, name="schemas")
app.add_typer(gateway.commands, name="gateway")
app.add_typer(policy.commands, name="policy")
app.command("publish")(publish.publish)
app.command("case")(case.show)
app.command("queue")(queue.show)
app.command("chain")(chain.show)
app.command("rebuild")(rebuild.rebuild)
app.command("transitions")(transitions.show)
app.command("worker")(worker.work)
app.command("up")(up.up)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point of the console script."""
    app()
