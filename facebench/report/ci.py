"""What build servers read: JUnit XML, and annotations and a step summary of GitHub workflows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml

from facebench.compare.gate import CheckReport, CheckRow

# XML 1.0 has no way to write these characters, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: CheckReport) -> str:
    """JUnit XML with one test case per metric; what was not judged is skipped."""
    suite = xml.Element("testsuite", name=_text(f"facebench check {report.run}"))
    suite.set("tests", str(len(report.rows)))
    suite.set("failures", str(len(report.failed)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(row.status == "not judged" for row in report.rows)))
    for row in report.rows:
        case = xml.SubElement(
            suite,
            "testcase",
            classname=_text(f"facebench.{report.protocol}"),
            name=_text(row.metric),
            time="0",
        )
        if row.status == "failed":
            xml.SubElement(case, "failure", message=_text(row.reason)).text = _text(f"rule: {row.rule}")
        elif row.status == "not judged":
            xml.SubElement(case, "skipped", message=_text(row.reason))
    xml.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(suite, encoding="unicode") + "\n"


def workflow_commands(report: CheckReport) -> str:
    """Annotations of a GitHub workflow: one error per failed metric, or one notice when all is well."""
    if report.passed:
        return f"::notice title=facebench check::{_message(report.summary)}\n"
    return "".join(_error(report, row) for row in report.failed)


def step_summary(report: CheckReport) -> str:
    """Markdown for the summary page of a workflow run."""
    sign = "✅" if report.passed else "❌"
    return f"### {sign} facebench check {report.summary}\n\n{report.table().markdown()}\n"


def _error(report: CheckReport, row: CheckRow) -> str:
    title = _property(f"facebench: {row.metric} of {report.run}")
    return f"::error title={title}::{_message(f'{row.reason} (rule: {row.rule})')}\n"


def _message(text: str) -> str:
    """Escaped so that a name can neither end the line nor start a command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
