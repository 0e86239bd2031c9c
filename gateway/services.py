"""Verbs of this room: bring the rows into force, rotate the logs."""

from __future__ import annotations

from django.conf import settings

from deployments.services import routing
from endpoints import services as endpoint_services
from gateway import logs
from gateway.admin import Admin
from gateway.configured import gateway_options, publisher
from gateway.publish import PublishResult, Turn
from gateway.queries import WantedRoutes, wanted_routes
from gateway.routes import InstanceTarget, cluster_name


def publish_routes() -> PublishResult:
    """Bring what the rows want into force, and tell the rooms below what Envoy has confirmed.

    The rows are read when no other process publishes, so the newest ones win. Twice is the same as once.
    """
    with publisher().turn() as turn:
        return _publish(turn)


def publish_if_not_since(*, asked_at: float) -> PublishResult | None:
    """As publish_routes, unless a publish has read the rows since `asked_at` (Unix seconds): many who ask at once share one."""
    with publisher().turn() as turn:
        return None if turn.is_served(asked_at) else _publish(turn)


def _publish(turn: Turn) -> PublishResult:
    wanted = wanted_routes()
    result = turn.publish(wanted.table)
    if result.accepted:
        _tell(wanted, result, Admin(gateway_options().admin_socket))
    return result


def rotate_logs() -> None:
    """Begin new logs where the present ones have reached STUDIO_LOG_BYTES. Nothing happens while Envoy does not run."""
    options = gateway_options()
    admin = Admin(options.admin_socket)
    if admin.is_ready():
        logs.rotate(options, admin, most_bytes=settings.STUDIO_LOG_BYTES)


def _tell(wanted: WantedRoutes, result: PublishResult, admin: Admin) -> None:
    traffic, draining = set[str](), set[str]()
    for endpoint in wanted.table.endpoints:
        for deployment in endpoint.deployments:
            traffic |= {instance.name for instance in deployment.serving}
            going = [instance for instance in deployment.instances if instance.draining]
            if going:
                draining |= _still_answering(endpoint.name, deployment.name, going, admin)
    for cluster in result.leftover_clusters:
        draining |= wanted.instances.get(cluster, frozenset())
    routing.note_published(traffic=traffic, draining=draining - traffic)
    endpoint_services.note_published(versions=wanted.versions, gone=wanted.gone)


def _still_answering(endpoint: str, deployment: str, going: list[InstanceTarget], admin: Admin) -> set[str]:
    """Which request ends on which former instance is not known, so all that drain wait for the last."""
    clusters = (cluster_name(endpoint, deployment), cluster_name(endpoint, deployment, mirror=True))
    busy = any(admin.former_requests(cluster) > 0 for cluster in clusters)
    return {instance.name for instance in going} if busy else set()
