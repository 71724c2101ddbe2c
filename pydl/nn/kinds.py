"""What a module can own under a name."""

PARAMETER, BUFFER, TEMPORARY, MODULE = "parameter", "buffer", "buffer that is not saved", "module"
BUFFERS = (BUFFER, TEMPORARY)
