"""Patches modules of other packages: at once if they are imported already, else right after their import."""

import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from logship.worker import internal_errors

Patch = Callable[[ModuleType], None]

_patches: dict[str, Patch] = {}


def add(patches: Mapping[str, Patch]) -> None:
    """Apply each patch to the module of its name, once. Never raises: a patch that fails is reported."""
    _patches.update(patches)
    for name, patch in patches.items():
        if name in sys.modules:
            _apply(patch, sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _apply(patch: Patch, module: ModuleType) -> None:
    if getattr(module, "_logship_patched", False):
        return
    try:
        patch(module)
        module._logship_patched = True  # type: ignore[attr-defined]
    except Exception as error:  # an unknown version of the package: it works without logship
        internal_errors.report(error)


class _Finder:
    """Finds the modules that have a patch. (`importlib.abc` as a base class takes 3 ms to import.)"""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = _patches.get(name)
        if patch is None:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Finder):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _patch_when_executed(spec.loader, patch)
                return spec
        return None


def _patch_when_executed(loader: Any, patch: Patch) -> None:
    exec_module = loader.exec_module

    def exec_and_patch(module: ModuleType) -> None:
        exec_module(module)
        _apply(patch, module)

    loader.exec_module = exec_and_patch
