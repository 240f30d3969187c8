"""The route template that a framework matched for a request."""

from collections.abc import Mapping, MutableMapping
from typing import Any


def template(scope: MutableMapping[str, Any]) -> str | None:
    """Return the template of the matched route, mounts included (`/shop/orders/{id}`); None before or without a match."""
    matched = scope.get("route")
    if matched is not None:
        path = getattr(matched, "path_format", None) or getattr(matched, "path", None)
    else:
        path = scope.get("path_template")  # Litestar
    if not isinstance(path, str):
        return None
    root = scope.get("root_path")
    if not root or path.startswith(root + "/"):
        return path
    # The server's own prefix is plain text, a mount may hold parameters: `/shops/7` was mounted as `/shops/{shop}`.
    prefix = scope.get("app_root_path", root)
    return str(prefix) + _with_names(root[len(prefix) :], scope.get("path_params")) + path


def _with_names(mount: str, parameters: object) -> str:
    """Return a mount's path as it was declared: a segment that equals a path parameter becomes its name in braces."""
    if not mount or not isinstance(parameters, Mapping) or not parameters:
        return mount
    names = {str(value): f"{{{name}}}" for name, value in parameters.items()}
    return "/".join(names.get(segment, segment) for segment in mount.split("/"))
