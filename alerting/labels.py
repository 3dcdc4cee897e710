"""A set of labels names an alert; its fingerprint is the short form of that name."""

from collections.abc import Mapping

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_SEPARATOR = b"\xff"  # never part of UTF-8 text


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return 16 hex digits that depend on the labels only, not on their order.

    FNV-1a (64 bit) over the sorted names and values, as in Prometheus and Alertmanager
    (github.com/prometheus/common, model/signature.go), so that both give the same alert the same fingerprint.
    """
    digest = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + _SEPARATOR + labels[name].encode() + _SEPARATOR:
            digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"
