"""Pages of this room."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path

from studio.pages import find, views

app_name = "studio"
urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("find/", find.find, name="find"),
    path("theme/", views.theme, name="theme"),
]
