"""Who approves a proposal: a person, everybody's rule, or the rules of `[policy]`."""
