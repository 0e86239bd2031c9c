"""What people type about deployments. Forms check the shape; services and `spec.py` check the sense."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

from deployments import spec
from deployments.models import InstanceType
from deployments.queries import Choices, Offer
from deployments.services.revisions import RevisionSpec
from endpoints.forms import NameField
from studio.lib.errors import StudioError
from studio.lib.forms import FilesField, FilesInput, TagsField, show_error
from workspaces.models import CodeVersion

PROBE_PARTS = {
    "initial_delay": "Initial delay (s)",
    "period": "Period (s)",
    "timeout": "Timeout (s)",
    "success_threshold": "Successes needed",
    "failure_threshold": "Failures allowed",
}
PROBES = ("readiness", "liveness")
# how the services call a field, and how the forms do
FIELD_OF = {
    "model": "model_version",
    "code": "code_version",
    "environment": "environment_version",
    "readiness_probe": "readiness_initial_delay",
    "liveness_probe": "liveness_initial_delay",
}


@dataclass
class InstanceCards:
    """Instance types under one heading; "" for those shown without one."""

    title: str
    is_open: bool = False
    cards: list[tuple[Any, Offer]] = field(default_factory=list)


class VersionField(forms.ChoiceField):
    """One of the given rows, in groups by name."""

    def __init__(self, *, label: str, empty: str = "", required: bool = True, **kwargs: Any) -> None:
        super().__init__(label=label, required=required, **kwargs)
        self.empty = empty
        self.rows: dict[str, Any] = {}

    def offer(self, rows: Iterable[Any], *, group: str) -> None:
        # a form's field is a shallow copy of its class's: what it offers must be its own
        self.rows = {}
        groups: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            self.rows[str(row.pk)] = row
            groups.setdefault(str(getattr(row, group)), []).append((str(row.pk), str(row)))
        first = [("", self.empty)] if self.empty or not self.required else [("", "Choose…")]
        self.choices = [*first, *((name, versions) for name, versions in groups.items())]

    def prepare_value(self, value: Any) -> Any:
        return value.pk if hasattr(value, "pk") else value

    def clean(self, value: Any) -> Any:
        return self.rows.get(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return str(getattr(initial, "pk", initial) or "") != str(data or "")


class VariablesField(forms.CharField):
    """Environment variables as NAME=value lines; cleans to a mapping."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{name}={text}" for name, text in value.items())
        return value

    def clean(self, value: Any) -> dict[str, str]:
        try:
            return spec.parse_variables(str(super().clean(value)))
        except spec.SpecInvalid as error:
            raise forms.ValidationError(error.message) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != dict(initial or {}))
        except forms.ValidationError:
            return True


class RevisionForm(forms.Form):
    """What a revision is made of: the part that creating and updating have in common."""

    model_version = VersionField(label="Model", empty="No model: the script brings what it needs", required=False)
    code_files = FilesField(
        label="Scoring code",
        required=False,
        allow_empty_file=True,  # such as __init__.py
        help_text="The script and what it imports; or one zip of the folder. Without code the model is served as it is: "
        "MLflow, scikit-learn, ONNX, XGBoost, LightGBM.",
    )
    code_folder = FilesField(
        label="or a whole folder",
        required=False,
        allow_empty_file=True,
        widget=FilesInput({"webkitdirectory": True}),
    )
    paths = forms.CharField(required=False, widget=forms.HiddenInput)
    code_version = VersionField(
        label="or code registered before",
        empty="None: upload it, or serve the model as it is",
        required=False,
        help_text="Used when nothing is uploaded.",
    )
    scoring_script = forms.CharField(
        label="Scoring script",
        initial="score.py",
        required=False,
        max_length=255,
        help_text="Its path in the code folder; it has init() and run().",
        widget=forms.TextInput({"spellcheck": "false", "autocomplete": "off", "class": "mono"}),
    )
    environment_version = VersionField(label="Environment")
    instance_type = VersionField(label="Instance type", widget=forms.RadioSelect)
    environment_variables = VariablesField(
        label="Environment variables",
        required=False,
        help_text="One a line: NAME=value. Kept encrypted.",
        widget=forms.Textarea({"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "mono"}),
    )
    request_timeout_ms = forms.IntegerField(
        label="Request timeout (ms)",
        initial=5000,
        min_value=1,
        max_value=spec.REQUEST_TIMEOUT_MS_MAXIMUM,
        help_text="Longer requests get 408.",
    )
    max_concurrent_requests_per_instance = forms.IntegerField(
        label="Concurrent requests per instance",
        initial=1,
        min_value=1,
        max_value=1000,
        help_text="As many again may wait; more get 429.",
    )
    max_queue_wait_ms = forms.IntegerField(
        label="Queue wait (ms)",
        initial=500,
        min_value=0,
        max_value=spec.REQUEST_TIMEOUT_MS_MAXIMUM,
        help_text="Kept for files made for Azure. Waiting counts into the request timeout, whatever stands here.",
    )

    def __init__(self, *args: Any, choices: Choices, offers: list[Offer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers = {str(offer.instance_type.pk): offer for offer in offers}
        fields: Any = self.fields
        fields["model_version"].offer(choices.models, group="model")
        fields["code_version"].offer(choices.codes, group="code")
        fields["environment_version"].offer(choices.environments, group="environment")
        fields["instance_type"].offer(choices.instance_types, group="name")
        fields["instance_type"].choices = [(str(kind.pk), kind.name) for kind in choices.instance_types]
        for probe in PROBES:
            self._add_probe(probe)

    def _add_probe(self, probe: str) -> None:
        default = spec.Probe().as_dict()
        for part, label in PROBE_PARTS.items():
            field = forms.IntegerField(label=label, initial=default[part], min_value=1, max_value=86_400)
            if probe == "liveness" and part == "success_threshold":
                field.max_value, field.disabled = 1, True
            self.fields[f"{probe}_{part}"] = field

    def clean_paths(self) -> list[str]:
        """The files' paths, in the order of the files, as the browser's script knows them; [] without it."""
        text = self.cleaned_data["paths"]
        try:
            paths = json.loads(text) if text else []
        except ValueError:
            paths = None
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise forms.ValidationError("The paths of the files are not a list; choose the files again.")
        return paths

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("code_files") and cleaned.get("code_folder"):
            self.add_error("code_folder", "Choose files or a folder, not both.")
        has_code = bool(self.uploads or cleaned.get("code_version") or "code_version" in self.errors)
        if not has_code:
            cleaned["scoring_script"] = ""
        if not has_code and not cleaned.get("model_version") and "model_version" not in self.errors:
            self.add_error(
                "code_files", "Upload the scoring code, or choose code or a model that was registered before."
            )
        return cleaned

    @property
    def uploads(self) -> list[UploadedFile]:
        return [*self.cleaned_data.get("code_files", []), *self.cleaned_data.get("code_folder", [])]

    @property
    def code_source(self) -> dict[str, Any]:
        """What was uploaded, as arguments of `register_code`: a zip, or pairs of path and stream."""
        files = self.uploads
        if len(files) == 1 and str(files[0].name).lower().endswith(".zip"):
            return {"zip_file": files[0]}
        paths = self.cleaned_data.get("paths") or []
        names = paths if len(paths) == len(files) else [str(file.name) for file in files]
        return {"files": list(zip(names, files, strict=True))}

    def use_code(self, version: CodeVersion) -> None:
        """Take this version as chosen, so that the upload is not lost when the form is shown again."""
        field: Any = self.fields["code_version"]
        if str(version.pk) not in field.rows:
            field.offer([version, *field.rows.values()], group="code")
        data = cast(QueryDict, self.data).copy()
        data["code_version"] = str(version.pk)
        self.data = data
        self.cleaned_data["code_version"] = version

    @property
    def instance_cards(self) -> list[InstanceCards]:
        """Each instance type's radio button with what the quota has room for: the studio's own sizes, Azure's, the rest."""
        groups = [InstanceCards("", True), InstanceCards("Azure sizes"), InstanceCards("Sizes beyond the free quota")]
        for option in self["instance_type"]:
            offer = self.offers[str(option.data["value"])]
            is_own = offer.instance_type.name.startswith("Local_")
            group = groups[2 if not offer.fits else 0 if is_own else 1]
            group.cards.append((option, offer))
            group.is_open = group.is_open or bool(option.data["selected"])
        return [group for group in groups if group.cards]

    @property
    def probe_fields(self) -> list[tuple[str, list[Any]]]:
        return [(probe, [self[f"{probe}_{part}"] for part in PROBE_PARTS]) for probe in PROBES]

    def values(self) -> dict[str, Any]:
        """By the names of RevisionSpec."""
        values = {name: self.cleaned_data[name] for name in RevisionSpec.__dataclass_fields__ if name in self.fields}
        for probe in PROBES:
            values[f"{probe}_probe"] = {part: self.cleaned_data[f"{probe}_{part}"] for part in PROBE_PARTS}
        return values

    def refuse(self, error: StudioError) -> None:
        show_error(self, error, names=FIELD_OF)


class DeploymentForm(RevisionForm):
    """A new deployment."""

    name = NameField(label="Name")
    description = forms.CharField(label="Description", required=False, widget=forms.Textarea({"rows": 2}))
    tags = TagsField(label="Tags")
    instance_count = forms.IntegerField(
        label="Instances",
        initial=1,
        min_value=1,
        max_value=spec.INSTANCE_COUNT_MAXIMUM,
        help_text="3 or more ride out a loss.",
    )


class UpdateForm(RevisionForm):
    """A patch: only what was changed is changed; `seen_revision` is the revision the form was made from."""

    seen_revision = forms.IntegerField(widget=forms.HiddenInput)

    def changed_values(self) -> dict[str, Any]:
        """Only what differs from what the form was made from, by the names of RevisionSpec."""
        changed = set(self.changed_data) | ({"code_version"} if self.uploads else set())
        names = {next((f"{p}_probe" for p in PROBES if name.startswith(f"{p}_")), name) for name in changed}
        if "code_version" in names:
            names.add("scoring_script")  # without code there is none, though the field still shows one
        return {name: value for name, value in self.values().items() if name in names}

    @staticmethod
    def initial_of(base: Any) -> dict[str, Any]:
        """What a revision is, in the names of the form."""
        values = {name: getattr(base, name) for name in RevisionSpec.__dataclass_fields__}
        for probe in PROBES:
            values |= {f"{probe}_{part}": value for part, value in values.pop(f"{probe}_probe").items()}
        return values | {"seen_revision": base.number}


class ScaleForm(forms.Form):
    """How many instances shall run."""

    instance_count = forms.IntegerField(
        label="Instances",
        min_value=1,
        max_value=spec.INSTANCE_COUNT_MAXIMUM,
        help_text="Further ones are ready before they get requests; surplus ones finish theirs first.",
    )


def default_instance_type(kinds: list[InstanceType]) -> InstanceType | None:
    """The smallest of the studio's own; else the smallest."""
    own = [kind for kind in kinds if kind.name.startswith("Local_")]
    return next(iter([*own, *kinds]), None)
