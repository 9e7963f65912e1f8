"""What `--help` says: examples first, options by what they are about, and the environment once at the end.

Typer's own types of a context and a formatter are private, so they are `Any` here.
"""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "autopilot": (
        ("autopilot start --hours 8 --approve auto", "a night's research"),
        ("autopilot status", "how it stands"),
        ("autopilot digest", "what came of it"),
        ("autopilot web", "the same on a page"),
    ),
    "start": (
        ("autopilot start --hours 8 --approve auto", "until the morning, without you"),
        ("autopilot start --env gymnasium:CartPole-v1 --max-runs 40 --seeds 1", "forty replicates"),
        ("autopilot start --hours 8 --model NAME --max-dollars 5 --detach", "with a model, off this terminal"),
    ),
    "train": (
        ("autopilot train --env puffer_cartpole --seeds 3", "the preset, three seeds"),
        ("autopilot train --set train.learning_rate=0.002", "one change"),
    ),
    "confirm": (("autopilot confirm 16", "is run #16 better? as many fresh seeds as that takes"),),
    "runs": (("autopilot runs --limit 20", "the newest twenty"), ("autopilot runs --json", "for programs")),
    "show": (("autopilot show incumbent", "what everything is measured by"),),
    "compare": (("autopilot compare", "the latest run against the incumbent"), ("autopilot compare 12 9", "two runs")),
    "report": (("autopilot report", "the latest there is"), ("autopilot report 12", "run #12's")),
    "check": (("autopilot check notes.md --run 12", "what your notes say of run #12"),),
    "export": (("autopilot export incumbent", "the policy, to be played by PufferLib alone"),),
    "mirror": (
        ("autopilot mirror --to mlflow --mlflow http://127.0.0.1:5000", "all runs, to a server"),
        ("autopilot mirror 12 --to tensorboard", "one run's curves"),
    ),
    "review": (("autopilot review", "what waits, one proposal at a time"),),
    "edit": (("autopilot edit ID --set train.ent_coef=0.01 --why 'entropy was gone too soon'", "your version"),),
    "reject": (("autopilot reject ID --why 'tried in run 7'", "the next analysis reads it"),),
    "web": (("autopilot web --open", "in your browser"), ("autopilot web --host 0.0.0.0", "for another device")),
    "note": (("autopilot note 'Never change gamma.'", "every analysis reads it"),),
    "mcp": (("autopilot mcp", "started by an agent on this machine"),),
    "skill": (
        ("autopilot skill install", "for agents that are started in the workspace"),
        ("autopilot skill install --to ~/.claude/skills", "for Claude Code everywhere"),
    ),
    "probe": (("autopilot probe --env puffer_cartpole", "as fast as this machine can"),),
    "doctor": (("autopilot doctor --space puffer_cartpole", "what may be searched, and how far"),),
}
"""Name of each command to lines that work, and what they are for."""

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What trains", ("env", "preset", "objective", "seeds", "settings")),
    ("Budgets", ("hours", "max_runs", "max_tokens", "max_dollars", "target", "largest_run")),
    ("Who proposes, who decides", ("model", "base_url", "approve", "model_share", "ahead", "control", "control_share")),
    ("How it searches and proves", ("prune", "trade", "min_effect", "confirm", "parallel")),
)
"""Options of a command that has many, by the names of their parameters; others come last."""
MANY = 13
"""Options from which on they are told in sections."""


class Command(TyperCommand):
    """A command whose help can be read from its beginning."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What it does, then examples."""
        super().format_help_text(ctx, formatter)
        _examples(self.name or "", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options, many of them in sections."""
        for parameter in self.params:
            parameter.show_envvar = False  # type: ignore[attr-defined]  # options and arguments have it
        if sum(not getattr(one, "hidden", False) for one in self.params) < MANY:
            super().format_options(ctx, formatter)
            return
        left = dict.fromkeys(self.get_params(ctx))
        for title, names in (*SECTIONS, ("Other options", ())):
            chosen = [one for name in names for one in left if one.name == name] if names else list(left)
            rows = [record for one in chosen if (record := one.get_help_record(ctx)) is not None]
            for one in chosen:
                del left[one]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The environment's names of the options."""
        flags = [one for one in self.params if getattr(one, "allow_from_autoenv", False) and one.opts[0][:1] == "-"]
        if not flags or ctx.auto_envvar_prefix is None:
            return
        variables = {one.opts[0]: f"{ctx.auto_envvar_prefix}_{str(one.name).upper()}" for one in flags}
        alike = [flag for flag, variable in variables.items() if variable.endswith(f"_{_named(flag)}")]
        said = [f"{variables[flag]} sets {flag}" for flag in variables if flag not in alike]
        said = [f"{variables[alike[0]]} sets {alike[0]}, and so on", *said] if alike else said
        text = f"{'; '.join(said)}."
        _section("Environment", [f"{text} Options win over the environment, it wins over autopilot.toml."], formatter)


class Group(TyperGroup):
    """The program, whose commands stand in sections."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What it does, then examples."""
        super().format_help_text(ctx, formatter)
        _examples("autopilot", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options, then commands by what they are about."""
        for parameter in self.params:
            parameter.show_envvar = False  # type: ignore[attr-defined]  # as above
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Commands by what they are about."""
        limit = formatter.width - 6 - max(len(name) for name in self.commands)
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            title = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(title, []).append((name, command.get_short_help_str(limit)))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The environment that all commands heed."""
        del ctx
        lines = [
            "AUTOPILOT_WORKSPACE names the workspace, AUTOPILOT_CACHE where what belongs to this machine is kept.",
            "OPENAI_BASE_URL and OPENAI_API_KEY are a model's endpoint.",
            "AUTOPILOT_COMMAND_OPTION sets an option of a command, such as AUTOPILOT_START_MODEL.",
        ]
        _section("Environment", lines, formatter)


def _named(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_").upper()


def _examples(name: str, formatter: Any) -> None:
    """Lines to copy, each as it is: nothing is wrapped."""
    if lines := EXAMPLES.get(name):
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for line, what in lines:
            formatter.write(f"  {line}\n      {what}\n")


def _section(title: str, lines: Sequence[str], formatter: Any) -> None:
    with formatter.section(title):
        for line in lines:
            formatter.write_text(line)
