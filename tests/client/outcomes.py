"""What the programs have in common that run with the generated client and with ours.

They print the outcome of each step. This module uses only what both clients have, and imports nothing of this project.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

import swagger_client
from swagger_client import exceptions

_DOCUMENTED = [exceptions.ApiTypeError, exceptions.ApiValueError, exceptions.ApiAttributeError, exceptions.ApiKeyError]
_DOCUMENTED += [exceptions.OpenApiException, TypeError, ValueError, AttributeError, Exception]


class Steps:
    """The clients of a program. They mark each request with the number of the step."""

    def __init__(self) -> None:
        self.number = 0
        self.clients: list[Any] = []

    def client(self, configuration: Any, *arguments: Any, **keywords: Any) -> Any:
        """Return an ApiClient for the rest of the step."""
        made = swagger_client.ApiClient(configuration, *arguments, **keywords)
        made.set_default_header("X-Step", str(self.number))
        self.clients.append(made)
        return made

    def run(self, steps: Iterable[tuple[str, Callable[[], Any]]]) -> None:
        """Run the steps, and print the name and the outcome of each."""
        for self.number, (name, step) in enumerate(steps):
            with contextlib.redirect_stdout(io.StringIO()) as printed:  # http.client prints what it sends in debug mode
                result = outcome(step)
            for each in self.clients:
                each.close()
            self.clients.clear()
            del printed
            sys.stdout.write(json.dumps([name, result]) + "\n")


def shown(value: Any) -> Any:
    """Return a value as JSON: models by class and text, classes by name."""
    if isinstance(value, type):
        return value.__name__
    if hasattr(value, "to_str"):
        return {"class": type(value).__name__, "text": value.to_str()}
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [shown(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def outcome(step: Callable[[], Any]) -> dict[str, Any]:
    """Return what a step returns, or the documented class of its error and the error's attributes."""
    try:
        return {"value": shown(step())}
    except exceptions.ApiException as error:
        return {"error": type(error).__name__, "status": error.status, "reason": error.reason, "body": error.body}
    except Exception as error:
        names = [cls.__name__ for cls in type(error).__mro__]
        documented = {cls.__name__ for cls in _DOCUMENTED}
        of_urllib3 = type(error).__module__.startswith("urllib3")
        return {"error": names[0] if of_urllib3 else next(name for name in names if name in documented)}
