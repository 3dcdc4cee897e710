import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from mesh_model.tls import FileCertificate, FileTrust
from mesh_proxy.tls.context import CertificateUnusable, LiveContext, Made, client_context, server_context
from mesh_proxy.tls.source import FileSource, Material
from tests.fakes.certificates import Authority, Pair

ALPN = ("http/1.1",)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def certificate(pair: Pair) -> FileCertificate:
    return FileCertificate(str(pair.chain), str(pair.key))


def serving(pair: Pair, trust: FileTrust | None = None) -> LiveContext:
    return LiveContext(FileSource(certificate(pair), trust), lambda material: server_context(material, ALPN))


def test_a_context_knows_the_certificate_it_shows(authority: Authority) -> None:
    pair = authority.sign("api.local", "spiffe://shop/api", "10.0.0.1")
    for make in (server_context, client_context):
        own = make(Material(pair.chain.read_bytes(), pair.key.read_bytes()), ALPN).own
        assert own is not None
        assert own.names == ("api.local", "spiffe://shop/api", "10.0.0.1")
        assert own.identity == "spiffe://shop/api"


def test_a_replaced_certificate_is_followed_and_told(authority: Authority) -> None:
    pair = authority.sign("old.local", at="pair")
    live = serving(pair)
    before = live.context
    assert live.look() is None
    authority.sign("new.local", at="pair")
    change = live.look()
    assert change is not None
    assert live.own is not None
    assert (change.name, change.action, change.reason) == ("mesh.certificate", "rotated", "content_changed")
    assert change.numbers == (("expires_at", live.own.expires_at),)
    assert live.own.names == ("new.local",)
    assert live.context is not before
    assert live.look() is None
    assert live.rotations == 1


def test_a_file_that_was_only_touched_changes_nothing(authority: Authority) -> None:
    pair = authority.sign("api.local")
    live = serving(pair)
    before = live.context
    pair.chain.touch()
    assert live.look() is None
    assert live.context is before


def test_a_certificate_may_be_replaced_file_by_file(authority: Authority, tmp_path: Path) -> None:
    pair, new = authority.sign("api.local"), authority.sign("new.local")
    live = serving(pair)
    pair.chain.write_bytes(new.chain.read_bytes())
    assert live.look() is None, "the key may be on its way"
    pair.key.write_bytes(new.key.read_bytes())
    change = live.look()
    assert change is not None
    assert change.action == "rotated"
    assert live.rejections == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda authority, pair: pair.chain.write_bytes(b"nonsense"), "not_pem", id="nonsense"),
        pytest.param(lambda authority, pair: pair.chain.unlink(), "unreadable", id="gone"),
        pytest.param(
            lambda authority, pair: pair.key.write_bytes(authority.sign("other.local").key.read_bytes()),
            "not_pem",
            id="other-key",
        ),
        pytest.param(
            lambda authority, pair: authority.sign("api.local", expires_in=-timedelta(minutes=1)), "expired", id="expired"
        ),
    ],
)
def test_an_unusable_certificate_keeps_the_old_one_and_is_told_once(authority: Authority, spoil: object, reason: str) -> None:
    pair = authority.sign("api.local")
    live = serving(pair)
    before = live.context
    assert callable(spoil)
    spoil(authority, pair)
    assert live.look() is None, "it may be half written"
    change = live.look()
    assert change is not None
    assert (change.action, change.reason) == ("rejected", reason)
    assert live.context is before
    assert live.look() is None
    authority.sign("api.local")
    change = live.look()
    assert change is not None
    assert change.action == "rotated"
    assert (live.rotations, live.rejections) == (1, 1)


def test_somebody_who_is_certain_is_told_at_once(authority: Authority) -> None:
    pair = authority.sign("api.local")
    live = serving(pair)
    pair.chain.write_bytes(b"nonsense")
    change = live.look(certain=True)
    assert change is not None
    assert change.action == "rejected"


def test_nothing_begins_without_a_usable_certificate(authority: Authority, tmp_path: Path) -> None:
    pair = authority.sign("api.local")
    pair.chain.unlink()
    with pytest.raises(CertificateUnusable, match=r"api\.local\.pem: it cannot be read"):
        serving(pair)
    late = authority.sign("late.local", expires_in=-timedelta(minutes=1))
    with pytest.raises(CertificateUnusable, match="it is over"):
        serving(late)
    (tmp_path / "empty.pem").touch()
    with pytest.raises(CertificateUnusable, match="it is no PEM"):
        LiveContext(FileSource(None, FileTrust(str(tmp_path / "empty.pem"))), lambda material: client_context(material, ALPN))


def test_a_pushed_certificate_comes_through_the_same_door(authority: Authority) -> None:
    class Pushed:
        name = "pushed"

        def __init__(self) -> None:
            self.version, self.material = 1, Material()

        def stamp(self) -> int:
            return self.version

        def read(self) -> Material:
            return self.material

    made: list[Material] = []

    def build(material: Material) -> Made:
        made.append(material)
        return client_context(material, ALPN)

    source = Pushed()
    live = LiveContext(source, build)
    source.version, source.material = 2, dataclasses.replace(source.material, trust=authority.path.read_bytes())
    change = live.look()
    assert change is not None
    assert change.action == "rotated"
    assert [material.trust for material in made] == [None, authority.path.read_bytes()]


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Material(b"", b"secret"))
