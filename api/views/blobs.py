"""A blob service, as far as clients of the datastore use one. Bodies go to the disk piece by piece, never into memory."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from api import files, sas
from api.authentication import bearer, token_of
from api.errors import Unauthenticated
from api.views.base import check_text, check_token
from studio.lib.errors import BadRequest, Forbidden, StudioError
from workspaces.models import Workspace
from workspaces.permissions import Need
from workspaces.queries import get_workspace_for
from workspaces.services import uploads

SERVICE_VERSION = "2024-11-04"
CHUNK_BYTES = 1024 * 1024
LIST_MAXIMUM = 5000
BLOCK_LIST_BYTES = 8 * 1024 * 1024
_META = "HTTP_X_MS_META_"
_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
View = Callable[..., HttpResponse | StreamingHttpResponse]


class RangeInvalid(StudioError):
    """The range asked for is not in the file."""

    code = "InvalidRange"
    http_status = 416


class BodyRefused(BadRequest):
    """The body is not what its headers say."""

    code = "InvalidInput"


class BodyTooLarge(BodyRefused):
    """The body is larger than what is taken."""

    code = "RequestBodyTooLarge"
    http_status = 413


def door(view: View) -> View:
    """No session, no CSRF, errors as XML, and a request id."""

    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | StreamingHttpResponse:
        try:
            check_text([request.path_info, dict(request.GET.lists())])
            response = view(request, *args, **kwargs)
        except StudioError as error:
            response = _refusal(request, error)
        response["x-ms-version"] = SERVICE_VERSION
        response["x-ms-request-id"] = request.META.get("HTTP_X_REQUEST_ID", "")[:100] or str(uuid.uuid4())
        return response

    return csrf_exempt(login_not_required(opened))


def _refusal(request: HttpRequest, error: StudioError) -> HttpResponse:
    root = ET.Element("Error")
    ET.SubElement(root, "Code").text = error.code
    ET.SubElement(root, "Message").text = _printable(f"{error.message} {error.hint}".strip())
    body = b"" if request.method == "HEAD" else _xml(root)
    response = HttpResponse(body, status=error.http_status, content_type="application/xml")
    response["x-ms-error-code"] = error.code
    return response


@door
@require_http_methods(["GET", "HEAD", "PUT"])
def container(request: HttpRequest, ws: str, container: str) -> HttpResponse:
    """`?restype=container`: its properties, or with `&comp=list` the files in it."""
    workspace = _workspace(request, ws, container, need=Need.WRITE if request.method == "PUT" else Need.READ)
    if request.method == "PUT":
        raise Forbidden("Containers are made by the studio.", code="AuthorizationFailure")
    if request.GET.get("comp") == "list":
        return _listing(request, workspace, container)
    headers = {"ETag": '"0x0"', "Last-Modified": _http_date(workspace.created_at), "x-ms-lease-state": "available"}
    return HttpResponse(status=200, headers=headers)


@door
@require_http_methods(["GET", "HEAD", "PUT"])
def blob(request: HttpRequest, ws: str, container: str, path: str) -> HttpResponse | StreamingHttpResponse:
    """One file: written whole or in blocks, read whole or in ranges."""
    is_write = request.method == "PUT"
    workspace = _workspace(request, ws, container, need=Need.WRITE if is_write else Need.READ)
    if is_write:
        return _put(request, workspace, container, path)
    return _get(request, files.find(workspace, container, path))


def _workspace(request: HttpRequest, ws: str, container: str, *, need: Need) -> Workspace:
    """By the signature in the address, else by the bearer token. Raises Unauthenticated, Forbidden, NotFound."""
    if "sig" in request.GET:
        workspace = Workspace.objects.filter(name__iexact=ws).first()
        if workspace is None:
            raise sas.SignatureRefused()
        grant = sas.read(request.GET, workspace_id=workspace.pk, container=container)
        if need is not Need.READ and not grant.may_write:
            raise Forbidden("This signature is for reading only.", code="AuthorizationPermissionMismatch")
        workspace = get_workspace_for(grant.token.user, workspace.name, need=need)
        token = grant.token
    elif bearer(request):
        token = token_of(request, bearer(request))
        workspace = get_workspace_for(token.user, ws, need=need)
    else:
        raise Unauthenticated(code="NoAuthenticationInformation")
    check_token(token, workspace, need)
    files.check_container(container)
    return workspace


# --- writing


def _put(request: HttpRequest, workspace: Workspace, container: str, path: str) -> HttpResponse:
    if path.startswith(f"{files.REGISTERED}/"):
        raise Forbidden("What is registered never changes.", code="AuthorizationFailure")
    comp = request.GET.get("comp", "")
    place: dict[str, Any] = {"workspace": workspace, "container": container, "path": path}
    if comp == "block":
        uploads.put_block(**place, block=request.GET.get("blockid", ""), stream=_Body(request))
        return HttpResponse(status=201)
    if comp == "blocklist":
        uploads.commit_blocks(**place, listed=_block_list(request), **_wish(request))
    elif comp == "metadata":
        uploads.set_metadata(file=uploads.get_file(workspace, container, path), metadata=_metadata(request))
    elif comp or request.headers.get("x-ms-blob-type", "BlockBlob") != "BlockBlob":
        raise BadRequest("Only block blobs are kept here, without snapshots, tags or tiers.", code="NotSupported")
    else:
        uploads.put_file(**place, stream=_Body(request), **_wish(request))
    found = files.find(workspace, container, path)
    return HttpResponse(status=200 if comp == "metadata" else 201, headers=_facts(found))


def _wish(request: HttpRequest) -> dict[str, Any]:
    return {"metadata": _metadata(request), "overwrite": request.headers.get("If-None-Match") != "*"}


def _metadata(request: HttpRequest) -> dict[str, str]:
    """Names are identifiers in Azure, so that the dashes WSGI makes of underscores can be taken back."""
    return {name.removeprefix(_META).lower(): value for name, value in request.META.items() if name.startswith(_META)}


class _Body:
    """The request's body, read in pieces and held to its length and MD5. Raises BodyRefused when it is not that."""

    def __init__(self, request: HttpRequest) -> None:
        length = request.META.get("CONTENT_LENGTH", "") or "0"
        if not length.isdigit() or "Transfer-Encoding" in request.headers:
            raise BodyRefused("Say how long the body is (Content-Length).", code="MissingContentLengthHeader")
        self.left_bytes = int(length)
        if self.left_bytes > settings.STUDIO_MAX_UPLOAD_BYTES:
            raise BodyTooLarge(f"At most {settings.STUDIO_MAX_UPLOAD_BYTES} bytes are taken.")
        self.request = request
        self.wanted_md5 = request.headers.get("Content-MD5", "")
        self.md5 = hashlib.md5(usedforsecurity=False) if self.wanted_md5 else None

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self.request.read(size)
        except UnreadablePostError:
            chunk = b""
        self.left_bytes -= len(chunk)
        if self.md5 is not None:
            self.md5.update(chunk)
        if not chunk:
            self._check()
        return chunk

    def _check(self) -> None:
        if self.left_bytes:
            raise BodyRefused(f"The body ended {self.left_bytes} bytes early.", code="IncompleteBody")
        if self.md5 is not None and base64.b64encode(self.md5.digest()).decode() != self.wanted_md5:
            raise BodyRefused("The body does not have the MD5 that Content-MD5 says.", code="Md5Mismatch")


def _block_list(request: HttpRequest) -> list[str]:
    body = _Body(request)
    if body.left_bytes > BLOCK_LIST_BYTES:
        raise BodyTooLarge("The block list is too long.")
    content = b""
    while chunk := body.read(CHUNK_BYTES):
        content += chunk
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise BodyRefused("The block list is not XML.", code="InvalidXmlDocument") from error
    return [entry.text or "" for entry in root if entry.tag in ("Latest", "Uncommitted", "Committed")]


# --- reading


def _get(request: HttpRequest, found: files.Found) -> HttpResponse | StreamingHttpResponse:
    if request.method == "HEAD":
        headers = {**_facts(found), "Content-Length": str(found.size_bytes)}
        return HttpResponse(status=200, headers=headers, content_type="application/octet-stream")
    start, end = _range(request, found.size_bytes)
    is_part = (start, end) != (0, found.size_bytes - 1) or _asked_range(request) != ""
    response = StreamingHttpResponse(
        _pieces(found.sha256, start, end - start + 1),
        status=206 if is_part else 200,
        content_type="application/octet-stream",
    )
    for name, value in _facts(found).items():
        response[name] = value
    response["Content-Length"] = str(end - start + 1)
    if is_part:
        response["Content-Range"] = f"bytes {start}-{end}/{found.size_bytes}"
    return response


def _asked_range(request: HttpRequest) -> str:
    return request.headers.get("x-ms-range", "") or request.headers.get("Range", "")


def _range(request: HttpRequest, size_bytes: int) -> tuple[int, int]:
    """First and last byte. Raises RangeInvalid."""
    asked = _asked_range(request)
    if not asked:
        return 0, size_bytes - 1
    found = _RANGE.match(asked)
    if found is None or int(found[1]) >= size_bytes or (found[2] and int(found[2]) < int(found[1])):
        raise RangeInvalid(f"The file has {size_bytes} bytes; '{asked[:60]}' is no range of it.")
    return int(found[1]), min(int(found[2] or size_bytes - 1), size_bytes - 1)


def _pieces(sha256: str, start: int, length: int) -> Iterator[bytes]:
    with files.open_content(sha256) as file:
        file.seek(start)
        while length > 0:
            chunk = file.read(min(CHUNK_BYTES, length))
            if not chunk:
                return
            length -= len(chunk)
            yield chunk


def _facts(found: files.Found) -> dict[str, str]:
    return {
        "ETag": f'"0x{found.sha256[:16].upper()}"',
        "Last-Modified": _http_date(found.changed_at),
        "x-ms-blob-type": "BlockBlob",
        "Accept-Ranges": "bytes",
        **{f"x-ms-meta-{name}": value for name, value in found.metadata.items()},
    }


def _listing(request: HttpRequest, workspace: Workspace, container: str) -> HttpResponse:
    prefix, delimiter = request.GET.get("prefix", ""), request.GET.get("delimiter", "")
    after, most = request.GET.get("marker", ""), _most(request)
    root = ET.Element("EnumerationResults", ContainerName=container)
    ET.SubElement(root, "Prefix").text = _printable(prefix)
    entries = ET.SubElement(root, "Blobs")
    folders: set[str] = set()
    marker = ""
    for found in files.below(workspace, container, prefix):
        if after and found.path <= after:
            continue
        if len(entries) >= most:
            break
        folder = _folder(found.path, prefix, delimiter)
        if not folder:
            _blob_entry(entries, found, with_metadata="metadata" in request.GET.get("include", ""))
        elif folder not in folders:
            folders.add(folder)
            ET.SubElement(ET.SubElement(entries, "BlobPrefix"), "Name").text = folder
        marker = found.path
    else:
        marker = ""
    ET.SubElement(root, "NextMarker").text = marker
    return HttpResponse(_xml(root), content_type="application/xml")


def _most(request: HttpRequest) -> int:
    text = request.GET.get("maxresults", str(LIST_MAXIMUM))
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise BadRequest("maxresults is a whole number above 0.", code="InvalidQueryParameterValue")
    return min(int(text[:9]), LIST_MAXIMUM)


def _folder(path: str, prefix: str, delimiter: str) -> str:
    if not delimiter:
        return ""
    head, found, _ = path[len(prefix) :].partition(delimiter)
    return prefix + head + delimiter if found else ""


def _blob_entry(entries: ET.Element, found: files.Found, *, with_metadata: bool) -> None:
    entry = ET.SubElement(entries, "Blob")
    ET.SubElement(entry, "Name").text = found.path
    properties = ET.SubElement(entry, "Properties")
    facts = {
        "Last-Modified": _http_date(found.changed_at),
        "Etag": f"0x{found.sha256[:16].upper()}",
        "Content-Length": str(found.size_bytes),
        "Content-Type": "application/octet-stream",
        "BlobType": "BlockBlob",
    }
    for name, value in facts.items():
        ET.SubElement(properties, name).text = value
    if with_metadata:
        metadata = ET.SubElement(entry, "Metadata")
        for name, value in found.metadata.items():
            ET.SubElement(metadata, name).text = _printable(value)


def _http_date(at: datetime) -> str:
    return at.strftime("%a, %d %b %Y %H:%M:%S GMT")


def _printable(text: str) -> str:
    """XML has no room for control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _xml(root: ET.Element) -> bytes:
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))
