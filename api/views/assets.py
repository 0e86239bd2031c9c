"""Models, environments and code: one family of doors, since they differ only in what a version holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from api import sas
from api.errors import NotSupported
from api.files import tree_of_uri
from api.pagination import page, with_tags
from api.schema import listing
from api.serializers import assets as shapes
from api.views.base import ArmView, blob_account
from studio.lib.errors import BadRequest, Conflict, NotFound
from workspaces import queries
from workspaces.models import (
    Code,
    CodeVersion,
    Environment,
    EnvironmentVersion,
    RegisteredModel,
    RegisteredModelVersion,
)
from workspaces.permissions import Need
from workspaces.services.assets import archive_version, describe_version, register_code, register_model
from workspaces.services.environments import create_environment_version

PENDING_LIFETIME = timedelta(hours=4)
CHANGES = {"PUT": Need.WRITE, "PATCH": Need.WRITE, "DELETE": Need.WRITE}


def _described(get: Any, put: Any = None) -> Any:
    """Says in the OpenAPI document which shape the doors of a kind have."""
    methods = {"get": extend_schema(responses=get)}
    if put is not None:
        methods["put"] = extend_schema(request=put, responses=put)
    return extend_schema_view(**methods)


class Assets(ArmView):
    """What is the same for every kind. `kind` is the word in the address, `parent` a version's way to its name."""

    kind: ClassVar[str]
    parent: ClassVar[str]
    container_model: ClassVar[type[Any]]
    version_model: ClassVar[type[Any]]
    needs: ClassVar[dict[str, Need]] = CHANGES

    def container(self, name: str) -> Any:
        """Raises NotFound."""
        found = self.containers().filter(name__iexact=name).first()
        if found is None:
            raise NotFound(f"There is no {self.parent} '{name}' in '{self.workspace.name}'.")
        return found

    def containers(self) -> QuerySet[Any]:
        """Names with their versions, newest first."""
        versions = self.version_model.objects.only("version", "archived_at", "created_at", f"{self.parent}_id")
        rows = self.container_model.objects.filter(workspace=self.workspace)
        return rows.prefetch_related(Prefetch("versions", queryset=versions)).order_by("name")

    def versions(self, name: str) -> QuerySet[Any]:
        """Newest first; none at all for a name nobody knows."""
        of_name = {f"{self.parent}__workspace": self.workspace, f"{self.parent}__name__iexact": name}
        related = [self.parent, "created_by", *(["build"] if self.kind == "environments" else ["files"])]
        return self.version_model.objects.filter(**of_name).select_related(*related)

    def version(self, name: str, version: str) -> Any:
        """Raises NotFound."""
        found = self.versions(name).filter(version__iexact=version).first()
        if found is None:
            raise NotFound(f"There is no version '{version}' of {self.parent} '{name}' in '{self.workspace.name}'.")
        return found

    def answer(self, version: Any) -> dict[str, Any]:
        raise NotImplementedError

    def container_answer(self, container: Any) -> dict[str, Any]:
        return shapes.container_answer(container, kind=self.kind, workspace_id=self.workspace_id)


class Containers(Assets):
    @extend_schema(responses=listing(shapes.ContainerBody))
    def get(self, request: Request, sub: str, rg: str, ws: str) -> Response:
        of_it = self.version_model.objects.filter(**{self.parent: OuterRef("pk")})
        rows = with_tags(request, self.containers()).filter(Exists(of_it.filter(is_anonymous=False)))
        current = Exists(of_it.filter(archived_at__isnull=True))
        return page(request, _as_wanted(request, rows, current, ~current), self.container_answer)


class Container(Assets):
    @extend_schema(responses=shapes.ContainerBody)
    def get(self, request: Request, sub: str, rg: str, ws: str, name: str) -> Response:
        return self.resource(self.container_answer(self.container(name)))

    @extend_schema(request=shapes.ContainerBody, responses=shapes.ContainerBody)
    def put(self, request: Request, sub: str, rg: str, ws: str, name: str) -> Response:
        """Archive or restore every version; a name comes into being with its first version only."""
        given = self.read(shapes.ContainerBody)["properties"]
        with transaction.atomic():
            container = self.container(name)
            self.check_preconditions(self.container_answer(container))
            if any(given.get(field) for field in ("description", "tags", "properties")):
                raise NotSupported("Descriptions, tags and properties belong to versions here; leave them out.")
            for version in container.versions.select_related(self.parent):
                archive_version(version=version, by=self.by, archived=bool(given.get("isArchived")))
        return self.resource(self.container_answer(self.container(name)))


class Versions(Assets):
    def get(self, request: Request, sub: str, rg: str, ws: str, name: str) -> Response:
        rows = with_tags(request, self.versions(name))
        order = request.query_params.get("$orderBy", request.query_params.get("orderBy", ""))
        if order.lower().replace(" ", "") in ("createdtimeasc", "createdatasc"):
            rows = rows.order_by("created_at", "pk")
        return page(request, _archived_as_wanted(request, rows), self.answer)


class Version(Assets):
    body: ClassVar[type[Any]]

    def get(self, request: Request, sub: str, rg: str, ws: str, name: str, version: str) -> Response:
        return self.resource(self.answer(self.version(name, version)))

    def put(self, request: Request, sub: str, rg: str, ws: str, name: str, version: str) -> Response:
        """What a version holds never changes; what is said about it, and whether it is archived, may."""
        given = self.read(self.body)["properties"]
        with transaction.atomic():
            existing = self.versions(name).filter(version__iexact=version).first()
            self.check_preconditions(None if existing is None else self.answer(existing))
            if existing is None:
                made = self.register(name, version, given)
            else:
                self.check_same(existing, given)
                made = existing
                said = {field: given.get(field) or {} for field in ("tags", "properties")}
                describe_version(version=made, by=self.by, description=given.get("description") or "", **said)
            archive_version(version=made, by=self.by, archived=bool(given.get("isArchived")))
        return self.resource(self.answer(self.version(name, version)), status=200 if existing else 201)

    def register(self, name: str, version: str, given: dict[str, Any]) -> Any:
        raise NotImplementedError

    def check_same(self, existing: Any, given: dict[str, Any]) -> None:
        """Raises for a request that would change what the version holds."""
        raise NotImplementedError


def said_about(given: dict[str, Any]) -> dict[str, Any]:
    """What registering any kind takes alike."""
    return {
        "description": given.get("description") or "",
        "tags": given.get("tags") or {},
        "properties": given.get("properties") or {},
        "is_anonymous": bool(given.get("isAnonymous")),
    }


class _Models(Assets):
    kind, parent = "models", "model"
    container_model, version_model = RegisteredModel, RegisteredModelVersion

    def answer(self, version: RegisteredModelVersion) -> dict[str, Any]:
        return shapes.model_answer(version, self.workspace, self.workspace_id)


class ModelList(_Models, Containers):
    """Names of models."""


class ModelContainer(_Models, Container):
    """One model's name."""


@_described(listing(shapes.ModelVersionBody))
class ModelVersions(_Models, Versions):
    """Versions of a model."""


@_described(shapes.ModelVersionBody, put=shapes.ModelVersionBody)
class ModelVersion(_Models, Version):
    body = shapes.ModelVersionBody

    def register(self, name: str, version: str, given: dict[str, Any]) -> RegisteredModelVersion:
        if not given.get("modelUri"):
            raise BadRequest("properties.modelUri: Say where the files of the model are.", field="properties.modelUri")
        return register_model(
            workspace=self.workspace,
            name=name,
            version=version,
            by=self.by,
            tree=tree_of_uri(self.workspace, given["modelUri"], keep_name=True),
            type=given.get("modelType") or "custom_model",
            flavours=given.get("flavors"),
            **said_about(given),
        )

    def check_same(self, existing: RegisteredModelVersion, given: dict[str, Any]) -> None:
        uri, kind = given.get("modelUri"), given.get("modelType")
        if uri and uri.lower() != self.answer(existing)["properties"]["modelUri"].lower():
            tree = tree_of_uri(self.workspace, uri, keep_name=True)
            if tree.pk != existing.files_id:
                raise BadRequest(
                    f"{existing} holds other files; versions never change.",
                    code="UserError",
                    field="properties.modelUri",
                    hint="Register them as a new version.",
                )
        if kind and kind != existing.type:
            raise BadRequest(f"{existing} is a {existing.type}.", code="UserError", field="properties.modelType")


class _Environments(Assets):
    kind, parent = "environments", "environment"
    container_model, version_model = Environment, EnvironmentVersion

    def answer(self, version: EnvironmentVersion) -> dict[str, Any]:
        return shapes.environment_answer(version, self.workspace, self.workspace_id)


class EnvironmentList(_Environments, Containers):
    """Names of environments."""


class EnvironmentContainer(_Environments, Container):
    """One environment's name."""


@_described(listing(shapes.EnvironmentVersionBody))
class EnvironmentVersions(_Environments, Versions):
    """Versions of an environment."""


@_described(shapes.EnvironmentVersionBody, put=shapes.EnvironmentVersionBody)
class EnvironmentVersionView(_Environments, Version):
    body = shapes.EnvironmentVersionBody

    def register(self, name: str, version: str, given: dict[str, Any]) -> EnvironmentVersion:
        if not (given.get("condaFile") or "").strip():
            raise NotSupported(
                "An environment needs a conda file here: instances run in a virtual environment, not in an image.",
                field="properties.condaFile",
            )
        return create_environment_version(
            workspace=self.workspace,
            name=name,
            version=version,
            by=self.by,
            conda_file=given["condaFile"],
            image=given.get("image") or "",
            **said_about(given),
        )

    def check_same(self, existing: EnvironmentVersion, given: dict[str, Any]) -> None:
        now = self.answer(existing)["properties"]
        for field in ("condaFile", "image"):
            if given.get(field) and given[field].strip() != (now[field] or "").strip():
                raise Conflict(f"{existing} exists already with another {field}; versions never change.", field=field)


class _Codes(Assets):
    kind, parent = "codes", "code"
    container_model, version_model = Code, CodeVersion

    def answer(self, version: CodeVersion) -> dict[str, Any]:
        root = f"{self.request.scheme}://{blob_account(self.request, self.workspace)}/azureml-blobstore"
        return shapes.code_answer(version, self.workspace, self.workspace_id, root)


class CodeList(_Codes, Containers):
    """Names of code folders."""


class CodeContainer(_Codes, Container):
    """One code folder's name."""


@_described(listing(shapes.CodeVersionBody))
class CodeVersions(_Codes, Versions):
    def versions(self, name: str) -> QuerySet[Any]:
        """With `?hash=`, every code of this content whatever its name: clients give the same folder a new name each time."""
        digest = self.request.query_params.get("hash")
        if digest is None:
            return super().versions(name)
        return queries.codes_with_property(self.workspace, "hash_sha256", digest).select_related("files")


@_described(shapes.CodeVersionBody, put=shapes.CodeVersionBody)
class CodeVersionView(_Codes, Version):
    body = shapes.CodeVersionBody

    def register(self, name: str, version: str, given: dict[str, Any]) -> CodeVersion:
        if not given.get("codeUri"):
            raise BadRequest("properties.codeUri: Say where the files of the code are.", field="properties.codeUri")
        tree = tree_of_uri(self.workspace, given["codeUri"], keep_name=False)
        return register_code(
            workspace=self.workspace, name=name, version=version, by=self.by, tree=tree, **said_about(given)
        )

    def check_same(self, existing: CodeVersion, given: dict[str, Any]) -> None:
        uri = given.get("codeUri")
        if not uri or uri == self.answer(existing)["properties"]["codeUri"]:
            return
        if tree_of_uri(self.workspace, uri, keep_name=False).pk != existing.files_id:
            raise BadRequest(
                f"{existing} holds other files; versions never change.", code="UserError", field="properties.codeUri"
            )


class PendingUpload(ArmView):
    """A container of its own for files that will be registered, and a signature for it."""

    needs: ClassVar[dict[str, Need]] = {"POST": Need.WRITE}

    @extend_schema(request=shapes.PendingUploadBody, responses={200: dict})
    def post(self, request: Request, sub: str, rg: str, ws: str, name: str, version: str) -> Response:
        self.read(shapes.PendingUploadBody)
        container = f"code-{uuid4()}"
        signature = sas.sign(
            workspace_id=self.workspace.pk,
            container=container,
            token=self.token,
            may_write=True,
            lifetime=PENDING_LIFETIME,
        )
        address = f"{request.scheme}://{blob_account(request, self.workspace)}/{container}"
        reference = {
            "blobUri": address,
            "credential": {"credentialType": "SAS", "sasUri": f"{address}?{signature}"},
        }
        return Response(
            {
                "pendingUploadId": container,
                "pendingUploadType": "TemporaryBlobReference",
                "blobReferenceForConsumption": reference,
            }
        )


def _archived_as_wanted(request: Request, rows: QuerySet[Any]) -> QuerySet[Any]:
    current, archived = {"archived_at__isnull": True}, {"archived_at__isnull": False}
    view = request.query_params.get("listViewType", "ActiveOnly").lower()
    return {"activeonly": rows.filter(**current), "archivedonly": rows.filter(**archived), "all": rows}[_known(view)]


def _as_wanted(request: Request, rows: QuerySet[Any], active: Any, archived: Any) -> QuerySet[Any]:
    view = request.query_params.get("listViewType", "ActiveOnly").lower()
    return {"activeonly": rows.filter(active), "archivedonly": rows.filter(archived), "all": rows}[_known(view)]


def _known(view: str) -> str:
    if view not in ("activeonly", "archivedonly", "all"):
        raise BadRequest(f"listViewType is '{view}'; use ActiveOnly, ArchivedOnly or All.", field="listViewType")
    return view
