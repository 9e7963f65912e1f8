"""The search for the next config: candidates from a sampler, and the control arm's proposals."""
