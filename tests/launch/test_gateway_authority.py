"""The standing gateway's certificate authority."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

from cryptography import x509

from tokenproxy.launch import gateway_authority as module
from tokenproxy.launch.authority import make_authority
from tokenproxy.launch.gateway_authority import gateway_authority

HOSTS = ("api.anthropic.com",)


def test_it_is_kept_for_the_same_hosts(tmp_path: Path) -> None:
    first, path = gateway_authority(tmp_path, HOSTS)
    again, same = gateway_authority(tmp_path, HOSTS)
    assert (again, same) == (first, path)
    assert path.read_text() == first.cert_pem
    other, elsewhere = gateway_authority(tmp_path, (*HOSTS, "gw.example"))
    assert other != first
    assert elsewhere != path


def test_its_key_is_the_users_alone(tmp_path: Path) -> None:
    _, path = gateway_authority(tmp_path, HOSTS)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.with_name("ca-key.pem").stat().st_mode) == 0o600


def test_an_ageing_or_broken_one_is_made_anew(tmp_path: Path) -> None:
    first, path = gateway_authority(tmp_path, HOSTS)
    left = x509.load_pem_x509_certificate(first.cert_pem.encode()).not_valid_after_utc
    assert left - dt.datetime.now(dt.UTC) > module.RENEW_BEFORE

    path.write_text("no certificate")
    second, _ = gateway_authority(tmp_path, HOSTS)
    assert second != first

    old = make_authority(HOSTS, valid=module.RENEW_BEFORE - dt.timedelta(days=1))
    path.write_text(old.cert_pem)
    path.with_name("ca-key.pem").write_text(old.key_pem)
    third, _ = gateway_authority(tmp_path, HOSTS)
    assert third != old

    path.write_text(second.cert_pem)  # beside another's key
    fourth, _ = gateway_authority(tmp_path, HOSTS)
    assert fourth not in (second, third)
