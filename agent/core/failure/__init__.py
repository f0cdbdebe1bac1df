"""Why a step failed, in what a person needs to mend it."""
