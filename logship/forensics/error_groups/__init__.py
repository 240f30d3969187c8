"""Exceptions in groups: the same class raised by the same function of the application, whatever called it."""
