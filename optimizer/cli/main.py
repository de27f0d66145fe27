"""The `hone` command. Verbs are loaded when they are called, so that `hone --help` answers at once."""

from __future__ import annotations

import importlib
import sys

import click

from optimizer.cli.exits import Exit, exit_for
from optimizer.domain.errors import HoneError

VERBS: dict[str, str] = {
    "demo": "Run a whole campaign on the bundled benchmark with the simulated model.",
    "init": "Make a new harness folder from the template.",
    "doctor": "Check sandbox, git, harness, model and task splits before anything is spent.",
    "estimate": "Say what a campaign may take - rollouts, tokens, USD, hours - before spending.",
    "run": "Start a campaign; it ends when a budget does.",
    "resume": "Go on with a campaign that was stopped or killed; nothing is paid for twice.",
    "status": "Where a campaign stands.",
    "log": "Every candidate, accepted and rejected, newest first.",
    "show": "One candidate: hypothesis, gate arithmetic, flips, diff.",
    "clusters": "Failure clusters and their life.",
    "suite": "The regression suite.",
    "lineage": "Where a trace, failure, cluster, case, candidate or commit comes from, and what it led to.",
    "dataset": "Versions of the regression suite: show, diff, export.",
    "review": "Questions the campaign leaves to a person, and their answers.",
    "judge": "Compare a model that judges runs with people, and see whether it may decide.",
    "trace": "One rollout, span by span.",
    "mine": "Find what goes wrong in a folder of traces: no campaign, no key.",
    "pick": "Cherry-pick candidates onto your branch.",
    "replay": "Estimate the true pass rate of a commit by fresh rollouts.",
    "calibrate": "Measure the noise of the harness against itself, and what its splits can detect.",
    "finalize": "Compare baseline and head once on the sealed test split, and spend it.",
    "completion": "Print the shell completion script.",
}


class LazyGroup(click.Group):
    """A group whose verbs are imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs in the order a person meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"optimizer.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb when one is misspelt."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See `hone --help`."
            ctx.fail(f"no verb '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="hone-agent", prog_name="hone")
def hone() -> None:
    """Improve an agent's harness overnight, and know in the morning why each commit was admitted.

    A first campaign:  hone init my-harness && cd my-harness && hone doctor && hone run

    stdout is data (--json on every reading verb), stderr is narration. Exit codes: 0 done, 2 usage or campaign.toml,
    3 harness, 4 git, 5 sandbox, 6 model, 7 ledger, 8 benchmark, 9 doctor found something, 130 interrupted.
    """


def main() -> None:
    """Run the command; the one place where an error becomes a message and an exit code."""
    try:
        hone.main(standalone_mode=False)
    except click.exceptions.Abort:
        _leave("interrupted; nothing is lost: `hone resume` goes on from here", Exit.INTERRUPTED)
    except KeyboardInterrupt:
        _leave("interrupted; nothing is lost: `hone resume` goes on from here", Exit.INTERRUPTED)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(Exit.OK)
    except HoneError as error:
        _leave(f"hone: {error}", exit_for(error))


def _leave(message: str, code: Exit) -> None:
    from optimizer.cli.terminal import plain

    print(plain(message), file=sys.stderr)
    sys.exit(code)
