"""The notebook: what may be changed, what was done, what can be concluded. It imports no other package of ours."""
