"""document.py - worker/api/http/openapi.json, and what its schemas say of a request or an answer."""

import json
import re

import jsonschema

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Document:
    def __init__(self, text):
        self.whole = json.loads(text)

    def resolved(self, node):
        """`node`, or what its $ref points to; for what is no schema."""
        while "$ref" in node:
            names = node["$ref"].removeprefix("#/").split("/")
            node = self.whole
            for name in names:
                node = node[name]
        return node

    def operations(self):
        """(path, method, operation) of each."""
        for path, item in self.whole["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method.upper(), item[method]

    def fault(self, schema, value):
        """What is wrong with `value`; None if nothing is."""
        # Every reference is into components, so a schema that has them is whole.
        whole = {**schema, "components": self.whole["components"]}
        validator = jsonschema.Draft202012Validator(whole)
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        return error and f"{error.json_path}: {error.message}"

    def fault_of_answer(self, operation, answer, head=False):
        """The same of an answer to `operation`."""
        described = operation["responses"].get(str(answer.status))
        if described is None:
            return f"status {answer.status} is not in the document: {answer.body[:300]}"
        described = self.resolved(described)
        for name, header in described.get("headers", {}).items():
            header = self.resolved(header)
            given = answer.headers.get(name)
            if given is None:
                if name not in ("Holdfast-Repeated",):
                    return f"no header {name}"
                continue
            kind = header["schema"].get("type")
            fault = self.fault(header["schema"], int(given) if kind == "integer" else given)
            if fault:
                return f"header {name}: {fault}"
        given = answer.headers.get_content_type()
        if given not in described["content"]:
            return f"Content-Type {given} is not in the document"
        if head:
            return None
        schema = described["content"][given]["schema"]
        text = answer.body.decode()
        return self.fault(schema, json.loads(text) if given == "application/json" else text)

    def fault_of_itself(self):
        """What is wrong with the document."""
        for reference in re.findall(r'"\$ref": *"([^"]*)"', json.dumps(self.whole)):
            self.resolved({"$ref": reference})  # raises
        for schema in self._schemas(self.whole):
            jsonschema.Draft202012Validator.check_schema(schema)
        names = [operation["operationId"] for _, _, operation in self.operations()]
        if len(set(names)) != len(names):
            return "an operationId is given twice"
        for path, _, operation in self.operations():
            named = set(re.findall(r"{(\w+)}", path))
            parameters = [self.resolved(p) for p in operation.get("parameters", [])]
            if named != {p["name"] for p in parameters if p["in"] == "path"}:
                return f"{path}: its parameters are others than those of the path"
            for status, described in operation["responses"].items():
                for content in self.resolved(described)["content"].values():
                    fault = "example" in content and self.fault(content["schema"], content["example"])
                    if fault:
                        return f"{path}, example of {status}: {fault}"
        return None

    def _schemas(self, node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "schema":
                    yield value
                yield from self._schemas(value)
            yield from node.get("schemas", {}).values() if isinstance(node.get("schemas"), dict) else ()
        elif isinstance(node, list):
            for value in node:
                yield from self._schemas(value)
