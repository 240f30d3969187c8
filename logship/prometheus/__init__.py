"""Metrics of workers for Prometheus: what their metric files hold, as families of prometheus_client, and how it is served."""
