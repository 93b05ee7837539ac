"""Checks lines of standard input, each an OCSF event, or a CloudEvent around one, by the schema of the version that the event names.

Prints how many lines were right, and the first things that are wrong. `ocsf-json-schema` makes a JSON schema of each class, without profiles:
what the class does not know is refused. `cloudevents` reads the envelopes.
"""

import json
import sys

import jsonschema
from cloudevents.http import from_json
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema


def main():
    schemas, validators, right, wrong = {}, {}, 0, []
    for number, line in enumerate(sys.stdin, 1):
        event = json.loads(line)
        if "specversion" in event:
            envelope = from_json(line)
            for name in ("id", "source", "type", "time", "dataschema"):
                if not envelope[name]:
                    wrong.append(f"line {number}: the envelope has no {name}")
            if envelope["specversion"] != "1.0" or envelope.data != event["data"]:
                wrong.append(f"line {number}: the envelope is read otherwise")
            event = event["data"]
        version, uid = event["metadata"]["version"], event["class_uid"]
        if version not in schemas:
            schemas[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
        if (version, uid) not in validators:
            schema = schemas[version].get_class_schema(schemas[version].lookup_class_name_from_uid(uid))
            validators[version, uid] = jsonschema.Draft202012Validator(schema)
        errors = [f"line {number}, class {uid}, {'.'.join(map(str, e.path))}: {e.message[:200]}" for e in validators[version, uid].iter_errors(event)]
        if event["type_uid"] != uid * 100 + event["activity_id"]:
            errors.append(f"line {number}: type {event['type_uid']} is not of class {uid} and activity {event['activity_id']}")
        wrong += errors
        right += not errors
    print(right)
    if wrong:
        sys.exit("\n".join(wrong[:10]))


main()
