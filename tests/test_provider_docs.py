"""The provider pages are true: their policies give the access that they promise, their configs and commands work.

The policies are put into moto, which enforces them, and tried.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.domain.datasource import S3Config, S3DelegatedAccessConfig, parse_config
from headwater.domain.samples import is_sample
from tests.live import Live, running
from tests.servers import AwsUser, GuardedAws, guarded_aws
from tests.stores.local.opening import open_store

PAGES = Path(__file__).parent.parent / "docs" / "providers"
READ = {"canList": True, "canRead": True, "canWrite": False, "canOverwrite": False}
ALL = dict.fromkeys(READ, True)


def blocks(page: str) -> list[dict[str, Any]]:
    """Return the JSON blocks of a page."""
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)]


def policies(page: str) -> list[dict[str, Any]]:
    """Return the IAM policies of a page."""
    return [block for block in blocks(page) if "Statement" in block]


def example(page: str) -> dict[str, Any]:
    """Return the datasource config of a page."""
    (config,) = [block for block in blocks(page) if "type" in block]
    return config


def with_names(policy: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return a policy with other names instead of those on the page."""
    text = json.dumps(policy)
    for shown, own in names.items():
        text = text.replace(shown, own)
    filled: dict[str, Any] = json.loads(text)
    return filled


@pytest.fixture(scope="module")
def aws() -> Iterator[GuardedAws]:
    with guarded_aws() as aws:
        yield aws


@pytest.fixture(scope="module")
def own_user(aws: GuardedAws) -> AwsUser:
    """The server's identity, with the policy from the page."""
    (server_policy, _) = policies("s3-delegated-access.md")
    return aws.user(server_policy)


@pytest.fixture(scope="module")
def live(aws: GuardedAws, own_user: AwsUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as environ:
        for name, value in own_user.environ(folder).items():
            environ.setenv(name, value)
        with running(folder, s3_endpoint=aws.url, sts_endpoint=aws.url) as live:
            yield live


@pytest.fixture
def bucket(aws: GuardedAws) -> str:
    name = aws.bucket()
    aws.s3.put_object(Bucket=name, Key="street/a.jpg", Body=b"content")
    return name


def verify(live: Live, config: dict[str, Any]) -> dict[str, Any]:
    """Return the response of verify for a new dataset with this datasource."""
    answer = live.call("GET", live.datasource(live.configured(config), "verify"))
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def config_with_key(aws: GuardedAws, bucket: str, policy: dict[str, Any], **more: str) -> dict[str, Any]:
    """Return the config from the page, with the key of a user who has this policy."""
    user = aws.user(with_names(policy, {"my-bucket": bucket}))
    shown = {**example("s3.md"), "s3AccessKeyId": user.key_id, "s3SecretAccessKey": user.secret}
    return {**shown, "fullPath": shown["fullPath"].replace("my-bucket", bucket), **more}


def config_with_role(
    aws: GuardedAws, own_user: AwsUser, bucket: str, policy: dict[str, Any], **more: str
) -> dict[str, Any]:
    """Return the config from the page, with a role that has this policy and the trust policy from the page."""
    (_, trust) = policies("s3-delegated-access.md")
    trusting = with_names(trust, {"arn:aws:iam::111122223333:role/headwater": own_user.arn})
    role = aws.role(with_names(policy, {"my-bucket": bucket}), trusting)
    shown = {**example("s3-delegated-access.md"), "s3ARN": role}
    return {**shown, "fullPath": shown["fullPath"].replace("my-bucket", bucket), **more}


@pytest.fixture(params=["key", "role"])
def connect(request: pytest.FixtureRequest, aws: GuardedAws, own_user: AwsUser, bucket: str) -> Any:
    if request.param == "key":
        return lambda policy, **more: config_with_key(aws, bucket, policy, **more)
    return lambda policy, **more: config_with_role(aws, own_user, bucket, policy, **more)


@pytest.mark.slow
def test_the_read_policy_allows_only_list_and_read(live: Live, aws: GuardedAws, connect: Any, bucket: str) -> None:
    (read_only, _) = policies("s3.md")
    found = verify(live, connect(read_only, purpose="INPUT_OUTPUT"))
    errors = found.pop("errors")
    assert found == READ
    assert set(errors) == {"canWrite", "canOverwrite"}
    assert "Allow s3:PutObject" in errors["canWrite"]
    assert verify(live, connect(read_only)) == READ, "with the purpose on the page, INPUT, there is no error"
    assert aws.keys(bucket) == ["street/a.jpg"]


@pytest.mark.slow
def test_the_write_policy_allows_everything_and_leaves_no_test_file(
    live: Live, aws: GuardedAws, connect: Any, bucket: str
) -> None:
    (_, read_write) = policies("s3.md")
    assert verify(live, connect(read_write, purpose="INPUT_OUTPUT")) == ALL
    assert aws.keys(bucket) == ["street/a.jpg"]
    assert live.names(live.configured(connect(read_write))) == ["a.jpg"]


@pytest.mark.slow
def test_the_trust_policy_requires_the_external_id(live: Live, aws: GuardedAws, own_user: AwsUser, bucket: str) -> None:
    found = verify(
        live, config_with_role(aws, own_user, bucket, policies("s3.md")[1], s3ExternalId="another-external-id")
    )
    errors = found.pop("errors")
    assert not any(found.values())
    assert "s3ExternalId" in errors["canList"]
    assert own_user.arn in errors["canList"], "the identity that the trust policy must name"


def test_the_policies_have_least_privilege() -> None:
    """Each action is needed, and is allowed only on the folder."""
    read_only, read_write = policies("s3.md")
    for policy, actions in (
        (read_only, {"s3:ListBucket", "s3:GetObject"}),
        (read_write, {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}),
    ):
        listing, objects = policy["Statement"]
        allowed = objects["Action"]
        assert {listing["Action"], *([allowed] if isinstance(allowed, str) else allowed)} == actions
        assert listing["Resource"] == "arn:aws:s3:::my-bucket"
        assert listing["Condition"] == {"StringLike": {"s3:prefix": "street/*"}}
        assert objects["Resource"] == "arn:aws:s3:::my-bucket/street/*"


@pytest.mark.parametrize(
    ("page", "type_name"),
    [
        *(("s3.md", "S3"), ("s3-delegated-access.md", "S3DelegatedAccess"), ("obs.md", "OBS")),
        *(("gcs.md", "GCS"), ("azure.md", "AZURE"), ("local.md", "LOCAL")),
    ],
)
def test_configs_on_pages_are_accepted(page: str, type_name: str) -> None:
    config = parse_config(example(page))
    assert config.type == type_name
    assert set(example(page)) <= set(config.to_wire())
    if isinstance(config, S3Config | S3DelegatedAccessConfig):
        assert config.location.prefix == "street/"


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("*.md")))
def test_commands_on_pages_are_accepted(live: Live, page: str) -> None:
    commands = re.findall(r"^headwater (datasource set (?:.*\\\n)*.*)$", (PAGES / page).read_text(), re.MULTILINE)
    assert commands
    dataset = live.dataset()
    for command in commands:
        words = command.partition("#")[0].replace("\\\n", " ").split()
        words[words.index("street-scenes")] = dataset
        if "--verify" in words:
            words[words.index("--verify")] = "--no-verify"
        if "--secret-file" in words:
            del words[words.index("--secret-file") : words.index("--secret-file") + 2]
        if '""' in words:
            words[words.index('""')] = ""
        type_name = words[words.index("--type") + 1]
        secret = [] if type_name in ("S3DelegatedAccess", "LOCAL", "LIGHTLY") else ["--secret-file", "-"]
        live.headwater(*words, *secret, stdin='{"type": "service_account"}' if type_name == "GCS" else "test-secret")


async def test_files_written_as_on_the_page_appear_only_when_they_are_complete(tmp_path: Path) -> None:
    """The commands run one by one. What `cp` writes is no sample, so that no listing sees it grow."""
    card, datasets = tmp_path / "card", tmp_path / "datasets"
    folder = example("local.md")["fullPath"]
    (datasets / folder).mkdir(parents=True)
    card.mkdir()
    for name in ("0001.mp4", "0002.mp4"):
        (card / name).write_bytes(b"content")
    (block,) = re.findall(r"```sh\n(mkdir.*?)```", (PAGES / "local.md").read_text(), re.DOTALL)
    store = open_store(datasets, folder)
    before: list[str] = []
    for command in block.replace("/media/card", str(card)).replace("/mnt/datasets", str(datasets)).splitlines():
        subprocess.run(["sh", "-ec", command], check=True)
        listed = (await store.list_page("", None, 10)).objects
        samples = [found.key for found in listed if is_sample(found.key, include_all_files=False)]
        assert (samples != before) == command.startswith("mv "), command
        before = samples
    assert before == ["0001.mp4", "0002.mp4"]


def _server_texts() -> str:
    """Return the string literals of the server, in lower case, one a line; `\0` for what is filled in."""
    texts = []
    for file in (PAGES.parents[1] / "src/headwater").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(re.sub(r"{\w+}", "\0", node.value))
    return "\n".join(texts).lower()


def test_errors_on_pages_are_those_of_the_server() -> None:
    """The pages quote error texts so that readers find them; a renamed text would no longer be found."""
    known = _server_texts()
    quoted = set()
    for page in PAGES.glob("*.md"):
        table = page.read_text().partition("| the error contains |")[2].partition("\n\n")[0]
        for cell in re.findall(r"^\| (.+?) \| ", table, re.MULTILINE):
            phrases = re.split(r", |…|: |\(.*?\)", re.sub(r"`[^`]*`", "…", cell))
            quoted |= {phrase.strip().lower() for phrase in phrases if len(phrase.split()) > 2}
    missing = {phrase for phrase in quoted if phrase not in known and f"{phrase.rpartition(' ')[0]} \0" not in known}
    assert missing == set()
    assert len(quoted) >= 8
