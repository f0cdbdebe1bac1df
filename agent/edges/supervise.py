"""Old name of the supervisor: runs of version 0.1 that still go on began as `python -m agent.edges.supervise`."""

import sys

from agent.edges.supervisor.leave import leave
from agent.edges.supervisor.supervise import main

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
