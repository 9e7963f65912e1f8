"""One run analysed: the loop between a model and the tools, what it is told first, its transcript, its replay."""
