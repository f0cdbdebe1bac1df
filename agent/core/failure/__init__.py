"""Say why a step failed, for the model and for a person who mends it.

Each family of messages stands in one module:

record       how a step ended: exit code, signal, time-out, breach of a limit (no words)
diagnose     "timed out after", "killed: memory", "wrote no final_info.json", "in the smoke run:", "How it ended:"
cause        "no space left on the disk", "the network or a hub cannot be reached", "the module x is missing"
memory       "asked for 2 GiB", "The sizes in profile.json ... stay", ways to use less
output       "Last lines of stderr:", "stdout was empty."
traceback    "[3 frames left out]", the traceback as it is shown
folding      "[line above: 8 more times]", "[... 40 lines left out ...]", "[... 900 characters ...]"

Elsewhere: numbers that a results file lacks (evidence/results), limits that a supervisor enforces (supervisor/limits),
refused edits (edit/hints), replies that miss the form (reply/misses), the sentence around a failure (prompt/templates).
"""
