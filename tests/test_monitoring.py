"""What deploy/monitoring names exists in a real server's metrics, and docs/monitoring.md describes all of it."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from headwater.observability.metrics import LIMITS_MET
from tests.live import Live, request, running
from tests.need import need

ROOT = Path(__file__).parent.parent
FILES = ROOT / "deploy" / "monitoring"
PAGE = ROOT / "docs" / "monitoring.md"

TOKEN = "token-of-the-operator"
OF_PROMETHEUS = {"up", "ALERTS"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of a server that has answered a listing and errors."""
    folder = tmp_path_factory.mktemp("monitoring")
    (folder / "a.png").write_bytes(b"x")
    with running(folder, local_root=str(folder), metrics_token=TOKEN) as live:
        dataset = live.configured({"type": "LOCAL", "fullPath": ""})
        live.names(dataset)
        live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": 1})
        gone = live.configured({"type": "LOCAL", "fullPath": "nothing"})
        assert live.call("GET", live.datasource(gone, "list")).status == 400
        yield scrape(live)


def scrape(live: Live) -> str:
    answer = request(live.url, path="/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    return answer.body.decode()


def families(exposition: str) -> list[Metric]:
    return list(text_string_to_metric_families(exposition))


@cache
def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@cache
def panels() -> list[tuple[str, str]]:
    """Return the title of the panel and the expression, for each query of the dashboard."""
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    return [(panel["title"], each["expr"]) for panel in dashboard["panels"] for each in panel.get("targets", ())]


def names_in(expression: str) -> set[str]:
    """Return the metrics that an expression names: words before `{`, `[` or an operator, and not functions."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|(?:by|on|without) *\([^)]*\)', " ", expression)
    return set(re.findall(r"\b(?:headwater|process|up|ALERTS)\w*\b", bare))


def labels_in(expression: str) -> set[str]:
    """Return the labels that an expression matches or groups by."""
    matched = re.findall(r'(\w+) *(?:=~|!~|!=|=) *"', expression)
    grouped = [name for names in re.findall(r"by *\(([^)]*)\)", expression) for name in re.findall(r"\w+", names)]
    return {*matched, *grouped}


def expressions() -> list[tuple[str, str]]:
    return [*((rule["alert"], rule["expr"]) for rule in rules()), *panels()]


def test_alerts_and_dashboard_name_metrics_and_labels_that_exist(exposition: str) -> None:
    known, labels = set(OF_PROMETHEUS), {"job", "instance", "le"}
    for family in families(exposition):
        known |= {family.name + suffix for suffix in SUFFIXES[family.type]}
        labels |= {label for sample in family.samples for label in sample.labels}
    for title, expression in expressions():
        assert names_in(expression), title
        assert names_in(expression) <= known, title
        assert labels_in(expression) <= labels, title
    assert len(panels()) > 25


def test_the_dashboard_shows_every_metric(exposition: str) -> None:
    shown = {name for _, expression in panels() for name in names_in(expression)}
    hidden = {family.name for family in families(exposition) if not any(name.startswith(family.name) for name in shown)}
    assert hidden == {
        "headwater_datasets_left_out",
        "headwater_dataset_watermark_timestamp_seconds",
        "process_virtual_memory_bytes",
    }


def test_panels_have_ids_and_places_of_their_own() -> None:
    found = json.loads((FILES / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found}
    assert len(places) == len(found)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in found)


def _rows(heading: str, cells: int) -> dict[str, list[str]]:
    """Return the rows of the table with so many columns under a heading of the page, by the name in the first cell."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {found[1]: row for row in rows if len(row) == cells and (found := re.match(r"`(\w+)`", row[0]))}


def test_every_metric_is_documented_with_its_type_and_labels(exposition: str) -> None:
    rows = _rows("What is measured", 4)
    found = {family.name + ("_total" if family.type == "counter" else ""): family for family in families(exposition)}
    assert set(rows) == set(found)
    for name, family in found.items():
        _, kind, labels, _ = rows[name]
        assert kind == family.type, name
        documented = set(re.findall(r"`(\w+)`", labels))
        used = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert used <= documented, name
        assert not family.samples or used == documented, name


def test_every_request_to_a_store_names_its_provider() -> None:
    """A request without one is counted as `other`."""
    without: list[str] = []
    providers: set[str] = set()
    for file in (ROOT / "src" / "headwater").rglob("*.py"):
        text = file.read_text()
        if "from headwater.net.transport import" in text and file.name != "doctor.py":  # which asks Headwater itself
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            requests = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Request"]
            named = [call for call in requests if any(keyword.arg == "provider" for keyword in call.keywords)]
            without += [file.name] * (len(requests) - len(named))
            providers.update(ast.literal_eval(k.value) for call in named for k in call.keywords if k.arg == "provider")
    assert without == []
    assert providers == {"s3", "gcs", "azure", "jwt_issuer"}
    assert all(f"`{provider}`" in PAGE.read_text() for provider in providers)


def test_values_of_labels_are_documented(exposition: str) -> None:
    text = PAGE.read_text()
    for family in families(exposition):
        for sample in family.samples:
            for label in ("limit", "provider", "mode", "feed"):
                assert f"`{sample.labels.get(label, label)}`" in text
    assert all(f"`{limit}`" in text for limit in LIMITS_MET)


def test_every_alert_is_documented() -> None:
    assert set(_rows("Alerts", 2)) == {rule["alert"] for rule in rules()}


def test_the_page_shows_the_configuration_of_prometheus() -> None:
    shown = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert yaml.safe_load(shown[1]) == yaml.safe_load((FILES / "prometheus.yaml").read_text())


def promtool(*arguments: str | Path, stdin: str | None = None) -> str:
    done = subprocess.run(
        [need("promtool"), *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_prometheus_accepts_metrics_rules_and_configuration(exposition: str, tmp_path: Path) -> None:
    """`check metrics` also finds names and types that do not follow the conventions."""
    assert promtool("check", "metrics", stdin=exposition) == ""
    shutil.copy(FILES / "alerts.yaml", tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    configuration = (FILES / "prometheus.yaml").read_text().replace("/etc/prometheus/headwater-token", str(token))
    (tmp_path / "prometheus.yaml").write_text(configuration)
    assert f"{len(rules())} rules found" in promtool("check", "config", tmp_path / "prometheus.yaml")


@pytest.mark.slow
def test_prometheus_accepts_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    queries = [re.sub(r"\$__rate_interval", "5m", expression) for _, expression in panels()]
    made = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "panels.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": made}]}))
    assert f"{len(queries)} rules found" in promtool("check", "rules", tmp_path / "panels.yaml")


@pytest.mark.slow
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    shutil.copy(FILES / "alerts.yaml", tmp_path)
    shutil.copy(ROOT / "tests" / "alerts_test.yaml", tmp_path)
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "alerts_test.yaml")
