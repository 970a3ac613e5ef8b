"""An authority of a test's own, and certificates that it signs."""

import subprocess

DAYS = "2"
CURVE = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Authority:
    def __init__(self, place):
        self.place = place
        self.certificate = place / "authority.pem"
        self.key = place / "authority.key"
        _openssl(
            "req", "-x509", "-newkey", *CURVE, "-nodes", "-days", DAYS, "-subj", "/CN=test authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.key, "-out", self.certificate,
        )

    def signed(self, name, *addresses):
        """Certificate, key, and both in one file, for a host at these IP addresses."""
        certificate, key, request = (self.place / f"{name}.{end}" for end in ("pem", "key", "csr"))
        _openssl(
            "req", "-newkey", *CURVE, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request
        )
        extensions = self.place / f"{name}.ext"
        extensions.write_text(
            "subjectAltName=" + ",".join([f"DNS:{name}", *(f"IP:{one}" for one in addresses)])
            + "\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-days", DAYS, "-extfile", extensions, "-out", certificate,
        )
        both = self.place / f"{name}.both"
        both.write_text(certificate.read_text() + key.read_text())
        return certificate, key, both


def _openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
