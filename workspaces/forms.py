"""Shapes of what people type. Whether it makes sense is for the services to say."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model

from studio.lib.formats import bytes_text
from studio.lib.forms import FilesField, FilesInput, TagsField
from workspaces.models import Member, Role, Workspace
from workspaces.models.assets import ModelType
from workspaces.models.people import workspace_name

CONDA_EXAMPLE = """\
name: scoring
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
      - scikit-learn==1.5.2
      - pandas==2.2.3
"""


def _text(rows: int, **attributes: str) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, **attributes})


def _name(placeholder: str) -> forms.TextInput:
    attributes = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "placeholder": placeholder}
    return forms.TextInput(attrs=attributes)


class RegisterModelForm(forms.Form):
    """Files, a folder, or a zip; `for_service` gives `register_model` its arguments."""

    name = forms.CharField(
        max_length=255,
        widget=_name("churn"),
        help_text="Letters, digits, dots, dashes, underscores. A known name gets a new version.",
    )
    version = forms.CharField(
        max_length=30, required=False, widget=_name("next number"), help_text="Empty: the next whole number."
    )
    type = forms.ChoiceField(
        choices=ModelType.choices,
        initial=ModelType.CUSTOM,
        help_text="Custom: any files, read by your scoring script. MLflow: a folder with an MLmodel file.",
    )
    upload = FilesField(
        label="Files or a zip",
        required=False,
        widget=FilesInput(),
        help_text="Drop files here or choose them. Several files keep their names.",
    )
    folder = FilesField(
        label="Or a whole folder",
        required=False,
        allow_empty_file=True,
        widget=FilesInput(attrs={"webkitdirectory": True}),
        help_text="Its name and the paths below it are kept.",
    )
    unpack = forms.BooleanField(
        label="Unpack a zip",
        required=False,
        initial=True,
        help_text="A single zip becomes the folder it holds. Without this it stays a zip.",
    )
    paths = forms.CharField(required=False, widget=forms.HiddenInput)
    description = forms.CharField(max_length=4000, required=False, widget=_text(2))
    tags = TagsField()

    def clean_paths(self) -> list[str]:
        """The files' relative paths, in their order; [] when the page has no scripts to tell them."""
        try:
            paths = json.loads(self.cleaned_data["paths"] or "[]")
        except json.JSONDecodeError:
            raise forms.ValidationError("The list of paths cannot be read; reload the page and try again.") from None
        return [str(path) for path in paths] if isinstance(paths, list) else []

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        chosen = self._chosen()
        if not chosen and not {"upload", "folder"} & set(self.errors):
            self.add_error("upload", "Choose the model's files, a folder, or a zip.")
        size_bytes = sum(file.size or 0 for file in chosen)
        if size_bytes > settings.STUDIO_MAX_UPLOAD_BYTES:
            most = bytes_text(settings.STUDIO_MAX_UPLOAD_BYTES)
            self.add_error("upload", f"These files have {bytes_text(size_bytes)}; at most {most} are taken at once.")
        return data

    def _chosen(self) -> list[Any]:
        return [*(self.cleaned_data.get("upload") or []), *(self.cleaned_data.get("folder") or [])]

    def for_service(self) -> dict[str, Any]:
        data, chosen = self.cleaned_data, self._chosen()
        given = {key: data[key] for key in ("name", "version", "type", "description", "tags")}
        if data["unpack"] and len(chosen) == 1 and chosen[0].name.lower().endswith(".zip"):
            return {**given, "zip_file": chosen[0]}
        paths = data["paths"] if len(data["paths"]) == len(chosen) else [file.name for file in chosen]
        return {**given, "files": list(zip(paths, chosen, strict=True))}


class EnvironmentForm(forms.Form):
    """Both definitions stay in the form; only the chosen kind is used."""

    name = forms.CharField(
        max_length=255, widget=_name("churn-env"), help_text="A known name gets a new version; versions never change."
    )
    version = forms.CharField(
        max_length=30, required=False, widget=_name("next number"), help_text="Empty: the next whole number."
    )
    kind = forms.ChoiceField(
        label="Defined by",
        choices=[("conda", "Conda file"), ("pip", "Pip requirements")],
        initial="conda",
        widget=forms.RadioSelect,
    )
    conda_file = forms.CharField(
        label="Conda file",
        required=False,
        initial=CONDA_EXAMPLE,
        strip=False,
        max_length=100_000,
        widget=_text(14, spellcheck="false", **{"class": "mono"}),
        help_text="Its Python, conda packages and pip packages are installed from PyPI into a virtual environment.",
    )
    pip_requirements = forms.CharField(
        label="Pip requirements",
        required=False,
        strip=False,
        max_length=100_000,
        widget=_text(10, spellcheck="false", placeholder="scikit-learn==1.5.2\npandas==2.2.3", **{"class": "mono"}),
        help_text="One requirement a line, as in requirements.txt.",
    )
    image = forms.CharField(
        label="Base image",
        max_length=500,
        required=False,
        widget=_name("mcr.microsoft.com/azureml/…"),
        help_text="Kept with the environment. Local compute runs without containers and ignores it.",
    )
    description = forms.CharField(max_length=4000, required=False, widget=_text(2))
    tags = TagsField()

    @property
    def definition_field(self) -> str:
        return "pip_requirements" if self.cleaned_data.get("kind") == "pip" else "conda_file"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.definition_field not in self.errors and not (data.get(self.definition_field) or "").strip():
            self.add_error(self.definition_field, "Say what to install, or at least the Python version.")
        return data

    def for_service(self) -> dict[str, Any]:
        data = self.cleaned_data
        given = {key: data[key] for key in ("name", "version", "image", "description", "tags")}
        return {**given, self.definition_field: data[self.definition_field].replace("\r\n", "\n")}


class MemberForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, initial=Role.READER)
    can_read_keys = forms.BooleanField(
        label="May read keys", required=False, help_text="See the endpoints' keys and tokens, whatever the role."
    )


class AddMemberForm(MemberForm):
    """`for_service` gives `set_member` its arguments."""

    username = forms.CharField(max_length=150, widget=_name("dana"))
    field_order = ["username", "role", "can_read_keys"]

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workspace = workspace

    def clean_username(self) -> Any:
        username = self.cleaned_data["username"].strip()
        user = get_user_model().objects.filter(username__iexact=username).first()
        if user is None:
            raise forms.ValidationError(
                f"There is no account '{username}'. An administrator of the installation creates accounts."
            )
        if Member.objects.filter(workspace=self.workspace, user=user).exists():
            raise forms.ValidationError(f"{user} is a member already; change the role in the table.")
        return user

    def for_service(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {"user": data["username"], "role": data["role"], "can_read_keys": data["can_read_keys"]}


class AccessTokenForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="What it is for, so that you know which one to revoke.")
    days = forms.TypedChoiceField(
        label="Expires",
        coerce=int,
        choices=[(7, "in 7 days"), (30, "in 30 days"), (90, "in 90 days"), (365, "in a year"), (0, "never")],
        initial=90,
    )
    can_write = forms.BooleanField(
        label="May change things",
        required=False,
        help_text="Otherwise it reads only. Never more than your role allows.",
    )

    def for_service(self) -> dict[str, Any]:
        return {**self.cleaned_data, "days": self.cleaned_data["days"] or None}


def _password(**attributes: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"autocomplete": "new-password", **attributes})


class AccountForm(forms.Form):
    """`cleaned_data` are the arguments of `create_account`."""

    username = forms.CharField(
        max_length=150, widget=_name("dana"), help_text="What they sign in with: letters, digits and @ . + - _"
    )
    password = forms.CharField(
        required=False, max_length=4096, strip=False, widget=_password(), help_text="Empty: one is made and shown once."
    )
    is_administrator = forms.BooleanField(
        label="Administrator", required=False, help_text="Sees and changes every workspace, and these accounts."
    )


class PasswordForm(forms.Form):
    """One's own password: the present one, and the new one twice."""

    present = forms.CharField(label="Present password", strip=False, widget=_password(autocomplete="current-password"))
    new = forms.CharField(
        label="New password", max_length=4096, strip=False, widget=_password(), help_text="At least 8 characters."
    )
    again = forms.CharField(label="New password once more", strip=False, widget=_password())

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "new" in data and "again" in data and data["new"] != data["again"]:
            self.add_error("again", "This is not the same as the new password above.")
        return data


class WorkspaceForm(forms.Form):
    name = forms.CharField(max_length=33, widget=_name("risk"), validators=[workspace_name])
    description = forms.CharField(max_length=4000, required=False, widget=_text(2))
