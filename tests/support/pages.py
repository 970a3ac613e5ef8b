"""The pages of the repository and what they are made of."""

import re

from support.process import REPOSITORY

# Directories whose pages are reports of what was run, not something to follow.
REPORTS = {"docs/campaigns"}


class Block:
    def __init__(self, page, line, language, text):
        self.page, self.line, self.language, self.text = page, line, language, text

    def __str__(self):
        return f"{self.page}:{self.line}"

    def excuse(self, table):
        return next((why for (page, start), why in table.items() if self._is(page, start)), None)

    def _is(self, page, start):
        return page == self.page and self.text.strip().startswith(start)


def pages():
    found = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "examples").rglob("*.md")]
    names = sorted(str(page.relative_to(REPOSITORY)) for page in found)
    return [name for name in names if not any(name.startswith(kept) for kept in REPORTS)]


def blocks(page):
    """The fenced and the indented blocks of a page, in order."""
    lines = (REPOSITORY / page).read_text(encoding="utf-8").split("\n")
    found, at = [], 0
    while at < len(lines):
        begun = at
        if fence := re.match(r"(\s*)(```+|~~~+)\s*(\w*)", lines[at]):
            at += 1
            while not lines[at].strip().startswith(fence[2]):
                at += 1
            inside = [line[len(fence[1]) :] for line in lines[begun + 1 : at]]
            found.append(Block(page, begun + 1, fence[3], "\n".join(inside)))
            at += 1
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            found.append(Block(page, begun + 1, "", "\n".join(line[4:] for line in lines[begun:at]).rstrip()))
        else:
            at += 1
    return found


def uncommented(name):
    """The file with every setting that stands in a comment set, and what some of them want beside them."""
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    # A name in a certificate goes with TLS alone.
    text = text.replace('transport = "udp"', 'transport = "tls"')
    return re.sub(r"(?m)^# ?(?=[a-z_0-9]+ = )", "", text)
