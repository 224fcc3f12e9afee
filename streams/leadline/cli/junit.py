"""A verdict as JUnit XML, which every CI shows."""

from xml.etree import ElementTree as Xml

from leadline.core.release.gate import required
from leadline.foreign_text import shown
from leadline.records import Check, Verdict

_LONG = 2_000
_KINDS = {"failed": "failure", "no-evidence": "error"}
"""What does not pass stops a pipeline; what lacks evidence is an error of the test, not of the version."""


def junit_xml(verdict: Verdict) -> bytes:
    """A suite with a test for each check; names may be anything, what XML cannot hold stands there as an escape."""
    suite = Xml.Element("testsuite", name=_text(f"leadline gate {verdict.model} {verdict.version}"))
    for check in verdict.checks:
        suite.append(_case(verdict, check))
    found = [each.tag for case in suite for each in case]
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(found.count(tag)))
    suite.set("tests", str(len(verdict.checks)))
    whole = Xml.Element("testsuites", name="leadline gate")
    whole.append(suite)
    Xml.indent(whole)
    return bytes(Xml.tostring(whole, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(verdict: Verdict, check: Check) -> Xml.Element:
    case = Xml.Element("testcase", classname=_text(f"{verdict.model}.{verdict.version}"))
    case.set("name", _text(f"{check.name} {check.segment}"))
    kind = _KINDS.get(check.outcome) if required(check) else "skipped"
    if kind is not None:
        Xml.SubElement(case, kind, message=_text(check.reason))
    return case


def _text(text: str) -> str:
    return shown(text, _LONG)
