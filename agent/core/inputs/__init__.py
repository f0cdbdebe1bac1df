"""Files that people write: ideas, template.toml, references, the brief."""
