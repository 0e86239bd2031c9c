"""What a deployment is made of: models, environments, code. Versions never change; they are archived instead."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower

from workspaces.models.people import Workspace
from workspaces.models.record import Subject, Target

asset_name = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$",
    "Use letters, digits, dots, dashes and underscores; begin with a letter or digit.",
)
asset_version = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "Use up to 64 letters, digits, dots, dashes and underscores."
)


class FileTree(models.Model):
    """Files by content. `manifest` is a list of [relative path, sha256, size in bytes]; the bytes lie in the store."""

    sha256 = models.CharField(max_length=64, unique=True)
    manifest = models.JSONField()
    size_bytes = models.BigIntegerField()
    file_count = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.sha256[:12]


class Asset(models.Model):
    """A name under which versions are kept."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="%(class)ss")
    name = models.CharField(max_length=255, validators=[asset_name])
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class AssetVersion(models.Model):
    """One immutable version of an asset."""

    # 64 characters: the official client names the environment inside a deployment by a SHA-256
    version = models.CharField(max_length=64, validators=[asset_version])
    description = models.TextField(blank=True)
    tags = models.JSONField(default=dict, blank=True)
    # what clients of the API keep beside it; the studio does not look at it
    properties = models.JSONField(default=dict, blank=True)
    # made for one deployment by a client that was given files instead of a name; lists of the API leave it out
    is_anonymous = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-created_at", "-pk"]


class RegisteredModel(Asset):
    """A model's name."""

    class Meta(Asset.Meta):
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="registered_model_name_unique")]


class ModelType(models.TextChoices):
    CUSTOM = "custom_model", "Custom"
    MLFLOW = "mlflow_model", "MLflow"
    TRITON = "triton_model", "Triton"


class RegisteredModelVersion(AssetVersion):
    """Files of a model. Paths in `files` are exactly those below AZUREML_MODEL_DIR."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="versions")
    type = models.CharField(max_length=20, choices=ModelType.choices, default=ModelType.CUSTOM)
    files = models.ForeignKey(FileTree, on_delete=models.PROTECT, related_name="+")
    flavours = models.JSONField(default=dict, blank=True)
    signature = models.JSONField(default=dict, blank=True)

    class Meta(AssetVersion.Meta):
        constraints = [
            models.UniqueConstraint("model", Lower("version"), name="registered_model_version_unique"),
            models.CheckConstraint(condition=models.Q(type__in=ModelType.values), name="registered_model_type_known"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name}:{self.version}"


class Code(Asset):
    """The name of a folder with scoring scripts."""

    class Meta(Asset.Meta):
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="code_name_unique")]


class CodeVersion(AssetVersion):
    """A folder with scoring scripts."""

    code = models.ForeignKey(Code, on_delete=models.CASCADE, related_name="versions")
    files = models.ForeignKey(FileTree, on_delete=models.PROTECT, related_name="+")

    class Meta(AssetVersion.Meta):
        constraints = [models.UniqueConstraint("code", Lower("version"), name="code_version_unique")]

    def __str__(self) -> str:
        return f"{self.code.name}:{self.version}"


class Environment(Asset):
    """An environment's name. Curated ones ship with the studio and exist in every workspace."""

    is_curated = models.BooleanField(default=False)

    class Meta(Asset.Meta):
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="environment_name_unique")]


class EnvironmentBuild(models.Model):
    """A virtual environment on disk, shared by every environment version with the same content."""

    class State(models.TextChoices):
        QUEUED = "Queued"
        RUNNING = "Running"
        SUCCEEDED = "Succeeded"
        FAILED = "Failed"
        CANCELED = "Canceled"

    content_sha256 = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)
    hint = models.TextField(blank=True)
    python_wanted = models.CharField(max_length=12, blank=True)
    python_used = models.CharField(max_length=20, blank=True)
    substitution = models.TextField(blank=True)
    # the folder below STUDIO_HOME/environments; known once the interpreter is
    log_key = models.CharField(max_length=64, blank=True)
    path = models.CharField(max_length=500, blank=True)
    python_path = models.CharField(max_length=500, blank=True)
    packages = models.JSONField(default=list, blank=True)
    warnings = models.JSONField(default=list, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    error_line = models.IntegerField(null=True, blank=True)
    error_text = models.TextField(blank=True)
    attempt = models.IntegerField(default=0)
    lease_holder = models.CharField(max_length=60, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["Queued", "Running", "Succeeded", "Failed", "Canceled"]),
                name="environment_build_state_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.content_sha256[:12]} ({self.state})"

    def activity_subject(self) -> Subject:
        return Subject(None, Target.BUILD, self.pk, self.content_sha256[:12])


class EnvironmentVersion(AssetVersion):
    """What an instance's interpreter and packages are made from."""

    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="versions")
    image = models.CharField(max_length=500, blank=True)
    conda_file = models.TextField(blank=True)
    pip_requirements = models.TextField(blank=True)
    build = models.ForeignKey(EnvironmentBuild, on_delete=models.PROTECT, related_name="versions")

    class Meta(AssetVersion.Meta):
        constraints = [
            models.UniqueConstraint("environment", Lower("version"), name="environment_version_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.environment.name}:{self.version}"
