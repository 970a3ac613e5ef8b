"""The defaults of the settings, as the example file documents them."""

import functools
import re
import tomllib

from support.process import REPOSITORY


def default(section, name):
    """The documented default of a setting; a test of the server holds the file to the program."""
    return _documented()[section][name]


@functools.cache
def _documented():
    text = (REPOSITORY / "docs" / "maskline.example.toml").read_text(encoding="utf-8")
    return tomllib.loads(re.sub(r"(?m)^# ?(?=[a-z_0-9]+ = )", "", text))
