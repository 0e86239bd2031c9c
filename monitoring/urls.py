"""Pages of this room."""

from django.urls import URLPattern, URLResolver, include, path

from monitoring.views import cost, measured, metrics, overview, prices

app_name = "monitoring"

# /workspaces/<ws>/endpoints/<ep>/
endpoint_urls = [
    path("metrics/", metrics.metrics, name="metrics"),
    path("metrics/data.json", metrics.data, name="metrics-data"),
    path("metrics/export.csv", metrics.export, name="metrics-export"),
    path("measured/", measured.measured, name="measured"),
    path("cost/", cost.of_endpoint, name="endpoint-cost"),
]

# /workspaces/<ws>/
urlpatterns: list[URLPattern | URLResolver] = [
    path("workspaces/<str:ws>/metrics/", overview.overview, name="overview"),
    path("workspaces/<str:ws>/cost/", cost.of_workspace, name="cost"),
    path("workspaces/<str:ws>/cost/prices/", prices.prices, name="prices"),
    path("workspaces/<str:ws>/endpoints/<str:ep>/", include(endpoint_urls)),
]
