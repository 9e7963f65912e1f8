"""Who approves a proposal: a person, everybody's rule, or the rules of `[policy]`."""

from agent.approval.approver import Approver
from agent.approval.policy import PolicySettings, PolicyTables, policy_settings
from agent.approval.ruling import rule_on

__all__ = [
    "Approver",
    "PolicySettings",
    "PolicyTables",
    "policy_settings",
    "rule_on",
]
