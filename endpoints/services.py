"""Verbs a user may ask for in this room: keyword-only, atomic, recorded."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from types import EllipsisType
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from endpoints import traffic
from endpoints.lifecycle import TABLE
from endpoints.models import AuthMode, Endpoint, TrafficVersion
from endpoints.queries import current_traffic, why_not_serving
from endpoints.signals import endpoint_deleting, routing_changed
from endpoints.tokens import (
    AUDIENCE,
    ISSUER,
    REFRESH_AFTER,
    TOKEN_LIFETIME,
    IssuedToken,
    TokenIssuer,
    new_signing_key,
)
from studio.lib.errors import BadRequest, Conflict
from studio.lib.secrets import ensure_secret
from workspaces.lifecycle import finish, move
from workspaces.models import Operation, Target, Workspace
from workspaces.queries import running_operation
from workspaces.services.record import open_operation, record

KEY_BYTES = 24
ENDPOINTS_PER_STUDIO = 1000
STEP_ROUTE = "Routing"
STEP_REMOVE_DEPLOYMENTS = "Deleting deployments"
STEP_UNROUTE = "Closing the address"


class EndpointBusy(Conflict):
    """The endpoint is being deleted."""


def new_key() -> str:
    """32 URL-safe characters."""
    return secrets.token_urlsafe(KEY_BYTES)


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def create_endpoint(
    *,
    workspace: Workspace,
    name: str,
    by: Any,
    auth_mode: str = AuthMode.KEY,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    rate_limit_per_second: int | None = None,
) -> Endpoint:
    """A new address with two fresh keys. It answers 404 until a deployment gets traffic.

    Raises BadRequest for a bad name and Conflict when the name is taken anywhere in the installation.
    """
    endpoint = Endpoint(
        workspace=workspace,
        name=name,
        description=description,
        tags=dict(tags or {}),
        properties=dict(properties or {}),
        auth_mode=auth_mode,
        rate_limit_per_second=rate_limit_per_second,
        created_by=by,
    )
    try:
        endpoint.clean_fields(exclude=["workspace", "created_by"])
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise BadRequest(f"{field}: {problems[0]}", field=field) from None
    if Endpoint.objects.count() >= ENDPOINTS_PER_STUDIO:
        raise Conflict(f"This studio already has {ENDPOINTS_PER_STUDIO} endpoints, the most it takes.")
    _fill_key(endpoint, "primary", new_key())
    _fill_key(endpoint, "secondary", new_key())
    try:
        with transaction.atomic():
            endpoint.save()
            TrafficVersion.objects.create(endpoint=endpoint, number=1, by=by, reason="endpoint created")
            open_operation(
                workspace=workspace,
                kind=Operation.Kind.CREATE_ENDPOINT,
                subject=endpoint.activity_subject(),
                steps=[STEP_ROUTE],
                by=by,
            )
            record(subject=endpoint.activity_subject(), verb="endpoint created", by=by, after={"auth_mode": auth_mode})
            _routing_changed(endpoint)
    except IntegrityError:
        raise Conflict(f"The name '{name}' is taken; endpoint names are unique in a studio.", field="name") from None
    return endpoint


def update_endpoint(
    *,
    endpoint: Endpoint,
    by: Any,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    auth_mode: str | None = None,
    rate_limit_per_second: int | EllipsisType | None = ...,
) -> Endpoint:
    """Change only what is given. Never touches traffic or deployments."""
    _refuse_while_deleting(endpoint)
    if auth_mode is not None and auth_mode not in AuthMode.values:
        raise BadRequest(f"'{auth_mode}' is not an auth mode; use {' or '.join(AuthMode.values)}.", field="auth_mode")
    wanted: dict[str, Any] = {
        "description": description,
        "tags": None if tags is None else dict(tags),
        "properties": None if properties is None else dict(properties),
        "auth_mode": auth_mode,
    }
    changes = {field: value for field, value in wanted.items() if value is not None}
    if rate_limit_per_second is not ...:
        changes["rate_limit_per_second"] = rate_limit_per_second
    before = {field: getattr(endpoint, field) for field in changes if getattr(endpoint, field) != changes[field]}
    if not before:
        return endpoint
    with transaction.atomic():
        for field in before:
            setattr(endpoint, field, changes[field])
        endpoint.save(update_fields=[*before, "updated_at"])
        after = {field: changes[field] for field in before}
        record(subject=endpoint.activity_subject(), verb="endpoint updated", by=by, before=before, after=after)
        _routing_changed(endpoint)
    return endpoint


def set_traffic(
    *,
    endpoint: Endpoint,
    percents: Mapping[str, int],
    by: Any,
    mirror: Mapping[str, int] | None = None,
    reason: str = "",
    undo_of: int | None = None,
    seen_number: int | None = None,
) -> TrafficVersion:
    """Send each deployment its share of the endpoint's requests, as a new traffic version.

    `percents` maps deployment name to 0-100; names left out get 0; the sum is 0 or 100. `mirror` None keeps the mirroring
    that is in force. `seen_number` is the version the caller looked at: when another one is in force by now, nothing
    changes. In force when the gateway has published it, usually within 200 ms. The same allocation again is no new version.

    Raises TrafficInvalid and Conflict (changed by somebody else, or the endpoint is being deleted).
    """
    _refuse_while_deleting(endpoint)
    with transaction.atomic():
        Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        newest = current_traffic(endpoint)
        if seen_number is not None and seen_number != newest.number:
            raise Conflict(
                f"The traffic was changed by somebody else meanwhile (version {newest.number}, you saw {seen_number}).",
                hint="Look at the traffic now in force and decide again.",
            )
        deployments = why_not_serving(endpoint, already=newest.percents | newest.mirror)
        new_percents = traffic.check_percents(percents, deployments=deployments)
        wanted_mirror = newest.mirror if mirror is None else mirror
        new_mirror = traffic.check_mirror(wanted_mirror, percents=new_percents, deployments=deployments)
        if (_shares(new_percents), new_mirror) == (_shares(newest.percents), newest.mirror):
            return newest
        version = TrafficVersion.objects.create(
            endpoint=endpoint,
            number=newest.number + 1,
            percents=new_percents,
            mirror=new_mirror,
            reason=reason,
            undo_of=undo_of,
            by=by,
        )
        record(
            subject=endpoint.activity_subject(),
            verb="traffic changed" if undo_of is None else "traffic change undone",
            by=by,
            before={"percents": newest.percents, "mirror": newest.mirror, "version": newest.number},
            after={"percents": new_percents, "mirror": new_mirror, "version": version.number},
            message=reason,
        )
        _routing_changed(endpoint)
    return version


def undo_traffic(*, endpoint: Endpoint, by: Any, to_number: int | None = None) -> TrafficVersion:
    """Bring back the allocation of version `to_number` (None: the one before the newest) as a new version.

    Raises Conflict when there is nothing to go back to, and TrafficInvalid when that allocation is no longer possible.
    """
    newest = current_traffic(endpoint)
    number = newest.number - 1 if to_number is None else to_number
    target = TrafficVersion.objects.filter(endpoint=endpoint, number=number).first()
    if target is None or target.number == newest.number:
        raise Conflict("There is no earlier traffic allocation to go back to.")
    return set_traffic(
        endpoint=endpoint,
        percents=_shares(target.percents),
        mirror=target.mirror,
        by=by,
        reason=f"back to version {target.number}",
        undo_of=newest.number,
    )


def regenerate_key(*, endpoint: Endpoint, which: str, by: Any, value: str | None = None) -> str:
    """Replace the primary or secondary key; the old one stops working when the gateway has published it. Returns the key.

    `value`, when given, has 16 to 128 printable ASCII characters without spaces.
    """
    _refuse_while_deleting(endpoint)
    if which not in ("primary", "secondary"):
        raise BadRequest(f"'{which}' is not a key; use primary or secondary.", field="which")
    key = value if value is not None else new_key()
    if not (16 <= len(key) <= 128 and key.isascii() and key.isprintable() and " " not in key):
        raise BadRequest("A key has 16 to 128 printable ASCII characters without spaces.", field="value")
    other = "secondary" if which == "primary" else "primary"
    with transaction.atomic():
        endpoint = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        if sha256_of(key) == getattr(endpoint, f"{other}_key_sha256"):
            raise BadRequest(f"The {other} key already has this value; the two must differ.", field="value")
        _fill_key(endpoint, which, key)
        endpoint.save(update_fields=[f"{which}_key", f"{which}_key_sha256", "updated_at"])
        record(subject=endpoint.activity_subject(), verb=f"{which} key regenerated", by=by)
        _routing_changed(endpoint)
    return key


def token_issuer() -> TokenIssuer:
    """Signs this installation's tokens. Its key is made on first use and kept below STUDIO_HOME/secrets."""
    key = ensure_secret(settings.STUDIO_HOME / "secrets" / "tokens.key", new_signing_key)
    return TokenIssuer(key, ISSUER, AUDIENCE)


def issue_token(*, endpoint: Endpoint) -> IssuedToken:
    """A new token for an endpoint with auth mode aml_token. Raises BadRequest for one with keys."""
    if endpoint.auth_mode != AuthMode.AML_TOKEN:
        raise BadRequest(f"Endpoint '{endpoint.name}' uses keys; tokens are for auth mode aml_token.")
    now = timezone.now()
    seconds = int(TOKEN_LIFETIME.total_seconds())
    token = token_issuer().make(endpoint.name, now=now.timestamp(), lifetime_seconds=seconds)
    return IssuedToken(token, now + TOKEN_LIFETIME, now + REFRESH_AFTER)


def delete_endpoint(*, endpoint: Endpoint, by: Any) -> Operation:
    """Close the address, drain and delete every deployment behind it, then the endpoint. Raises OperationInProgress."""
    with transaction.atomic():
        operation = open_operation(
            workspace=endpoint.workspace,
            kind=Operation.Kind.DELETE_ENDPOINT,
            subject=endpoint.activity_subject(),
            steps=[STEP_UNROUTE, STEP_REMOVE_DEPLOYMENTS],
            by=by,
        )
        move(endpoint, Endpoint.State.DELETING, TABLE, by=by, verb="endpoint deletion started")
        _routing_changed(endpoint)
        transaction.on_commit(partial(endpoint_deleting.send, sender=Endpoint, endpoint_id=endpoint.pk))
    return operation


def forget_deployment(*, endpoint: Endpoint, name: str) -> None:
    """Take the name of a deployment that is gone out of the allocation. It has no share, so no request goes elsewhere."""
    newest = current_traffic(endpoint)
    if name not in newest.percents and name not in newest.mirror:
        return
    TrafficVersion.objects.create(
        endpoint=endpoint,
        number=newest.number + 1,
        percents=traffic.without(newest.percents, [name]),
        mirror=traffic.without(newest.mirror, [name]),
        reason=f"{name} deleted",
    )


def note_published(*, versions: Mapping[int, int], gone: Iterable[int]) -> None:
    """What the gateway has in force: traffic version number by endpoint id, and the deleting endpoints it no longer has."""
    now = timezone.now()
    for endpoint in Endpoint.objects.filter(pk__in=versions).exclude(state=Endpoint.State.DELETING):
        if endpoint.routed_version != versions[endpoint.pk]:
            Endpoint.objects.filter(pk=endpoint.pk).update(routed_version=versions[endpoint.pk], routed_at=now)
        if endpoint.state in (Endpoint.State.CREATING, Endpoint.State.UPDATING):
            operation = running_operation(Target.ENDPOINT, endpoint.pk)
            if operation:
                operation.steps.update(state="Succeeded", started_at=operation.created_at, finished_at=now)
            move(endpoint, Endpoint.State.SUCCEEDED, TABLE, closes=operation, verb="endpoint ready")
    for endpoint in Endpoint.objects.filter(pk__in=list(gone), state=Endpoint.State.DELETING):
        operation = running_operation(Target.ENDPOINT, endpoint.pk)
        if operation:
            steps = operation.steps.filter(name=STEP_UNROUTE).exclude(state="Succeeded")
            steps.update(state="Succeeded", started_at=operation.created_at, finished_at=now)
        remove_if_empty(endpoint=endpoint)


def remove_if_empty(*, endpoint: Endpoint) -> bool:
    """Remove a deleting endpoint that the gateway has closed and that has no deployment left. True when it is gone."""
    operation = running_operation(Target.ENDPOINT, endpoint.pk)
    if operation is None or endpoint.deployments.exists():
        return False
    if operation.steps.filter(name=STEP_UNROUTE).exclude(state="Succeeded").exists():
        return False
    now = timezone.now()
    with transaction.atomic():
        operation.steps.filter(name=STEP_REMOVE_DEPLOYMENTS).update(
            state="Succeeded", started_at=operation.created_at, finished_at=now
        )
        record(subject=endpoint.activity_subject(), verb="endpoint deleted", by=operation.by)
        finish(operation)
        endpoint.delete()
    return True


def _fill_key(endpoint: Endpoint, which: str, key: str) -> None:
    setattr(endpoint, f"{which}_key", key)
    setattr(endpoint, f"{which}_key_sha256", sha256_of(key))


def _shares(percents: Mapping[str, int]) -> dict[str, int]:
    return {name: percent for name, percent in percents.items() if percent}


def _refuse_while_deleting(endpoint: Endpoint) -> None:
    if endpoint.state == Endpoint.State.DELETING:
        raise EndpointBusy(f"'{endpoint.name}' is being deleted.")


def _routing_changed(endpoint: Endpoint) -> None:
    transaction.on_commit(partial(routing_changed.send, sender=Endpoint, endpoint_id=endpoint.pk))
