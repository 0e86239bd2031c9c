"""The three API documents: the user's files where there are any, generated ones otherwise."""

from __future__ import annotations

import copy
import json
import os
import sys
from typing import Any

from inference_server import outputs
from inference_server.log import SWAGGER, log
from inference_server.outputs import Answer
from inference_server.script import Script
from inference_server.settings import Settings

VERSIONS = ("2", "3", "3.1")
_FILES = {"2": ("swagger.json", "swagger2.json"), "3": ("swagger3.json",), "3.1": ("swagger3.1.json",)}
_ALIASES = {"2.0": "2", "3.0": "3"}
_UNTYPED = {"type": "object", "example": {}}
_ERROR = {"type": "object", "properties": {"message": {"type": "string"}}}


class Documents:
    """Built once when a worker starts; `answer` serves them."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self._settings = settings
        self._documents: dict[str, dict[str, Any]] = {}
        supported, given, returned = _schemas(script)
        for version in VERSIONS:
            document = self._from_file(version)
            if document is None and version in supported:
                document = _generate(settings, version, given, returned)
            if document is not None:
                self._documents[version] = document
        log.line(f"Swaggers are prepared for the following versions: [{', '.join(self._documents)}].", name=SWAGGER)

    def _from_file(self, version: str) -> dict[str, Any] | None:
        for name in _FILES[version]:
            path = os.path.join(self._settings.app_root, name)
            if not os.path.isfile(path):
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    document = json.load(file)
            except (OSError, ValueError) as error:
                log.line(f"{path} is not used as API document: {error}. Correct the file.", "W", SWAGGER)
                continue
            if isinstance(document, dict):
                return document
            log.line(f"{path} is not used as API document: it must hold one JSON object.", "W", SWAGGER)
        return None

    def answer(self, version: str) -> Answer:
        known = _ALIASES.get(version, version)
        if known not in VERSIONS:
            text = f"Swagger version [{version}] is not valid. Supported versions: [{', '.join(VERSIONS)}]."
            return outputs.message(404, text)
        document = self._documents.get(known)
        if document is None:
            text = f"Swagger version [{version}] is not supported for the scoring script. "
            return outputs.message(404, text + f"Supported swagger versions: [{', '.join(self._documents)}].")
        return Answer(200, json.dumps(document).encode())


def _schemas(script: Script) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
    """Versions that can be generated, and the schemas of run()'s input and output."""
    if script.kind == "model":
        return (VERSIONS, *script.schemas())
    if script.kind != "schema":
        return VERSIONS, _UNTYPED, _UNTYPED
    util = sys.modules["inference_schema.schema_util"]
    supported = tuple(_ALIASES.get(one, one) for one in util.get_supported_versions(script.run))
    given = copy.deepcopy(util.get_input_schema(script.run))
    returned = copy.deepcopy(util.get_output_schema(script.run))
    return supported, given, returned


def _generate(settings: Settings, version: str, given: dict[str, Any], returned: dict[str, Any]) -> dict[str, Any]:
    info = {
        "title": settings.service_name,
        "description": f"API specification of {settings.service_name}",
        "version": settings.service_version,
    }
    prefix = settings.service_path_prefix.strip("/")
    schemas = {"ServiceInput": given, "ServiceOutput": returned, "ErrorResponse": _ERROR}
    where = "#/definitions/" if version == "2" else "#/components/schemas/"
    paths = {
        "/": {"get": _operation("ServiceHealthCheck", "Whether the service is alive.", version, where, None)},
        "/swagger.json": {"get": _operation("GetSwagger", "This document.", version, where, None)},
        "/score": {
            "post": _operation("RunMLService", "Run the model on the given input.", version, where, "ServiceInput")
        },
    }
    if prefix:
        paths = {f"/{prefix}{path}": operations for path, operations in paths.items()}
    scheme = {
        "Bearer": {"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer <key or token>"}
    }
    if version == "2":
        head: dict[str, Any] = {"swagger": "2.0", "info": info, "schemes": ["https"]}
        head.update(consumes=["application/json"], produces=["application/json"], securityDefinitions=scheme)
        return {**head, "paths": paths, "definitions": schemas}
    number = {"3": "3.0.3", "3.1": "3.1.0"}[version]
    return {
        "openapi": number,
        "info": info,
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": scheme},
    }


def _operation(name: str, text: str, version: str, where: str, takes: str | None) -> dict[str, Any]:
    result = (
        {"$ref": f"{where}ServiceOutput"}
        if takes
        else {"type": "string"}
        if name != "GetSwagger"
        else {"type": "object"}
    )
    operation: dict[str, Any] = {"operationId": name, "description": text}
    operation["responses"] = {
        "200": _described("The answer.", result, version),
        "default": _described("The reason why there is no answer.", {"$ref": f"{where}ErrorResponse"}, version),
    }
    if not takes:
        return operation
    operation["security"] = [{"Bearer": []}]
    schema = {"$ref": f"{where}{takes}"}
    if version == "2":
        operation["parameters"] = [{"name": "serviceInputPayload", "in": "body", "required": True, "schema": schema}]
    else:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _described(text: str, schema: dict[str, Any], version: str) -> dict[str, Any]:
    if version == "2":
        return {"description": text, "schema": schema}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
