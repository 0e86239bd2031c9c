"""Ways for the rooms above to notice a change here. Each carries only an id and means: look again."""

from django.dispatch import Signal

# endpoint_id: the address, credentials or traffic of an endpoint changed
routing_changed = Signal()

# endpoint_id: an endpoint is to be deleted; whoever keeps things behind it takes them down
endpoint_deleting = Signal()
