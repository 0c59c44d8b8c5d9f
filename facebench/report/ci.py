"""Reports of the gate for build servers: JUnit XML, and annotations and step summaries of GitHub workflows."""

from __future__ import annotations

import xml.etree.ElementTree as xml

from facebench.compare.gate import CheckReport
from facebench.compare.gate_item import CheckItem
from facebench.core.escape import escape_workflow_message, escape_workflow_property, escape_xml
from facebench.core.language import translate


def junit(report: CheckReport) -> str:
    """Format as JUnit XML, one test case per metric; metrics that are not judged are skipped."""
    suite = xml.Element("testsuite", name=escape_xml(f"facebench check {report.run}"))
    suite.set("tests", str(len(report.items)))
    suite.set("failures", str(len(report.failed)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(item.verdict == "not judged" for item in report.items)))
    for item in report.items:
        case = xml.SubElement(
            suite,
            "testcase",
            classname=escape_xml(f"facebench.{report.protocol}"),
            name=escape_xml(item.metric),
            time="0",
        )
        if item.verdict == "failed":
            failure = xml.SubElement(case, "failure", message=escape_xml(item.reason))
            failure.text = escape_xml(f"rule: {item.rule}")
        elif item.verdict == "not judged":
            xml.SubElement(case, "skipped", message=escape_xml(item.reason))
    xml.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(suite, encoding="unicode") + "\n"


def workflow_commands(report: CheckReport) -> str:
    """Format as GitHub workflow annotations: one error per failed metric, or one notice when none failed."""
    if report.passed:
        return f"::notice title=facebench check::{escape_workflow_message(translate(report.summary))}\n"
    return "".join(_error(report, item) for item in report.failed)


def step_summary(report: CheckReport) -> str:
    """Format as Markdown for the summary page of a workflow run."""
    symbol = "✅" if report.passed else "❌"
    return f"### {symbol} facebench check {translate(report.summary)}\n\n{report.table().markdown()}\n"


def _error(report: CheckReport, item: CheckItem) -> str:
    rule = f"rule: {item.rule}"
    title = escape_workflow_property(f"facebench: {item.metric} of {report.run}")
    message = escape_workflow_message(f"{translate(item.reason)} ({translate(rule)})")
    return f"::error title={title}::{message}\n"
