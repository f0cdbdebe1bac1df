"""Lines that scripted models say in tests of the loop, about template quadratic."""

from __future__ import annotations

from tests.fakes import block

PLAN = "PLAN:\n1. Raise the learning rate; expect score above 0.9; refuted below 0.7\n2. Add momentum\n\n"
LR = "LR = 0.02  # search: log 1e-3..0.4\n"
FASTER = block("experiment.py", LR, "LR = 0.1  # search: log 1e-3..0.4\n")
MOMENTUM = block("experiment.py", "MOMENTUM = 0.0  # search: 0.0..0.9\n", "MOMENTUM = 0.3  # search: 0.0..0.9\n")
DONE = "Both hypotheses hold.\n\nALL_COMPLETED\n"
NO_PLOT_EDIT = "plot.py is fine as it is.\n"
NOTES = block("notes.txt", "", "The learning rate was too low.\n")
