"""Ways for the rooms above to notice a change here. Each carries only an id and means: look again."""

from django.dispatch import Signal

# deployment_id: instances became ready, are to be drained, or are gone
instances_changed = Signal()
