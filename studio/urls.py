"""The site map: each room lists its own pages."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("studio.health_urls")),
    path("", include("studio.pages.urls")),
    path("", include("workspaces.urls")),
    path("", include("endpoints.urls")),
    path("", include("deployments.urls")),
    path("", include("api.urls")),
    path("", include("monitoring.urls")),
]
