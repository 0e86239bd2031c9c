"""Small things every form needs: a service's refusal at its field, tags, several files at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from studio.lib.errors import StudioError

TAGS_MAXIMUM = 50


def show_error(form: forms.Form, error: StudioError, *, names: Mapping[str, str] | None = None) -> None:
    """Put a service's refusal at the field it names, or above the form when it names none of the form's.

    `names` maps a service's field to the form's where they differ.
    """
    field = (names or {}).get(error.field, error.field)
    message = f"{error.message} {error.hint}".strip()
    form.add_error(field if field in form.fields else None, message)


class TagsField(forms.CharField):
    """Tags as text, one `name=value` a line (the value may be left out); becomes a dict."""

    def __init__(self, **kwargs: Any) -> None:
        attributes = {"rows": 2, "placeholder": "team=risk\nstage=test", "spellcheck": "false"}
        kwargs.setdefault("widget", forms.Textarea(attrs=attributes))
        kwargs.setdefault("help_text", "One name=value a line.")
        super().__init__(required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{name}={text}" for name, text in value.items())
        return value

    def clean(self, value: Any) -> dict[str, str]:
        tags: dict[str, str] = {}
        for number, line in enumerate((super().clean(value) or "").splitlines(), start=1):
            name, _, text = (part.strip() for part in line.partition("="))
            if not line.strip():
                continue
            if not name:
                raise forms.ValidationError(f"Line {number}: '{line.strip()[:60]}' has no name before the equals sign.")
            if name in tags:
                raise forms.ValidationError(f"Line {number}: the tag '{name}' occurs twice.")
            if len(name) > 100 or len(text) > 500:
                raise forms.ValidationError(f"Line {number}: a name has at most 100 characters, a value 500.")
            tags[name] = text
        if len(tags) > TAGS_MAXIMUM:
            raise forms.ValidationError(f"There are {len(tags)} tags; at most {TAGS_MAXIMUM} can be kept.")
        return tags


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files; becomes a list, [] when none was chosen and none is required."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", FilesInput())
        super().__init__(**kwargs)

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        given: Sequence[Any] = data if isinstance(data, list | tuple) else [data] if data else []
        if not given:
            super().clean(None, initial)
            return []
        return [super(FilesField, self).clean(file, initial) for file in given]
