from __future__ import annotations

from tokenproxy.launch.options import joined_labels, joined_routes


def test_flags_win_over_the_environment() -> None:
    env = {"TOKENPROXY_ROUTES": "a=http://env,b=http://env", "TOKENPROXY_LABELS": "k=env j=env"}
    assert joined_routes(["b=http://flag"], env) == {"a": "http://env", "b": "http://flag"}
    assert joined_labels(["k=flag, with a comma"], env) == {"k": "flag, with a comma", "j": "env"}
