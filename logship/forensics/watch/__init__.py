"""`logship watch`: the findings of an incident over and over, with a memory, so that each is reported once."""
