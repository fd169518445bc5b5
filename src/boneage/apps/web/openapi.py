"""What the OpenAPI document says that the routes themselves do not."""

from typing import Any

from boneage.apps.web.problems import PROBLEM_TYPE
from boneage.apps.web.schema import PredictionFields, Predictions, ProblemBody

__all__ = ["PREDICTIONS", "describe", "problems_of"]

_WHEN = {
    401: "A token is asked for, and the request does not show it.",
    408: "The upload took too long.",
    413: "The request, a file or the number of files is beyond the limits.",
    415: "The body is no multipart form.",
    422: "The form is damaged, or a field is not as it must be.",
    429: "Too many radiographs are waiting: come again after `Retry-After` seconds.",
    503: "The server is ending.",
}
_WAIT = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
}
_EXAMPLE_PROBLEM = {
    "type": "about:blank",
    "title": "Too Many Requests",
    "status": 429,
    "detail": "Too many radiographs are waiting. Try again in 2 s.",
}
_EXAMPLE_ROW = {
    "path": "hand.png",
    "id": "hand",
    "status": "ok",
    "sex": "female",
    "bone_age_months": 131.4,
    "lower_months": 115.0,
    "upper_months": 147.8,
    "message": "",
    "level": 0.9,
    "warnings": [],
    "age_months": 120.0,
    "age_source": "given",
    "height_cm": 138.0,
    "norm": "brush",
    "sd_score": 0.97,
    "lower_sd_score": -0.43,
    "upper_sd_score": 2.37,
    "normal_lower_months": 96.6,
    "normal_upper_months": 143.4,
    "sd_note": "",
    "adult_height_cm": 161.9,
    "lower_adult_height_cm": 152.4,
    "upper_adult_height_cm": 170.8,
    "adult_height_note": "",
    "heat_map": None,
}
_EXAMPLE = {"model": {"name": "boneage-rsna-100px", "version": "3"}, "rows": [_EXAMPLE_ROW]}
_EXAMPLE_CSV = (
    "path,id,status,sex,bone_age_months,lower_months,upper_months,message\n"
    "hand.png,hand,ok,female,131.4,115.0,147.8,\n"
)


def problems_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that are problems."""
    return {
        status: {
            "description": _WHEN[status],
            "content": {
                PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}
                | ({"example": _EXAMPLE_PROBLEM} if status == 429 else {})
            },
        }
        | ({"headers": _WAIT} if status in (429, 503) else {})
        for status in statuses
    }


def _form() -> dict[str, Any]:
    """The multipart form of a request."""
    fields = PredictionFields.model_json_schema()["properties"]
    for field in fields.values():
        # A form has no null: a field is there, or it is not.
        kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
        for kind in kinds:
            field.update(kind)
        if field.get("default", "") is None:
            del field["default"]
        field.pop("title", None)
    files = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "format": "binary"},
        "description": "Radiographs: PNG, JPEG, TIFF or DICOM files, each with its file name.",
    }
    return {
        "type": "object",
        "required": ["files"],
        "additionalProperties": False,
        "properties": {"files": files, **fields},
        "dependentSchemas": {"age_months": {"properties": {"birth_date": False}}},
    }


PREDICTIONS: dict[str, Any] = {
    "tags": ["predicting"],
    "summary": "Predict",
    "description": "Bone ages of one radiograph or more. Each file gets a row, whatever becomes of "
    "it: an error says that the request as a whole cannot be answered. Nothing is kept.",
    "response_model": None,
    "responses": {
        200: {
            "description": "A row for each file. With `Accept: text/csv` the table that `boneage "
            "predict` writes.",
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Predictions"},
                },
                "text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE_CSV},
            },
        },
        **problems_of(401, 408, 413, 415, 422, 429, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": _form(),
                    "examples": {
                        "one": {
                            "summary": "A girl of ten years",
                            "value": {
                                "files": ["(the bytes of hand.png)"],
                                "sex": "female",
                                "age_months": 120,
                                "height_cm": 138,
                            },
                        }
                    },
                }
            },
        }
    },
}
"""All that describes ``POST /api/v1/predictions``."""


def describe(document: dict[str, Any], *, with_token: bool) -> dict[str, Any]:
    """Complete the OpenAPI document of the app.

    Args:
        document: As FastAPI makes it.
        with_token: Whether the server asks for a token.

    Returns:
        The document, changed in place.
    """
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Predictions, ProblemBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    # FastAPI leaves out every null of what it is given, and a row has some.
    answer = document["paths"]["/api/v1/predictions"]["post"]["responses"]["200"]
    answer["content"]["application/json"]["example"] = _EXAMPLE
    if with_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"]["/health"]["get"]["security"] = []
    return document
