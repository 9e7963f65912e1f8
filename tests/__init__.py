"""The tests, which compute as the program does: `main()` has set this before numpy is there, and so does this.

Threads of OpenBLAS that wait for each other took three times as much of the processor where tests run side by side.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
