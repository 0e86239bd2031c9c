"""Pages of this room."""

from django.urls import URLPattern, URLResolver, include, path

from workspaces.views import accounts, activity, code, environments, home, members, models, tokens

app_name = "workspaces"

# /workspaces/<ws>/models/<name>/versions/<version>/
model_version_urls = [
    path("", models.version, name="model-version"),
    path("files/<path:file>", models.download, name="model-file"),
    path("archive/", models.archive, name="archive-model"),
    path("restore/", models.restore, name="restore-model"),
    path("delete/", models.delete, name="delete-model"),
]

# /workspaces/<ws>/environments/<name>/versions/<version>/
environment_version_urls = [
    path("", environments.version, name="environment-version"),
    path("rebuild/", environments.rebuild, name="rebuild-environment"),
    path("archive/", environments.archive, name="archive-environment"),
    path("restore/", environments.restore, name="restore-environment"),
    path("delete/", environments.delete, name="delete-environment"),
]

# /workspaces/<ws>/code/<name>/versions/<version>/
code_version_urls = [
    path("", code.version, name="code-version"),
    path("files/<path:file>", code.download, name="code-file"),
]

# /workspaces/<ws>/
workspace_urls: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("activity/", activity.index, name="activity"),
    path("models/", models.index, name="models"),
    path("new-model/", models.register, name="register-model"),
    path("models/<str:name>/", models.detail, name="model"),
    path("models/<str:name>/versions/<str:version>/", include(model_version_urls)),
    path("environments/", environments.index, name="environments"),
    path("new-environment/", environments.create, name="create-environment"),
    path("environments/<str:name>/", environments.detail, name="environment"),
    path("environments/<str:name>/versions/<str:version>/", include(environment_version_urls)),
    path("code/", code.index, name="code"),
    path("code/<str:name>/", code.detail, name="code-detail"),
    path("code/<str:name>/versions/<str:version>/", include(code_version_urls)),
    path("members/", members.index, name="members"),
    path("members/<int:member_id>/", members.change, name="change-member"),
    path("members/<int:member_id>/remove/", members.remove, name="remove-member"),
    path("tokens/", tokens.index, name="tokens"),
    path("tokens/<int:token_id>/revoke/", tokens.revoke, name="revoke-token"),
]

# /accounts/
account_urls = [
    path("", accounts.index, name="accounts"),
    path("<int:account_id>/", accounts.change, name="change-account"),
    path("<int:account_id>/password/", accounts.reset, name="reset-password"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include(account_urls)),
    path("password/", accounts.password, name="password"),
    path("new-workspace/", home.create, name="create-workspace"),
    path("workspaces/<str:ws>/", include(workspace_urls)),
]
