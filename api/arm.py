"""Azure's resource ids and addresses: written, read, and spelled the same way. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.lib.errors import BadRequest

PROVIDER = "Microsoft.MachineLearningServices"
DATASTORE = "workspaceblobstore"
CONTAINER = "azureml-blobstore"

_WORDS = (
    "subscriptions resourceGroups providers locations workspaces datastores listSecrets codes models environments versions "
    "startPendingUpload onlineEndpoints deployments listKeys regenerateKeys token getLogs skus cancel "
    "mfeOperationsStatus mfeOperationResults"
).split()
_SPELLING = {word.lower(): word for word in (*_WORDS, PROVIDER)}
_VERSION_ID = re.compile(
    r"^(?:azureml:)?/subscriptions/(?P<sub>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/[^/]+/workspaces/(?P<workspace>[^/]+)"
    r"/(?P<kind>[^/]+)/(?P<name>[^/]+)/(?P<part>versions|labels)/(?P<version>[^/]+)/?$",
    re.IGNORECASE,
)
_REGISTRY_ID = re.compile(
    r"^azureml://registries/[^/]+/(?P<kind>[^/]+)/(?P<name>[^/]+)/(?P<part>versions|labels)/(?P<version>[^/]+)/?$",
    re.IGNORECASE,
)
_SHORT_ID = re.compile(r"^(?:azureml:)?(?P<name>[^:/@]+)(?::(?P<version>[^:/@]+)|@(?P<label>[^:/@]+))$")
_DATA_URI = re.compile(
    r"^azureml://(?:subscriptions/(?P<sub>[^/]+)/resourcegroups/(?P<group>[^/]+)/(?:providers/[^/]+/)?workspaces/(?P<workspace>[^/]+)/)?"
    r"datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)$",
    re.IGNORECASE,
)


def spelled(path: str) -> str:
    """The path with Azure's words in their one spelling; names between them stay as they are. Twice changes nothing.

    Words stand at every other place; below the provider at the places after it.
    """
    parts = path.split("/")
    if len(parts) < 2 or parts[1].lower() != "subscriptions":
        return path
    at = 1
    while at < len(parts):
        word = _SPELLING.get(parts[at].lower(), parts[at])
        parts[at] = word
        if word == "providers" and at + 1 < len(parts):
            parts[at + 1] = _SPELLING.get(parts[at + 1].lower(), parts[at + 1])
        at += 2
    return "/".join(parts)


def workspace_id(subscription_id: str, resource_group: str, name: str) -> str:
    return f"/subscriptions/{subscription_id}/resourceGroups/{resource_group}/providers/{PROVIDER}/workspaces/{name}"


@dataclass(frozen=True)
class VersionRef:
    """What an id of an asset version says. `workspace` "" when it names none; `version` may be "latest"."""

    name: str
    version: str
    workspace: str = ""


def read_version_id(text: str, kind: str) -> VersionRef:
    """A full id, `azureml:name:version`, `azureml:name@latest`, or a registry's id. Raises BadRequest.

    `kind` is the plural in the path, such as "models". What a registry has is looked for in the workspace itself.
    """
    found = _VERSION_ID.match(text) or _REGISTRY_ID.match(text)
    if found:
        parts = found.groupdict()
        if parts["kind"].lower() != kind:
            raise BadRequest(f"'{text}' names one of {parts['kind']}; one of {kind} is wanted.")
        return VersionRef(parts["name"], parts["version"], parts.get("workspace") or "")
    short = _SHORT_ID.match(text)
    if short:
        return VersionRef(short["name"], short["version"] or short["label"])
    raise BadRequest(
        f"'{text}' is not the id of a version of {kind}.", hint=f"Use {{workspace id}}/{kind}/name/versions/1."
    )


def read_data_uri(uri: str) -> tuple[str, str]:
    """(workspace or "", path) of `azureml://…/datastores/workspaceblobstore/paths/…`. Raises BadRequest."""
    found = _DATA_URI.match(uri)
    if found is None:
        raise BadRequest(
            f"'{uri}' is not an address of files in this studio.",
            code="NotSupported",
            hint=f"Upload the files to the datastore {DATASTORE} first; the official client does so for a local path.",
        )
    if found["datastore"].lower() != DATASTORE:
        raise BadRequest(f"There is no datastore '{found['datastore']}'; the studio has one, {DATASTORE}.")
    return found["workspace"] or "", found["path"]


def data_uri(subscription_id: str, resource_group: str, workspace: str, path: str) -> str:
    return (
        f"azureml://subscriptions/{subscription_id}/resourcegroups/{resource_group}/workspaces/{workspace}"
        f"/datastores/{DATASTORE}/paths/{path}"
    )
