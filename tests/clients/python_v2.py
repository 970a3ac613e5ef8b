"""Calls the customer API through alibabacloud_dyplsapi20170525, as a customer's program would.

The same program runs with 2.4.0 (RPC signature) and the newest release (ACS3).
Reads one JSON document on standard input and prints one JSON line per call; see support/sdk.py.
"""

import json
import re
import sys

from alibabacloud_dyplsapi20170525 import models
from alibabacloud_dyplsapi20170525.client import Client
from alibabacloud_tea_openapi.models import Config, GlobalParameters
from alibabacloud_tea_util.models import RuntimeOptions


def main():
    plan = json.load(sys.stdin)
    for call in plan["calls"]:
        config = Config(
            access_key_id=call["key_id"],
            access_key_secret=call["secret"],
            endpoint=plan["endpoint"],
            protocol=plan["scheme"],
        )
        if plan["ca_file"]:
            config.ca = plan["ca_file"]
        if plan["format"] != "JSON":
            config.global_parameters = GlobalParameters(queries={"Format": plan["format"]})
        print(json.dumps(outcome(Client(config), call)), flush=True)


def outcome(client, call):
    action = call["action"]
    request = getattr(models, action + "Request")().from_map(call["params"])
    send = getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower() + "_with_options")
    try:
        answer = send(request, RuntimeOptions())
    except Exception as error:
        # Everything is reported, for the type of the exception is what the test is about.
        return {
            "raised": type(error).__name__,
            "code": getattr(error, "code", None),
            "message": str(getattr(error, "message", error)),
            "status": getattr(error, "status_code", getattr(error, "statusCode", None)),
        }
    return {"returned": type(answer).__name__, "body": json.dumps(answer.body.to_map())}


main()
