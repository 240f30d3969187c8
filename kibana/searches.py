"""Saved searches: every view that shows events."""

from kibana.objects import SEARCH, SOURCE_INDEX, Body, saved, source, to_data_view
from logship.search.views import View

HINTS = {
    "story": ' Open it by a click on a request or a trace id, or add: http.request.id: "..."',
    "worker": " Choose the worker in the control of a dashboard, or open it by a click on a worker's name.",
}


def query_of(view: View) -> str:
    """The question; of any request, where the view is of one."""
    return view.where.replace('"{0}"', "*")


def search(view: View) -> Body:
    """The object. Events come as the view orders them: the greatest first, a story from its begin, else the newest."""
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
