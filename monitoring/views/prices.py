"""What instance types cost, and from when on."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from deployments.models import InstanceType
from monitoring import services
from monitoring.forms import PriceForm
from studio.lib.errors import Forbidden, StudioError
from studio.lib.forms import show_error
from workspaces.queries import get_workspace_for


@require_http_methods(["GET", "HEAD", "POST"])
def prices(request: HttpRequest, ws: str) -> HttpResponse:
    """Everybody may look; an administrator may change. A new price holds from now on."""
    workspace = get_workspace_for(request.user, ws)
    form = PriceForm(request.POST or None)
    status = 200
    if request.method == "POST":
        if not request.user.is_superuser:
            raise Forbidden("Prices hold for every workspace; only an administrator may change them.")
        status = 422
        if form.is_valid():
            try:
                changed = services.set_price(**form.cleaned_data, by=request.user)
            except StudioError as error:
                show_error(form, error)
            else:
                name = form.cleaned_data["instance_type"].name
                messages.success(request, f"{name} has a new price from now on." if changed else "Nothing was changed.")
                return redirect("monitoring:prices", workspace.name)
    types = InstanceType.objects.prefetch_related("prices__by").order_by("vcpu", "memory_bytes", "name")
    context = {"workspace": workspace, "types": types, "form": form, "asked_for": request.POST.get("instance_type", "")}
    return render(request, "monitoring/prices.html", context, status=status)
