"""Reports for build servers: names stay text in JUnit XML, annotations and summaries."""

from __future__ import annotations

import xml.etree.ElementTree as xml

from facebench.compare.gate import check
from facebench.core.language import use_language
from facebench.report import ci
from tests.helpers.records import make_run


def test_junit_has_one_case_per_metric_even_with_a_hostile_name() -> None:
    name = 'evil\x00"]]><failure/>'
    run = make_run(name, fd_lite0=20.0, recall_lite0=0.5, genuine_std_sface=0.1)
    baseline = make_run("old", fd_lite0=10.0, recall_lite0=0.5, genuine_std_sface=0.1)
    suite = xml.fromstring(ci.junit(check(run, baseline)))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [[child.tag for child in case] for case in suite] == [["failure"], [], ["skipped"]]
    failure = suite[0][0].get("message")
    assert failure is not None
    assert failure.startswith("worse by 10.00")


def test_a_name_cannot_end_an_annotation() -> None:
    name = "x,file=a::b\n::error::pwned 100%"
    text = ci.workflow_commands(check(make_run(name, fd_lite0=20.0), make_run("old", fd_lite0=10.0)))
    assert len(text.splitlines()) == 1
    assert text.startswith(
        "::error title=facebench%3A fd_lite0 of x%2Cfile=a%3A%3Ab%0A%3A%3Aerror%3A%3Apwned 100%25::"
    )


def test_the_step_summary_shows_a_hostile_name_as_text() -> None:
    name = "<img src=x onerror=alert(1)> [click](https://example.org) | b"
    text = ci.step_summary(check(make_run(name, fd_lite0=20.0), make_run("old", fd_lite0=10.0)))
    assert "<img" not in text
    assert "](https" not in text
    assert "✗ failed" in text


def test_control_characters_do_not_reach_the_log() -> None:
    name = "a\r\x1b[31m\t\x85b"
    report = check(make_run(name, fd_lite0=20.0), make_run("old", fd_lite0=10.0))
    assert ci.workflow_commands(report).startswith(
        r"::error title=facebench%3A fd_lite0 of a\r\x1b[31m\t\x85b::"
    )
    assert "\x1b" not in ci.step_summary(report) + ci.junit(report)


def test_annotations_and_summaries_are_written_in_the_language_of_the_user() -> None:
    report = check(make_run("new", fd_lite0=20.0), make_run("old", fd_lite0=10.0))
    with use_language("ja"):
        texts = [ci.workflow_commands(report), ci.step_summary(report)]
    assert "規則：interval" in texts[0]
    assert "facebench check 不合格" in texts[1]
