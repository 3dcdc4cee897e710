from hypothesis import given
from hypothesis import strategies as st

from alerting.labels import fingerprint

LABELS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=6)


def test_fingerprints_are_alertmanagers() -> None:
    # the values of prometheus/common's own tests (model/signature_test.go)
    assert int(fingerprint({}), 16) == 14695981039346656037
    assert int(fingerprint({"name": "garland, briggs", "fear": "love is not enough"}), 16) == 5799056148416392346


@given(LABELS)
def test_the_order_of_labels_does_not_matter(labels: dict[str, str]) -> None:
    assert fingerprint(labels) == fingerprint(dict(reversed(labels.items())))
    assert len(fingerprint(labels)) == 16


@given(LABELS, LABELS)
def test_other_labels_have_another_fingerprint(one: dict[str, str], other: dict[str, str]) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)
