"""Saved searches: one for each view that shows events."""

from kibana.objects import SEARCH, SOURCE_INDEX, Body, saved, source, to_data_view
from logship.search.views import View

HINTS = {
    "story": ' To open it, click a request id or trace id, or add the filter http.request.id: "..."',
    "worker": " Choose a worker in the control of a dashboard, or click the name of a worker.",
}


def query_of(view: View) -> str:
    """Return the query of a view. A view of one request matches all requests here."""
    return view.where.replace('"{0}"', "*")


def search(view: View) -> Body:
    """Return the saved object. Events are ordered as in the view: greatest first, oldest first for a story, else newest first."""
    order = [view.greatest, "desc"] if view.greatest else ["@timestamp", "asc" if view.needs_id else "desc"]
    attributes = {
        "title": f"logship: {view.title.lower()}",
        "description": view.sentence + HINTS.get(view.name, ""),
        "columns": [name for name in view.columns if name != "@timestamp"],  # Kibana puts the time before them
        "sort": [order],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "timeRestore": False,
        "kibanaSavedObjectMeta": source(query_of(view), indexed=True),
    }
    return saved("search", SEARCH + view.name, attributes, [to_data_view(SOURCE_INDEX)])
