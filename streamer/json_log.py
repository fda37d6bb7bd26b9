"""Log messages for machines: a JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """Formats a record as an object: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``.

    An exception that goes with it is its ``exception``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)  # in ASCII: standard error may have any encoding
