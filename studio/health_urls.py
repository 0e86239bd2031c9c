"""Where the studio says whether it is up. No slash at the end: it is asked by programs."""

from django.urls import path

from studio.health import healthz

urlpatterns = [path("healthz", healthz, name="healthz")]
