"""Forms of this room: they check shape; services check sense."""

from __future__ import annotations

from django import forms

from deployments.models import InstanceType


class PriceForm(forms.Form):
    """A new price of one instance type."""

    instance_type = forms.ModelChoiceField(InstanceType.objects.all(), to_field_name="name", widget=forms.HiddenInput)
    price_per_hour = forms.DecimalField(
        max_digits=10, decimal_places=5, min_value=0, widget=forms.NumberInput(attrs={"step": "any", "min": "0"})
    )
