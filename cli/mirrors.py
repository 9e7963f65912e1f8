"""Runs that are there already, copied to where people look. Slow imports happen where they are needed."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cli.looking import called
from cli.options import JsonOption, mirrors_of, mlflow_of
from lab.base import AutopilotError, Workspace, invalid

if TYPE_CHECKING:
    from lab.store import Notebook, RunRecord

MIRRORS = ("mlflow", "tensorboard", "wandb")


def mirror(
    context: typer.Context,
    which: Annotated[list[str] | None, typer.Argument(metavar="[RUN]…", help="Else all of the workspace.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="|".join(MIRRORS), help="Where.")] = "mlflow",
    mlflow: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Its store, sqlite:///FILE or a server's address; else MLFLOW_TRACKING_URI, else mlflow.db in the"
            " workspace.",
        ),
    ] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The runs of one session.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy runs that are there already to MLflow, TensorBoard or Weights & Biases; nothing is copied twice."""
    from lab.store import Notebook
    from report import emit_json

    if to not in MIRRORS:
        raise invalid("to", to, "is no mirror", " | ".join(MIRRORS))
    if mlflow is not None and to != "mlflow":
        raise invalid("mlflow", mlflow, f"has no part in --to {to}", "--to mlflow")
    if which and session is not None:
        raise invalid("session", session, "names the runs that are named already", "one of the two")
    notebook = Notebook(context.obj)
    uri = _store(context.obj, mlflow) if to == "mlflow" else ""
    mirrors_of(tensorboard=to == "tensorboard", wandb=to == "wandb")
    runs = _chosen(notebook, which, session)
    context.obj.require_writable()

    def tell(run: str) -> None:
        if not as_json:
            typer.echo(f"{run} …", err=True)

    if to == "mlflow":
        from mirror import copy_to_mlflow
        from mirror.store import Store

        copied = copy_to_mlflow(notebook, Store(uri), runs, tell)
    else:
        from mirror import copy_curves

        copied = copy_curves(notebook, "wandb" if to == "wandb" else "tensorboard", runs, tell)
    for line in (*copied.unreadable, *(f"{name}: {why}" for name, why in notebook.damaged.items())):
        typer.echo(f"passed over: {line}", err=True)
    if as_json:
        emit_json({"to": to, "store": uri or None, "written": copied.written, "there": copied.there})
    else:
        where = f" at {uri}" if uri else ""
        parts = [(len(copied.written), f"copied to {to}{where}"), (len(copied.there), f"there already{where}")]
        said = [f"{count} run{'' if count == 1 else 's'} {what}" for count, what in parts if count]
        typer.echo(", ".join(said) or f"nothing to copy to {to}")
    if copied.unreadable and not (copied.written or copied.there):
        raise AutopilotError("nothing could be copied")


def _store(workspace: Workspace, given: str | None) -> str:
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.root.absolute() / 'mlflow.db'}"
    return mlflow_of(uri) or uri


def _chosen(notebook: "Notebook", which: list[str] | None, session: str | None) -> "list[RunRecord]":
    """The runs that were named, oldest first."""
    if which:
        names = {called(notebook, name) for name in which}
        return sorted((notebook.run(name) for name in names), key=lambda run: run.created)
    if session is not None:
        from lab.store import Sessions

        return notebook.runs(session=Sessions(notebook.workspace).get(session).session_id)
    return notebook.runs()
