"""What schemathesis has to know: a plan file is sent as text."""

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
