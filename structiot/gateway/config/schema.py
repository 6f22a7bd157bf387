"""The JSON Schema of a configuration, for editors that help with TOML."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from structiot.gateway.config.assembly import config_model
from structiot.gateway.config.described import keys_of, summary_of

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Make the schema of all sections of all systems that are installed.

    What it accepts may still be refused: what two settings must be like together, and
    what stands in files, no schema says.
    """
    model, _ = config_model({}, is_whole=True)
    made = model.model_json_schema(schema_generator=_Generator)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **made,
        "title": "structiot.toml",
    }


class _Generator(GenerateJsonSchema):
    """Takes descriptions from docstrings, and leaves out null, which TOML has not."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's
        """Set none: they would be the keys once more."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Give what it is when it is given."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Name a default that can be written."""
        default = schema.get("default")
        if default is None or isinstance(default, BaseModel):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Describe a section and its keys."""
        made = super().model_schema(schema)
        model = schema["cls"]
        made["description"] = summary_of(model)
        for key, about in keys_of(model).items():
            if about and key in made.get("properties", {}):
                made["properties"][key]["description"] = about
        return made

    def handle_invalid_for_json_schema(
        self,
        schema: core_schema.CoreSchema,  # noqa: ARG002 - pydantic's
        error_info: str,  # noqa: ARG002
    ) -> JsonSchemaValue:
        """Let anything stand where a stranger's type cannot say what it is."""
        return {}
