"""Calls the customer API through aliyun-python-sdk-dyplsapi, as a customer's program would.

Reads one JSON document on standard input and prints one JSON line per call; see support/sdk.py.
"""

import importlib
import json
import sys

from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.http import protocol_type

REQUESTS = "aliyunsdkdyplsapi.request.v20170525"


def main():
    plan = json.load(sys.stdin)
    for call in plan["calls"]:
        client = AcsClient(
            call["key_id"], call["secret"], "cn-hangzhou", verify=plan["ca_file"] or None
        )
        print(json.dumps(outcome(client, plan, call)), flush=True)


def outcome(client, plan, call):
    action = call["action"]
    module = importlib.import_module("{}.{}Request".format(REQUESTS, action))
    request = getattr(module, action + "Request")()
    request.set_endpoint(plan["endpoint"])
    # The client compares by identity, so an equal string of one's own would mean plain HTTP.
    secure = plan["scheme"] == "https"
    request.set_protocol_type(protocol_type.HTTPS if secure else protocol_type.HTTP)
    for name, value in call["params"].items():
        getattr(request, "set_" + name)(value)
    try:
        if plan["format"] == "JSON":
            body = client.do_action_with_exception(request)
        else:
            # do_action_with_exception always asks for JSON; this is the way to XML that the
            # client offers, and the one that tells status and exception apart.
            request.set_accept_format(plan["format"])
            status, headers, body, exception = client._implementation_of_do_action(request)
            if exception:
                raise exception
    except (ServerException, ClientException) as error:
        return {
            "raised": type(error).__name__,
            "code": error.get_error_code(),
            "message": error.get_error_msg(),
            "status": getattr(error, "http_status", None),
        }
    return {"returned": type(body).__name__, "body": body.decode("utf-8")}


main()
