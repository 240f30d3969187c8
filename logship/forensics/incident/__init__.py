"""`logship incident`: what happened in a window, without a query."""

from logship.forensics.incident.incident import IncidentReport, as_json, incident, incident_json

__all__ = ["IncidentReport", "as_json", "incident", "incident_json"]
