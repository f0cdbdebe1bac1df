"""Say why a step failed, for the model and for a person who mends it.

Each family of messages stands in one module. CONTRIBUTING.md lists them by their words.

record       how a step ended: exit code, signal, time-out, breach of a limit (no words)
diagnose     the kind of a failure, its first line, advice, and the whole text for the model
cause        faults of the machine: disk, network, GPU, a missing library or module
memory       the amount that was asked for, and ways to use less
output       the tails of the two streams
traceback    a traceback as it is shown, with frames left out
folding      lines that repeat or are cut

Elsewhere: numbers that a results file lacks (evidence/results), limits that a supervisor enforces (supervisor/limits),
refused edits (edit/hints), replies that miss the form (reply/misses), the sentence around a failure (prompt/templates).
"""
