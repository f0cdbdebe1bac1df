"""sae_lens.synthetic without the language-model stack that `import sae_lens` loads.

sae_lens is made for language models: its __init__ pulls in transformers, transformer_lens, datasets and wandb, slow to
install and several seconds to import. Its synthetic half needs torch, numpy, scipy and safetensors. `install()`
registers the package `sae_lens` with its real folder but without running __init__. Libraries that it imports for their
names only and that are not installed get stand-ins. All code that samples activations or computes scores is sae_lens's
own, unchanged.

Source: sae-lens 6.54.12, sae_lens/__init__.py and the imports of sae_lens/synthetic/*.py, sae_lens/evals.py.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

# Imported by the modules we use, never called by them. If the real one is installed, it is taken.
NAME_ONLY = frozenset({"einops", "huggingface_hub", "pandas", "transformer_lens", "transformers", "yaml"})
# The same, inside sae_lens: its language-model data loader and its index of published SAEs.
NAME_ONLY_INSIDE = ("sae_lens.training.activations_store", "sae_lens.loading.pretrained_sae_loaders")


class _StandIn(ModuleType):
    """A module whose every public name is an empty class, so that imports, annotations and base classes work."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        stand_in = type(name, (), {"__module__": self.__name__})
        setattr(self, name, stand_in)
        return stand_in


class _StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers last, for the names in NAME_ONLY alone: anything else that is missing stays an ImportError."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in NAME_ONLY:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _register_bare(name: str, folder: Path) -> ModuleType:
    """Enter a package in sys.modules with its folder but without running its __init__."""
    spec = importlib.machinery.ModuleSpec(name, loader=None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    return package


def install() -> None:
    """Make `from sae_lens.synthetic.<module> import ...` work, unless sae_lens is imported already.

    Raises: ImportError if sae_lens is not installed.
    """
    if "sae_lens" in sys.modules:
        return
    found = importlib.util.find_spec("sae_lens")
    if found is None or not found.submodule_search_locations:
        raise ImportError("sae_lens is not installed in this interpreter")
    folder = Path(found.submodule_search_locations[0])
    package = _register_bare("sae_lens", folder)
    package.__version__ = importlib.metadata.version("sae-lens")
    package.logger = logging.getLogger("sae_lens")
    _register_bare("sae_lens.synthetic", folder / "synthetic")
    for name in NAME_ONLY_INSIDE:
        sys.modules[name] = _StandIn(name)
    sys.meta_path.append(_StandInFinder())
