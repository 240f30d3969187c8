"""A recorded request as something that can be sent again: a curl command, and a file for the REST clients of editors."""
