"""The `picfind` command. `picfind QUERY...` is short for `picfind search QUERY...`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import picfind
from picfind.cli import (
    concepts,
    demo,
    duplicates,
    evaluating,
    exporting,
    indexing,
    joining,
    models,
    searching,
    spaces,
    training,
    upkeep,
)
from picfind.cli.options import FAILED, INTERRUPTED, say
from picfind.errors import PicfindError

# the base class of "missing argument", "unexpected argument" and the like; typer offers no public name for it
_WrongUse: type[Exception] = typer.BadParameter.__mro__[1]


class SearchByDefault(TyperGroup):
    """Takes what is no command as a query, and turns errors into exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {
            name
            for parameter in self.get_params(ctx)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        if args and args[0] not in self.commands and args[0].split("=")[0] not in own:
            args = ["search", *args]
        ctx.meta["words"] = args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PicfindError as error:
            say(f"picfind: {error}")
            raise typer.Exit(FAILED) from error
        except BrokenPipeError:
            raise  # whoever reads has seen enough: typer ends quietly
        except OSError as error:
            say(
                f"picfind: {error.filename or 'the answer'} could not be read or written: {error.strerror or error}."
            )
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as stop:
            say("picfind: stopped. What was committed is kept; run again to go on.")
            raise typer.Exit(INTERRUPTED) from stop
        except _WrongUse as error:
            words = ctx.meta["words"]
            odd_arguments = type(error).__name__ == "MissingParameter" or "extra argument" in str(error)
            if words[0] != "search" and odd_arguments:
                say(f"picfind: to search for the word {words[0]!r}: picfind search {' '.join(words)}")
            raise


app = typer.Typer(
    cls=SearchByDefault,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"picfind {picfind.__version__}")
        raise typer.Exit


@app.callback()
def picfind_command(
    _version_flag: Annotated[
        bool, typer.Option("--version", "-v", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find pictures by words, by a picture, or by both. `picfind QUERY...` is short for `picfind search QUERY...`."""


app.command("index")(indexing.index)
app.command("search")(searching.search)
app.command("status")(upkeep.status)
app.add_typer(upkeep.roots_app, name="roots")
app.command("forget")(upkeep.forget)
app.command("doctor")(upkeep.doctor)
app.command("compact")(upkeep.compact)
app.command("duplicates")(duplicates.duplicates)
app.command("evaluate")(evaluating.evaluate)
app.add_typer(concepts.concepts_app, name="concepts")
app.add_typer(models.models_app, name="models")
models.models_app.command("use")(spaces.use)
models.models_app.command("drop")(spaces.drop)
models.models_app.command("export")(exporting.export)
models.models_app.command("fit-joint")(joining.fit_joint)
app.command("train")(training.train_command)
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # Windows pipes are not UTF-8 by themselves
            reconfigure(encoding="utf-8", errors="backslashreplace")
    app()
