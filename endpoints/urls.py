"""Pages of this room."""

from django.urls import URLPattern, URLResolver, include, path

from endpoints.views import consume, detail, lists, test, traffic

app_name = "endpoints"

# /workspaces/<ws>/endpoints/<ep>/
endpoint_urls = [
    path("", detail.overview, name="detail"),
    path("state/", detail.state, name="state"),
    path("traffic/", traffic.edit, name="traffic"),
    path("traffic/undo/", traffic.undo, name="undo"),
    path("test/", test.test, name="test"),
    path("consume/", consume.consume, name="consume"),
    path("consume/keys/", consume.reveal_keys, name="reveal-keys"),
    path("consume/token/", consume.fetch_token, name="fetch-token"),
    path("consume/regenerate/", consume.regenerate_key, name="regenerate-key"),
    path("consume/ca.pem", consume.certificate, name="certificate"),
    path("settings/", detail.settings, name="settings"),
    path("delete/", detail.delete, name="delete"),
]

# /workspaces/<ws>/
urlpatterns: list[URLPattern | URLResolver] = [
    path("workspaces/<str:ws>/new-endpoint/", lists.create, name="create"),
    path("workspaces/<str:ws>/delete-endpoints/", lists.delete_many, name="delete-many"),
    path("workspaces/<str:ws>/endpoints/", lists.index, name="list"),
    path("workspaces/<str:ws>/endpoints/<str:ep>/", include(endpoint_urls)),
]
