"""Text made safe: without control characters, without keys, without reasoning."""
