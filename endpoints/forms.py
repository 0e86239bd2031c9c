"""What people type about endpoints. Forms check the shape; services and `traffic.py` check the sense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms

from endpoints.models import NAME_PATTERN, AuthMode, name_validators
from endpoints.traffic import MIRROR_PERCENT_MAXIMUM
from studio.lib.errors import StudioError
from studio.lib.forms import TagsField, show_error

NAME_RULE = "3 to 32 letters, digits and single dashes; begins with a letter, does not end in a dash."


class NameField(forms.CharField):
    """A name of an endpoint or deployment, with its rule as help text and as the browser's own check."""

    def __init__(self, **kwargs: Any) -> None:
        pattern = NAME_PATTERN.removeprefix("^").removesuffix("$")
        attributes = {"pattern": pattern, "minlength": 3, "maxlength": 32, "autocomplete": "off", "spellcheck": "false"}
        widget = forms.TextInput(attributes | {"autocapitalize": "none", "title": NAME_RULE})
        super().__init__(validators=name_validators, help_text=NAME_RULE, widget=widget, **kwargs)


class EndpointForm(forms.Form):
    """A new endpoint."""

    name = NameField(label="Name")
    auth_mode = forms.ChoiceField(
        label="Callers prove who they are with",
        choices=AuthMode.choices,
        initial=AuthMode.KEY,
        widget=forms.RadioSelect,
    )
    description = forms.CharField(label="Description", required=False, widget=forms.Textarea({"rows": 2}))
    tags = TagsField(label="Tags")


class EndpointSettingsForm(forms.Form):
    """What can be changed about an endpoint without touching its traffic or deployments."""

    description = forms.CharField(label="Description", required=False, widget=forms.Textarea({"rows": 2}))
    tags = TagsField(label="Tags")
    auth_mode = forms.ChoiceField(
        label="Callers prove who they are with", choices=AuthMode.choices, widget=forms.RadioSelect
    )
    rate_limit_per_second = forms.IntegerField(
        label="Most requests a second",
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="Further ones get 429. Empty: no limit.",
    )


class DeleteForm(forms.Form):
    """Deleting asks for the name to be typed."""

    confirm = forms.CharField(widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["confirm"].label = f"Type “{name}” to confirm"

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        if typed != self.name:
            raise forms.ValidationError(f"This is not the name “{self.name}”.")
        return typed


class DeleteManyForm(forms.Form):
    """Deleting several asks for all their names to be typed, in any order."""

    confirm = forms.CharField(
        label="Type all the names to confirm",
        help_text="In any order, separated by spaces, commas or new lines.",
        widget=forms.Textarea({"rows": 3, "autocomplete": "off", "spellcheck": "false", "class": "mono"}),
    )

    def __init__(self, *args: Any, names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names

    def clean_confirm(self) -> str:
        typed: str = self.cleaned_data["confirm"]
        given = set(typed.replace(",", " ").split())
        missing, foreign = sorted(set(self.names) - given), sorted(given - set(self.names))
        if missing:
            raise forms.ValidationError(f"Not typed yet: {', '.join(missing)}. Nothing was deleted.")
        if foreign:
            raise forms.ValidationError(f"Not among those chosen: {', '.join(foreign)}. Nothing was deleted.")
        return typed


class TrafficForm(forms.Form):
    """Shares for every deployment of an endpoint, in whole percent, and what is mirrored."""

    seen_number = forms.IntegerField(widget=forms.HiddenInput)
    mirror_target = forms.ChoiceField(label="Mirror requests to", required=False)
    mirror_percent = forms.IntegerField(
        label="Share of requests that is copied",
        required=False,
        min_value=0,
        max_value=MIRROR_PERCENT_MAXIMUM,
        widget=forms.NumberInput({"inputmode": "numeric", "placeholder": "10"}),
    )
    reason = forms.CharField(
        label="Why (for the history)",
        required=False,
        max_length=300,
        widget=forms.TextInput({"autocomplete": "off", "placeholder": "optional"}),
    )

    def __init__(self, *args: Any, deployments: Mapping[str, str], **kwargs: Any) -> None:
        """`deployments` maps each name, in order, to why it cannot get traffic, or ""."""
        super().__init__(*args, **kwargs)
        self.deployments = deployments
        target: Any = self.fields["mirror_target"]
        target.choices = [("", "nothing"), *((name, name) for name in deployments)]
        for name, reason in deployments.items():
            widget = forms.NumberInput({"inputmode": "numeric", "data-share": name, "class": "share-number"})
            field = forms.IntegerField(
                label=f"Share of {name}", required=False, initial=0, min_value=0, max_value=100, widget=widget
            )
            field.disabled = bool(reason)
            self.fields[self.field_of(name)] = field

    @staticmethod
    def field_of(name: str) -> str:
        return f"percent-{name}"

    @property
    def percents(self) -> dict[str, int]:
        return {name: self.cleaned_data.get(self.field_of(name)) or 0 for name in self.deployments}

    @property
    def mirror(self) -> dict[str, int]:
        target = self.cleaned_data.get("mirror_target")
        return {target: self.cleaned_data.get("mirror_percent") or 0} if target else {}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("mirror_target") and not cleaned.get("mirror_percent") and "mirror_percent" not in self.errors:
            self.add_error("mirror_percent", f"Say how much is mirrored: 1 to {MIRROR_PERCENT_MAXIMUM}.")
        return cleaned

    def refuse(self, error: StudioError) -> None:
        """Show a broken rule at the row of the deployment it is about: its share, or its mirroring."""
        name = error.field
        about_mirror = name in self.mirror and not (self.percents.get(name) and self.deployments.get(name))
        show_error(self, error, names={name: "mirror_target" if about_mirror else self.field_of(name)})


class ScoreForm(forms.Form):
    """A request to send from the Test tab."""

    deployment = forms.ChoiceField(label="Send to", required=False)
    body = forms.CharField(
        label="Request body (JSON)",
        strip=False,
        max_length=2_000_000,
        widget=forms.Textarea({"rows": 14, "spellcheck": "false", "autocomplete": "off", "data-json": ""}),
    )

    def __init__(self, *args: Any, deployments: Mapping[str, int], **kwargs: Any) -> None:
        """`deployments` maps each name to its share of the traffic."""
        super().__init__(*args, **kwargs)
        field: Any = self.fields["deployment"]
        field.choices = [
            ("", "the endpoint, as the traffic is split"),
            *((name, f"only {name} ({percent} % of the traffic)") for name, percent in deployments.items()),
        ]

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"]
        try:
            json.loads(body)
        except ValueError as error:
            at = f" in line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise forms.ValidationError(f"This is not JSON: {what}{at}.") from None
        except RecursionError:
            raise forms.ValidationError("This JSON is nested too deeply.") from None
        return body
