"""The night: what trains next, budgets, recovery, what it says beforehand and while it goes on."""
