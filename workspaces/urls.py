"""Pages of this room."""

from django.urls import URLPattern

app_name = "workspaces"
urlpatterns: list[URLPattern] = []
