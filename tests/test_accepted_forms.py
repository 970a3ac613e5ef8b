"""Every form that docs/accepted-forms.md and its Chinese part name, sent to a running service.

The pages are read, so a row that is added is tried, and one that the service does otherwise fails. What stands in
code marks in the first column of a table is a form, and so is what the sentence of refused booleans lists.
"""

import re
from datetime import datetime, timedelta, timezone

import pytest

from support.gateway import bound
from support.process import REPOSITORY

PAGES = ("docs/accepted-forms.md", "docs/accepted-forms.zh-CN.md")
TAKEN, REFUSED = ("taken", "接受"), ("refused", "拒绝")
# What the pages say in words in place of a form.
EMPTY_OR_ABSENT = ("empty, absent", "空、未传")
# The time that the forms of time stamps are written with; a service wants the present one.
WRITTEN = ("2026-11-29", "21:00:54")


class Page:
    def __init__(self, name):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        found = re.split(r"(?m)^## `?(\w+).*\n", text)[1:]
        self.sections = dict(zip(found[::2], found[1::2], strict=True))

    def section(self, *titles):
        return next(self.sections[title] for title in titles if title in self.sections)

    @staticmethod
    def rows(section, *heads):
        """The first column of the table with such a head, a cell each."""
        lines = section.split("\n")
        begin = next(at for at, line in enumerate(lines) if line.startswith(tuple(f"| {head} |" for head in heads)))
        found = []
        for line in lines[begin + 2 :]:
            if not line.startswith("|"):
                break
            found.append(re.split(r"(?<!\\)\|", line)[1].strip())
        assert found
        return found

    def forms(self, section, *heads):
        return [form for cell in self.rows(section, *heads) for form in codes(cell)]

    def booleans_refused(self):
        return codes(re.search(r"(?m)^(?:Refused: |拒绝:)([^.。]+)[.。]", self.section("Booleans", "布尔值"))[1])


def codes(text):
    return re.findall(r"`([^`]+)`", text)


@pytest.fixture(params=PAGES)
def page(request):
    return Page(request.param)


def test_both_pages_name_the_same_forms():
    english, chinese = (Page(name) for name in PAGES)
    for titles in (("Expiration",), ("Timestamp",)):
        for heads in (TAKEN, REFUSED):
            ours = [page.forms(page.section(*titles), *heads) for page in (english, chinese)]
            assert ours[0] == ours[1] and len(ours[0]) > 2, f"{titles}, {heads}"
    booleans = [page.rows(page.section("Booleans", "布尔值"), *TAKEN) for page in (english, chinese)]
    assert [codes(cell) for cell in booleans[0]] == [codes(cell) for cell in booleans[1]]
    assert english.booleans_refused() == chinese.booleans_refused()


def until(form):
    """What an accepted form means, in the documented one: written here anew, from what the page says."""
    day, time = form.split()
    year, month, of_month = map(int, day.split("-"))
    hour, minute, second = map(int, time.split(".")[0].split(":"))
    moment = datetime(year, month, of_month) + timedelta(hours=hour, minutes=minute, seconds=second)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def test_each_form_of_an_expiration(api, page):
    section = page.section("Expiration")
    for form in page.forms(section, *TAKEN):
        answer = api.bind_axn(Expiration=form)
        assert answer.code == "OK", f"`{form}`: {answer}"
        subs_id, x = bound(answer)
        held = api.detail(subs_id, x).data["SecretBindDetailDTO"]["ExpireDate"]
        assert held == until(form), f"`{form}`"
        assert api.unbind(subs_id, x).code == "OK"
    for form in page.forms(section, *REFUSED):
        answer = api.bind_axn(Expiration=form)
        assert (answer.status, answer.code) == (200, "isv.EXPIRE_DATE_ILLEGAL"), f"`{form}`: {answer}"


def test_each_form_of_a_time_stamp(api, page):
    section = page.section("Timestamp")
    for form in page.forms(section, *TAKEN):
        assert all(part in form for part in WRITTEN), f"`{form}` is not of the page's moment"
        for answer in asked_at(api, form):
            assert answer.code == "OK", f"`{form}`: {answer}"
    for form in page.forms(section, *REFUSED):
        for answer in asked_at(api, form):
            assert (answer.status, answer.code) == (400, "InvalidTimeStamp.Format"), f"`{form}`: {answer}"


def asked_at(api, form):
    """A read in each scheme of signatures, at the present time in this form."""
    now = datetime.now(timezone.utc)
    for written, present in zip(WRITTEN, ("%Y-%m-%d", "%H:%M:%S"), strict=True):
        form = form.replace(written, now.strftime(present))
    read = {"PoolKey": api.pool_key, "PhoneNoX": "17000000000"}
    yield api.rpc("QuerySubsId", read, common={"Timestamp": form}).send()
    yield api.acs3("QuerySubsId", read, headers={"x-acs-date": form}).send()


@pytest.mark.parametrize(("name", "held_as"), [("IsRecordingEnabled", "NeedRecord"), ("ASRStatus", "ASRStatus")])
def test_each_form_of_a_boolean(api, page, name, held_as):
    on, off, not_given = page.rows(page.section("Booleans", "布尔值"), *TAKEN)
    assert not_given in EMPTY_OR_ABSENT
    assert {"true", "1"} <= set(codes(on)) and {"false", "0"} <= set(codes(off))
    forms = [(form, True) for form in [*codes(on), " true "]] + [(form, False) for form in [*codes(off), " false "]]
    for form, value in [*forms, ("", False), (None, False)]:
        answer = api.bind_axn(**{name: form})
        assert answer.code == "OK", f"`{form}`: {answer}"
        subs_id, x = bound(answer)
        assert api.detail(subs_id, x).data["SecretBindDetailDTO"][held_as] is value, f"`{form}`"
        assert api.unbind(subs_id, x).code == "OK"
    refused = page.booleans_refused()
    assert len(refused) > 10
    for form in refused:
        answer = api.bind_axn(**{name: form})
        assert (answer.code, name in answer.message) == ("isv.ILLEGAL_ARGUMENT", True), f"`{form}`: {answer}"
