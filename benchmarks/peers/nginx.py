"""nginx as a reverse proxy that adds nothing: the floor."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.peers.peer import Way
from benchmarks.processes import Server, Unavailable, free_port
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Load, Upstream

CONFIG = """\
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {work}/nginx-body;
  proxy_temp_path {work}/nginx-proxy;
  fastcgi_temp_path {work}/nginx-fastcgi;
  uwsgi_temp_path {work}/nginx-uwsgi;
  scgi_temp_path {work}/nginx-scgi;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_read_timeout 1h;
  proxy_set_header Host $host;
  proxy_set_header Connection $upgrading;
  proxy_set_header Upgrade $http_upgrade;
  map $http_upgrade $upgrading {{ '' ''; default upgrade; }}
  upstream plain {{
    server 127.0.0.1:{http}; keepalive 600; keepalive_requests 1000000000;
  }}
  upstream secure {{
    server 127.0.0.1:{https}; keepalive 600; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ proxy_pass http://plain; }}
  }}
  server {{
    listen 127.0.0.1:{tls_port} ssl backlog=1024;
    ssl_certificate {certificates}/cert.pem;
    ssl_certificate_key {certificates}/key.pem;
    location / {{
      proxy_pass https://secure;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {certificates}/ca.pem;
      proxy_ssl_name api.anthropic.com;
    }}
  }}
}}
"""


class Nginx:
    name = "nginx"

    def __init__(self) -> None:
        self._server: Server | None = None

    def start(self, upstream: Upstream, work: Path) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise Unavailable(
                "nginx is not installed: apt-get install nginx, or brew install nginx"
            )
        self._program = program
        self._port, self._tls_port = free_port(), free_port()
        self._ca = upstream.ca
        config = work / "nginx.conf"
        config.write_text(
            CONFIG.format(
                work=work, certificates=upstream.work, port=self._port, tls_port=self._tls_port,
                http=upstream.ports.http, https=upstream.ports.https,
            )
        )  # fmt: skip
        command = [program, "-p", str(work), "-c", str(config)]
        self._server = Server(self.name, command, work=work, env=os.environ)
        self._server.wait_for_port(self._port)

    def version(self) -> dict[str, str]:
        done = subprocess.run([self._program, "-v"], capture_output=True, text=True, check=True)
        return {self.name: done.stderr.strip().rpartition("/")[2]}

    def way(self, scenario: Scenario) -> Way | None:
        assert self._server is not None  # noqa: S101 - started
        pids = (self._server.pid,)
        if scenario.tls:
            return Way(pids=pids, addr=f"127.0.0.1:{self._tls_port}", ca=self._ca)
        return Way(pids=pids, addr=f"127.0.0.1:{self._port}")

    def settle(self, scenario: Scenario, load: Load) -> None:
        pass

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
