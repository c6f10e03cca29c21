"""The logging settings of a client."""

from __future__ import annotations

import logging
import os
from typing import Optional


class LoggingSettings:
    """The logging settings of a `Configuration`. Loggers belong to the process, so these settings do too.

    Attributes:
        logger: the loggers that `debug` and `logger_file` change, by name: `package_logger`, `urllib3_logger`.
        logger_formatter: the formatter for `logger_format`.
        logger_file_handler: writes `logger_file`.
        logger_stream_handler: writes to stderr while `debug` is on, if no other handler exists.
    """

    def __init__(self) -> None:
        self.logger = {
            "package_logger": logging.getLogger("swagger_client"),
            "urllib3_logger": logging.getLogger("urllib3"),
        }
        self.logger_format = "%(asctime)s %(levelname)s %(message)s"
        self.logger_stream_handler: Optional[logging.Handler] = None
        self.logger_file_handler: Optional[logging.FileHandler] = None
        self._logger_file: Optional[str] = None
        self._debug = False

    @property
    def debug(self) -> bool:
        """Whether to log every call: method, URL without the token, status, milliseconds, and urllib3's own records.

        Setting it sets the level of the loggers to DEBUG or WARNING, for the whole process. If no handler exists,
        records go to stderr.
        """
        return self._debug

    @debug.setter
    def debug(self, value: bool) -> None:
        self._debug = value
        for logger in self.logger.values():
            logger.setLevel(logging.DEBUG if value else logging.WARNING)
        package = self.logger["package_logger"]
        if value and not package.hasHandlers():
            self.logger_stream_handler = logging.StreamHandler()
            self.logger_stream_handler.setFormatter(self.logger_formatter)
            package.addHandler(self.logger_stream_handler)

    @property
    def logger_file(self) -> Optional[str]:
        """Path of a file to append log records to. Another path replaces it; None has no effect."""
        return self._logger_file

    @logger_file.setter
    def logger_file(self, value: Optional[str]) -> None:
        self._logger_file = value
        if not value:
            return
        previous = self.logger_file_handler
        handler = self._existing_handler(value) or logging.FileHandler(value)
        handler.setFormatter(self.logger_formatter)
        for logger in self.logger.values():
            logger.addHandler(handler)
        self.logger_file_handler = handler
        if previous is not None and previous is not handler:
            for logger in self.logger.values():
                logger.removeHandler(previous)
            previous.close()

    def _existing_handler(self, path: str) -> Optional[logging.FileHandler]:
        """Return the handler that already writes this file. A copy of a configuration must not add a second one."""
        absolute = os.path.abspath(path)  # noqa: PTH100  the form that logging uses
        for handler in self.logger["package_logger"].handlers:
            if isinstance(handler, logging.FileHandler) and handler.baseFilename == absolute:
                return handler
        return None

    @property
    def logger_format(self) -> str:
        """The format of log lines, for a `logger_file` or `debug` that is set later."""
        return self._logger_format

    @logger_format.setter
    def logger_format(self, value: str) -> None:
        self._logger_format = value
        self.logger_formatter = logging.Formatter(value)
