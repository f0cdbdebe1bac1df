"""Files that may hold keys or passwords, by their names."""

from __future__ import annotations

import re

__all__ = ["may_hold_secret"]

# ".env", ".env.local", "aws_credentials.json", "hf_token.txt", "server.pem"
_SECRET = re.compile(
    r"\.(env|netrc|npmrc|pypirc|git-credentials)(\..*)?|.*(secret|credential|passw|api_?key|id_rsa|id_ed25519|netrc).*"
    r"|(.*[_-])?tokens?\.(txt|json|ya?ml)|.*\.(pem|key|p12)",
    re.IGNORECASE | re.DOTALL,
)


def may_hold_secret(name: str) -> bool:
    """Whether a file or folder of that name is likely to hold a key or a password."""
    return _SECRET.fullmatch(name) is not None
