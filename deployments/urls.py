"""Pages of this room."""

from django.urls import URLPattern, URLResolver, include, path

from deployments.views import change, logs, picture, show

app_name = "deployments"

# /workspaces/<ws>/endpoints/<ep>/deployments/<dep>/
deployment_urls = [
    path("", show.detail, name="detail"),
    path("logs/", logs.logs, name="logs"),
    path("update/", change.update, name="update"),
    path("retry/", change.retry, name="retry"),
    path("remedy/", change.remedy, name="remedy"),
    path("scale/", change.scale, name="scale"),
    path("cancel/", change.cancel, name="cancel"),
    path("delete/", change.delete, name="delete"),
]

# /workspaces/<ws>/endpoints/<ep>/
urlpatterns: list[URLPattern | URLResolver] = [
    path("workspaces/<str:ws>/endpoints/<str:ep>/new-deployment/", change.create, name="create"),
    path("workspaces/<str:ws>/endpoints/<str:ep>/deployments/", show.index, name="list"),
    path("workspaces/<str:ws>/endpoints/<str:ep>/picture/", picture.picture, name="picture"),
    path("workspaces/<str:ws>/endpoints/<str:ep>/deployments/<str:dep>/", include(deployment_urls)),
]
