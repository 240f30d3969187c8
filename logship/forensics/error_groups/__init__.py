"""Exceptions in groups: the same class raised at the same place of the application, whatever the way there was."""
