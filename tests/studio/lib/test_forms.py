"""What every form needs."""

import pytest
from django import forms

from studio.lib.errors import BadRequest
from studio.lib.forms import TagsField, show_error


class Form(forms.Form):
    name = forms.CharField()


@pytest.mark.parametrize(
    ("field", "place"), [("name", "name"), ("elsewhere", "__all__"), ("", "__all__"), ("title", "name")]
)
def test_a_refusal_stands_at_its_field_or_above_the_form(field, place):
    form = Form({"name": "x"})
    assert form.is_valid()
    show_error(form, BadRequest("No.", hint="Do this.", field=field), names={"title": "name"})
    assert form.errors[place] == ["No. Do this."]


def test_tags_are_lines_both_ways():
    field = TagsField()
    assert field.clean("team = risk\n\nhot\nformula=a=b") == {"team": "risk", "hot": "", "formula": "a=b"}
    assert field.prepare_value({"team": "risk", "hot": ""}) == "team=risk\nhot="
    assert field.clean("") == {}


@pytest.mark.parametrize("text", ["=x", "a=1\na=2", "x" * 101, "\n".join(f"t{n}" for n in range(51))])
def test_tags_that_cannot_be_kept_are_refused(text):
    with pytest.raises(forms.ValidationError):
        TagsField().clean(text)
