"""The admin interface over HTTP."""

import http.client


def admin(service, path, token=None, method="GET", body=None):
    """The status and the text of an answer; with the first token unless another is given."""
    link = http.client.HTTPConnection(service.ready["admin"], timeout=30)
    token = token or service.credentials()["admin_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    link.request(method, path, body=body, headers=headers)
    answer = link.getresponse()
    return answer.status, answer.read().decode()
