"""The files in deploy/ are valid, agree with each other, and say about the server only what is true."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from headwater import contract
from headwater.environment import unknown_variables
from headwater.settings import SPECS, Settings
from tests.deploy import kit
from tests.need import need

HADOLINT = Path(sys.executable).with_name("hadolint")

MAX_EXPOSURE = 1.5
"""What `systemd-analyze security` may say about the unit, of 10. A service of its own network would have 0.9 less."""


def _files() -> list[Path]:
    return sorted(path for path in kit.DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def test_the_dockerfile_has_no_findings() -> None:
    done = subprocess.run([HADOLINT, kit.DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_compose_file_follows_its_specification() -> None:
    compose_spec.PyCompose.from_yaml(kit.COMPOSE.read_text())
    with pytest.raises(ValueError, match="readonly"):
        compose_spec.PyCompose.from_yaml(kit.COMPOSE.read_text().replace("read_only:", "readonly:"))


def test_the_manifests_follow_the_schemas_of_kubernetes() -> None:
    optional = [yaml.safe_load((kit.KUBERNETES / name).read_text()) for name in ("ingress.yaml", "secret.example.yaml")]
    kinds = set()
    for each in [*kit.manifests(), *optional]:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        kinds.add(each["kind"])
    assert kinds == {
        *("Namespace", "ServiceAccount", "ConfigMap", "Secret", "Deployment", "Service"),
        *("PodDisruptionBudget", "NetworkPolicy", "Ingress"),
    }


def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    """The program is not in /opt on this machine, so the copy names the one of this environment."""
    analyze = need("systemd-analyze")
    unit = tmp_path / kit.UNIT.name
    unit.write_text(kit.UNIT.read_text().replace("/opt/headwater/bin/headwater", str(kit.VENV / "bin" / "headwater")))
    verified = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    threshold = f"--threshold={int(MAX_EXPOSURE * 10)}"
    command = [analyze, "security", "--offline=true", threshold, "--no-pager", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_deploy_names_only_settings_that_exist() -> None:
    secrets = {spec.env: spec.secret for spec in SPECS}
    for file in _files():
        named = dict.fromkeys(re.findall(r"HEADWATER_[A-Z_]*[A-Z]", file.read_text()), "")
        assert list(unknown_variables(named, secrets)) == [], file


@pytest.mark.parametrize(
    "environ",
    [
        kit.image_environ,
        lambda: {**kit.image_environ(), **kit.compose_environ()},
        lambda: {**kit.image_environ(), **kit.kubernetes_environ()},
        kit.unit_environ,
    ],
    ids=["image", "compose", "kubernetes", "systemd"],
)
def test_the_settings_have_valid_values(tmp_path: Path, environ: Callable[[], dict[str, str]]) -> None:
    """Files of secrets are made here, because no file in deploy/ contains one."""
    values = environ()
    for name in [name for name in values if name.endswith("_FILE")]:
        file = tmp_path / name
        file.write_text("postgresql://user:password@host/name" if "DATABASE" in name else "test:" + "A" * 43 + "=")
        values[name] = str(file)
    settings = Settings.load(values)
    assert settings.data_dir is not None
    assert (settings.database_url is None) == (settings.secret_key is None)


def test_ports_and_health_paths_agree() -> None:
    port = int(kit.image_environ()["HEADWATER_PORT"])
    assert kit.instructions("EXPOSE") == [str(port)]
    assert kit.compose()["services"]["headwater"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    container = kit.container()
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    (ingress,) = kit.manifest("NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for each in ingress["ports"]] == [port]
    (service,) = kit.manifest("Service")["spec"]["ports"]
    probes = {name: each["httpGet"] for name, each in container.items() if name.endswith("Probe")}
    assert {service["targetPort"], *(each["port"] for each in probes.values())} == {"http"}
    assert {name: each["path"] for name, each in probes.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    named = {
        path for file in _files() for path in re.findall(r"/(?:healthz|readyz|livez|health|ready)\b", file.read_text())
    }
    assert named == {"/healthz", "/readyz"} <= set(contract.document()["paths"])


def test_selectors_find_the_pods_and_names_agree() -> None:
    labels = kit.manifest("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        kit.manifest("Deployment")["spec"]["selector"]["matchLabels"],
        kit.manifest("Service")["spec"]["selector"],
        kit.manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        kit.manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels for selector in selectors)
    pod = kit.manifest("Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == kit.manifest("ServiceAccount")["metadata"]["name"]
    assert kit.container()["envFrom"] == [{"configMapRef": {"name": kit.manifest("ConfigMap")["metadata"]["name"]}}]
    secret = yaml.safe_load((kit.KUBERNETES / "secret.example.yaml").read_text())
    (volume,) = (each["secret"] for each in pod["volumes"] if "secret" in each)
    (mount,) = (each for each in kit.container()["volumeMounts"] if each["name"] == "secrets")
    files = {Path(value) for name, value in kit.kubernetes_environ().items() if name.endswith("_FILE")}
    assert volume["secretName"] == secret["metadata"]["name"]
    assert files == {Path(mount["mountPath"]) / key for key in secret["stringData"]}


def _restricted(pod: dict[str, Any], container: dict[str, Any]) -> bool:
    context = container["securityContext"]
    return (
        pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        and not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        and context["allowPrivilegeEscalation"] is False
        and context["capabilities"] == {"drop": ["ALL"]}
        and not {"privileged", "runAsUser"} & set(context)
        and all(set(volume) & {"emptyDir", "secret"} for volume in pod["volumes"])
    )


def test_the_pod_meets_the_restricted_profile() -> None:
    """It must not name a user either: OpenShift chooses one."""
    pod = kit.manifest("Deployment")["spec"]["template"]["spec"]
    assert _restricted(pod, kit.container())
    assert kit.container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert kit.manifest("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_image_runs_as_a_number_and_its_context_has_no_more_than_it_copies() -> None:
    """`runAsNonRoot` needs a number. What is not in the context cannot get into a layer."""
    assert re.fullmatch(r"[1-9]\d*:0", kit.instructions("USER")[-1])
    assert kit.image_environ()["HEADWATER_DATA_DIR"] in kit.instructions("VOLUME")
    copied = {path for line in kit.instructions("COPY") if not line.startswith("--from") for path in line.split()[:-1]}
    allowed = {line[1:] for line in (kit.ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((kit.ROOT / path).exists() for path in copied)


def test_containers_have_no_privileges_and_no_password() -> None:
    for name, service in kit.compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["healthcheck"]["test"][0] == "CMD", name
    assert kit.compose()["networks"]["catalog"] == {"internal": True}
    assert "ports" not in kit.compose()["services"]["database"]
    values = [value for service in kit.compose()["services"].values() for value in service["environment"].items()]
    assert [name for name, value in values if re.search("PASSWORD|SECRET|KEY|URL", name) and "FILE" not in name] == [
        "HEADWATER_PUBLIC_URL"
    ]


def test_signed_writes_pass_the_ingress() -> None:
    ingress = yaml.safe_load((kit.KUBERNETES / "ingress.yaml").read_text())
    prefix = "nginx.ingress.kubernetes.io/"
    annotations = {name.removeprefix(prefix): value for name, value in ingress["metadata"]["annotations"].items()}
    assert annotations["proxy-body-size"] == "0"
    assert annotations["proxy-request-buffering"] == "off"
    assert annotations["enable-access-log"] == "false"
