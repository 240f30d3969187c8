"""The JavaScript modules that each view loads first, so that the browser fetches all of them at once.

Without this list it would find the imports of a module only after it has loaded the module. A test compares the list with
the imports in `static/`."""

from typing import Final

# What every view needs: `main.js` and its imports.
FRAME: Final = (
    "vendor/preact", "vendor/hooks", "vendor/htm", "html", "charts", "time", "url", "api", "words", "parts", "keys", "damage",
    "main",
)  # fmt: skip
# The module of each view with its further imports, by the first part of the address.
VIEWS: Final = {
    "": ("overview", "capacity", "findings", "kql", "lanes"),
    "search": ("search", "box", "kql", "list"),
    "tail": ("tail", "box", "kql", "list"),
    "r": ("request", "kql", "list"),
    "w": ("worker", "capacity", "findings", "kql", "lanes", "overview"),
    "e": ("event", "kql", "list", "request"),
    "i": ("incident", "findings", "kql", "lanes", "rows"),
    "account": ("account", "kql"),
    "panels": ("panels", "kql", "list"),
    "errors": ("errors", "box", "kql", "rows"),
    "patterns": ("patterns", "box", "findings", "kql", "rows"),
}


def preloaded(view: str) -> tuple[str, ...]:
    """Return the names of all modules that the first load of `view` needs, without the extension."""
    return FRAME + VIEWS[view]
