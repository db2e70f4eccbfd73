"""max_connections as a running server has it, from its control file: for when it lets nobody in to be asked. Pure.

The server writes its own value there when it starts (source: XLogReportParameters in xlog.c). On a standby it is the
primary's, so it is taken from a server in production only.
"""

from __future__ import annotations

import struct

_STATE, _MAX_CONNECTIONS = 16, 180
_IN_PRODUCTION = 6
# PG_CONTROL_VERSION of PostgreSQL 13 to 16, 17 and 18, and where the checksum stands (source: catalog/pg_control.h).
_CHECKSUM_AT = {1300: 288, 1700: 288, 1800: 292}


def max_connections(control: bytes) -> int | None:
    """The value in the bytes of global/pg_control; None for another version, another state or a torn file."""
    if len(control) < 296:
        return None
    # In the byte order of the machine, as the server runs on this one.
    version, state, value = (struct.unpack_from("=i", control, at)[0] for at in (8, _STATE, _MAX_CONNECTIONS))
    at = _CHECKSUM_AT.get(version)
    if at is None or state != _IN_PRODUCTION:
        return None
    if struct.unpack_from("=I", control, at)[0] != crc32c(control[:at]):
        return None
    return value if 1 <= value <= 262143 else None  # MAX_BACKENDS


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (source: port/pg_crc32c_sb8.c); bit by bit, as 288 bytes are all there is."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
