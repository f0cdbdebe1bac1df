"""Draw the loss of every run into losses.png: one row of grey pixels a run."""

import json
import struct
import zlib
from pathlib import Path

rows = []
for folder in sorted(Path().glob("run_*")):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows.append(bytes(min(255, int(json.loads(line)["value"] * 10)) for line in lines)[:64].ljust(64, b"\0"))


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
header = struct.pack(">IIBBBBB", 64, len(rows), 8, 0, 0, 0, 0)
Path("losses.png").write_bytes(
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
)
