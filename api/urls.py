"""Every address of the API. Azure's words are spelled one way here; `api.middleware` brings others to it."""

from django.contrib.auth.decorators import login_required
from django.urls import URLPattern, URLResolver, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.views import APIView

from api.arm import PROVIDER
from api.views import assets, blobs, cloud, deployments, endpoints, operations, workspaces

app_name = "api"

SUBSCRIPTION = "subscriptions/<str:sub>"
WORKSPACES = f"{SUBSCRIPTION}/resourceGroups/<str:rg>/providers/{PROVIDER}/workspaces"
WORKSPACE = f"{WORKSPACES}/<str:ws>"
LOCATION = f"{SUBSCRIPTION}/providers/{PROVIDER}/locations/<str:location>"
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/<str:ep>"
DEPLOYMENT = f"{ENDPOINT}/deployments/<str:dep>"


def versioned(kind: str, word: str, *views: type[APIView]) -> list[URLPattern]:
    """Names, one name, its versions, one version."""
    base = f"{WORKSPACE}/{kind}"
    routes = {
        f"{word}-list": base,
        f"{word}": f"{base}/<str:name>",
        f"{word}-versions": f"{base}/<str:name>/versions",
        f"{word}-version": f"{base}/<str:name>/versions/<str:version>",
    }
    return [path(route, view.as_view(), name=name) for (name, route), view in zip(routes.items(), views, strict=True)]


urlpatterns: list[URLPattern | URLResolver] = [
    # /subscriptions/{sub}/…/workspaces
    path(f"{SUBSCRIPTION}/providers/{PROVIDER}/workspaces", workspaces.WorkspaceList.as_view(), name="workspaces-all"),
    path(WORKSPACES, workspaces.WorkspaceList.as_view(), name="workspaces"),
    path(WORKSPACE, workspaces.WorkspaceDetail.as_view(), name="workspace"),
    path(f"{WORKSPACE}/datastores", workspaces.DatastoreList.as_view(), name="datastores"),
    path(f"{WORKSPACE}/datastores/<str:name>", workspaces.DatastoreDetail.as_view(), name="datastore"),
    path(
        f"{WORKSPACE}/datastores/<str:name>/listSecrets",
        workspaces.DatastoreSecrets.as_view(),
        name="datastore-secrets",
    ),
    # /…/workspaces/{ws}/{models, environments, codes}
    *versioned("models", "model", assets.ModelList, assets.ModelContainer, assets.ModelVersions, assets.ModelVersion),
    *versioned(
        "environments",
        "environment",
        assets.EnvironmentList,
        assets.EnvironmentContainer,
        assets.EnvironmentVersions,
        assets.EnvironmentVersionView,
    ),
    *versioned("codes", "code", assets.CodeList, assets.CodeContainer, assets.CodeVersions, assets.CodeVersionView),
    path(
        f"{WORKSPACE}/codes/<str:name>/versions/<str:version>/startPendingUpload",
        assets.PendingUpload.as_view(),
        name="pending-upload",
    ),
    path(f"{WORKSPACE}/data/<path:rest>", cloud.DataAssets.as_view(), name="data"),
    # /…/onlineEndpoints
    path(f"{WORKSPACE}/onlineEndpoints", endpoints.EndpointList.as_view(), name="endpoints"),
    path(ENDPOINT, endpoints.EndpointDetail.as_view(), name="endpoint"),
    path(f"{ENDPOINT}/listKeys", endpoints.EndpointKeys.as_view(), name="endpoint-keys"),
    path(f"{ENDPOINT}/regenerateKeys", endpoints.EndpointRegenerate.as_view(), name="endpoint-regenerate"),
    path(f"{ENDPOINT}/token", endpoints.EndpointToken.as_view(), name="endpoint-token"),
    # /…/onlineEndpoints/{ep}/deployments
    path(f"{ENDPOINT}/deployments", deployments.DeploymentList.as_view(), name="deployments"),
    path(DEPLOYMENT, deployments.DeploymentDetail.as_view(), name="deployment"),
    path(f"{DEPLOYMENT}/getLogs", deployments.DeploymentLogs.as_view(), name="deployment-logs"),
    path(f"{DEPLOYMENT}/skus", deployments.DeploymentSkus.as_view(), name="deployment-skus"),
    path(f"{DEPLOYMENT}/cancel", deployments.DeploymentCancel.as_view(), name="deployment-cancel"),
    # /…/locations/{location}
    path(
        f"{LOCATION}/mfeOperationsStatus/<uuid:op>", operations.OperationStatusView.as_view(), name="operation-status"
    ),
    path(
        f"{LOCATION}/mfeOperationResults/<uuid:op>", operations.OperationResultView.as_view(), name="operation-result"
    ),
    path("subscriptions/<path:rest>", cloud.NothingHere.as_view(), name="nothing"),
    # what clients ask before they call
    path("metadata/endpoints", cloud.metadata, name="metadata"),
    path("msi/token", cloud.msi_token, name="msi-token"),
    # /blobstore/{ws}/{container}
    path("blobstore/<str:ws>/<str:container>", blobs.container, name="container"),
    path("blobstore/<str:ws>/<str:container>/<path:path>", blobs.blob, name="blob"),
    # the description of all this, for people and programs
    path("api/schema", login_required(SpectacularJSONAPIView.as_view()), name="schema"),
    path(
        "api/docs",
        login_required(SpectacularSwaggerSplitView.as_view(url_name="api:schema", template_name="api/docs.html")),
        name="docs",
    ),
]
