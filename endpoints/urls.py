"""Pages of this room."""

from django.urls import URLPattern

app_name = "endpoints"
urlpatterns: list[URLPattern] = []
