"""What a report's author writes of it; the program writes the rest from the record."""

from dataclasses import dataclass, field


@dataclass
class ReportDraft:
    """The model's part of a report; the program writes the rest from the record."""

    title: str
    observations: list[str]
    theory: str
    next_step: str
    remember: str = ""
    """What its author wants to know again in later analyses; the report does not show it."""
    cited: dict[str, float] = field(default_factory=dict)
    """Numbers that it took from the record by reference, by their paths."""

    @property
    def sections(self) -> dict[str, str]:
        """Section to text, as claims are looked for in it."""
        return {
            "title": self.title,
            "observations": "\n".join(self.observations),
            "theory": self.theory,
            "next_step": self.next_step,
        }
