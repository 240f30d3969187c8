"""What differs between two windows: field values and their combinations that explain more failures, slowness or traffic."""
