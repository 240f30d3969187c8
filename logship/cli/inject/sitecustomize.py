"""Run by every Python that `logship run` starts, before anything else: the environment's own sitecustomize, then us.

It must never hinder the program, whatever is wrong: a program without logship is better than none."""

import os
import sys


def _chain() -> None:
    """Run the sitecustomize that we stand in front of, if there is one."""
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _chain()
finally:
    try:
        import logship.auto  # noqa: F401 - importing it is all
    except Exception as error:  # noqa: BLE001 - see above
        told = f"{type(error).__name__}: {error}"
        sys.stderr.write(f"logship is not in {sys.executable} ({told}); this process runs without it\n")
