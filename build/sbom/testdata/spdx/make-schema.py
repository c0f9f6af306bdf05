# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors

"""Writes the JSON schema of SPDX 3.0.1 from the classes of SPDX's own Python package.

    pip install spdx-python-model==0.0.6
    python make-schema.py > spdx-3.0.1.schema.json

The schema that SPDX publishes and this package are both made by shacl2code from one model, so
that the classes hold all that the schema says. Its form is the published one's.
"""

import json

from spdx_python_model.bindings.v3_0_1 import model

DECIMAL = [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]*)?$"}]
TIME = "^[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][0-9]{2}:[0-9]{2})"


def ref(name):
    return {"$ref": f"#/$defs/{name}"}


def name(cls):
    return cls.__name__.rstrip("_")


def value(prop):
    """What a property holds, once."""
    pattern = {"pattern": prop.pattern} if prop.pattern else {}
    match prop:
        case model.EnumProp():
            return {"enum": [compact for _, compact in prop.context]}
        case model.ObjectProp():
            return ref(f"{name(prop.cls)}_derived")
        case model.DateTimeStampProp():
            return {"type": "string", "allOf": [{"pattern": TIME + "$"}, pattern]}
        case model.DateTimeProp():
            return {"type": "string", "allOf": [{"pattern": TIME + "?$"}, pattern]}
        case model.AnyURIProp():
            return {**pattern, **ref("anyURI")}
        case model.StringProp():
            return {**pattern, "type": "string"}
        case model.PositiveIntegerProp():
            return {"type": "integer", "minimum": 1}
        case model.NonNegativeIntegerProp():
            return {"type": "integer", "minimum": 0}
        case model.IntegerProp():
            return {"type": "integer"}
        case model.BooleanProp():
            return {"type": "boolean"}
        case model.FloatProp():
            return {"oneOf": DECIMAL}
    raise TypeError(prop)


def main():
    classes = []
    for cls in vars(model).values():
        if isinstance(cls, type) and issubclass(cls, model.SHACLObject) and cls._TYPE:
            classes.append(cls)
    concrete = [cls for cls in classes if not cls.IS_ABSTRACT]
    defs = {}
    for cls in classes:
        own = name(cls)
        if cls in concrete:
            kind = {"oneOf": [{"const": cls._COMPACT_TYPE or cls._TYPE}]}
            node = cls.NODE_KIND.name
            node = "IRI" if node == "IRI" else "BlankNodeOrIRI"
            fields = {cls.ID_ALIAS or "@id": ref(node), "type": kind}
            shape = {"type": "object", "properties": fields}
            if node == "IRI":
                shape["required"] = [cls.ID_ALIAS or "@id"]
            defs[own] = {"allOf": [shape, ref(f"{own}_props")]}
        family = [c for c in concrete if issubclass(c, cls)]
        choices = [{"type": "object", "unevaluatedProperties": False,
                    "anyOf": [ref(name(c)) for c in family]}] if family else []
        defs[f"{own}_derived"] = {"anyOf": [*choices, ref("BlankNodeOrIRI")]}
        parents = [c for c in cls.__bases__ if c in classes]
        fields, required = {}, []
        inherited = {key for c in parents for key in c._OBJ_COMPACT_PROPS}
        for prop in cls._OBJ_COMPACT_PROPS.values():
            if prop.compact in inherited:
                continue
            label = f"prop_{own}_{prop.compact}"
            element, one, low = prop.reg(), ref(label), prop.min_count
            if isinstance(element, model.ListProp):
                element = element.prop
                limits = {"minItems": low} if low else {}
                if prop.max_count is not None:
                    limits["maxItems"] = prop.max_count
                one = {"oneOf": [{"type": "array", **limits, "items": one}]}
            defs[label] = value(element)
            fields[prop.compact] = one
            if low:
                required.append(prop.compact)
        shape = {"type": "object", "properties": fields}
        if required:
            shape["required"] = required
        up = [ref(f"{name(c)}_props") for c in parents] or [ref("SHACLClass")]
        defs[f"{own}_props"] = {"allOf": [*up, shape]}
    types = [cls._COMPACT_TYPE or cls._TYPE for cls in concrete]
    defs["IRI"] = {"type": "string", "pattern": "^(?!_:).+:.+"}
    defs["BlankNode"] = {"type": "string", "pattern": "^_:.+"}
    defs["BlankNodeOrIRI"] = {"oneOf": [ref("IRI"), ref("BlankNode")]}
    defs["anyURI"] = {"type": "string"}
    defs["SHACLClass"] = {
        "type": "object",
        "properties": {"type": {"oneOf": [ref("IRI"), {"enum": types}]}},
        "required": ["type"],
    }
    defs["AnyClass"] = {"anyOf": [ref(name(cls)) for cls in concrete]}
    graph = {"type": "array", "items": {"type": "object", **ref("AnyClass"),
                                        "unevaluatedProperties": False}}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made by make-schema.py from spdx-python-model.",
        "type": "object",
        "properties": {"@context": {"const": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}},
        "required": ["@context"],
        "oneOf": [
            {"type": "object", "properties": {"@graph": graph}, "required": ["@graph"]},
            ref("AnyClass"),
        ],
        "unevaluatedProperties": False,
        "$defs": defs,
    }
    print(json.dumps(schema, indent=1))


main()
