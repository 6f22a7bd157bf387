"""Brokers of other people, each a process in a folder of its own, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import trustme

from tests._support.ports import free_port

# Debian puts servers where an ordinary user's PATH does not look. Its wrapper for RabbitMQ
# insists on its own user and folders; what it calls comes before it.
SEARCH_PATH = os.pathsep.join(
    [
        "/usr/lib/rabbitmq/bin",
        os.environ.get("PATH", ""),
        "/usr/sbin",
        "/usr/local/sbin",
    ]
)
# Each with the package that has it.
PROGRAMS = {
    "nats-server": "nats-server",
    "rabbitmq-server": "rabbitmq-server",
    "epmd": "rabbitmq-server",
    "node": "nodejs",
    "npm": "npm",
}


def needed(program: str) -> str:
    """Give the path of one of the programs, which is there: see the conftest."""
    found = shutil.which(program, path=SEARCH_PATH)
    assert found is not None, program
    return found


def missing_packages() -> list[str]:
    """Name the packages whose programs are not there."""
    return sorted(
        {
            package
            for program, package in PROGRAMS.items()
            if shutil.which(program, path=SEARCH_PATH) is None
        }
    )


class Server:
    """A broker that can be started, stopped, killed and started again.

    Its port and what it stores stay the same. All methods block.
    """

    name = ""
    ws_path = "/"
    start_s = 10.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"mqtt://127.0.0.1:{self.port}"
        self.ws_port = free_port()
        self.ws_uri = f"ws://127.0.0.1:{self.ws_port}{self.ws_path}"
        self.tls_port = free_port()
        self.tls_uri = f"mqtts://127.0.0.1:{self.tls_port}"
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self.cafile, self.certfile, self.keyfile = (
            str(folder / name) for name in ("ca.pem", "server.pem", "server.key")
        )
        authority.cert_pem.write_to_path(self.cafile)
        certificate.cert_chain_pems[0].write_to_path(self.certfile)
        certificate.private_key_pem.write_to_path(self.keyfile)
        self._log = folder / "log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it; returns when it accepts connections."""
        self.launch()
        give_up_at = time.monotonic() + self.start_s
        ports = (self.port, self.ws_port, self.tls_port)
        while not all(map(self._accepts, ports)):
            has_ended = self._processes[-1].poll() is not None
            if has_ended or time.monotonic() > give_up_at:
                self.stop()
                pytest.fail(f"{self.name} does not start: {self._log.read_text()}")
            time.sleep(0.02)

    def launch(self) -> None:
        """Run the program, and what it needs before."""
        raise NotImplementedError

    def run(self, *command: str, environ: dict[str, str] | None = None) -> None:
        """Run one program until the end of the server."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    def stop(self) -> None:
        """End it in good order."""
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def kill(self) -> None:
        """End it as a crash does, with all it has started."""
        while self._processes:
            process = self._processes.pop()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @staticmethod
    def _accepts(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True


NATS_CONFIG = """\
server_name: {name}
listen: 127.0.0.1:-1
jetstream {{ store_dir: "{store}" }}
"""


class Nats(Server):
    """NATS server, MQTT 3.1.1 over JetStream; for TLS a second one."""

    name = "nats-server"
    ws_path = "/mqtt"

    def launch(self) -> None:
        tls = f'tls {{ cert_file: "{self.certfile}", key_file: "{self.keyfile}" }}'
        self._launch_one(
            "tls", f"mqtt {{ listen: 127.0.0.1:{self.tls_port}, {tls} }}\n"
        )
        self._launch_one(
            "plain",
            f"mqtt {{ listen: 127.0.0.1:{self.port} }}\n"
            f"websocket {{ listen: 127.0.0.1:{self.ws_port}, no_tls: true }}\n",
        )

    def _launch_one(self, name: str, listeners: str) -> None:
        config = self.folder / f"{name}.conf"
        store = self.folder / name
        config.write_text(NATS_CONFIG.format(name=name, store=store) + listeners)
        self.run(needed("nats-server"), "-c", str(config))


# With consumers that are held three times as well, NATS server 2.9 loses one of a few
# hundred messages that it has acknowledged, whoever subscribes: mosquitto_sub does not get
# them either.
NATS_NODE_CONFIG = """\
server_name: node-{number}
listen: 127.0.0.1:-1
jetstream {{ store_dir: "{store}", max_memory_store: 256MB, max_file_store: 1GB }}
cluster {{ name: structiot, listen: 127.0.0.1:{port}, routes: [{routes}] }}
mqtt {{ listen: 127.0.0.1:{mqtt_port}, stream_replicas: 3, consumer_replicas: 1 }}
"""


class NatsCluster(Server):
    """Three NATS servers that hold each message three times; each is a broker."""

    name = "nats-server"
    start_s = 30.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mqtt_ports = [free_port() for _ in range(3)]
        self.uris = [f"mqtt://127.0.0.1:{port}" for port in self.mqtt_ports]
        self.port, self.ws_port, self.tls_port = self.mqtt_ports

    def launch(self) -> None:
        ports = [free_port() for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        for number, port in enumerate(ports):
            config = self.folder / f"node-{number}.conf"
            config.write_text(
                NATS_NODE_CONFIG.format(
                    number=number,
                    store=self.folder / f"node-{number}",
                    port=port,
                    routes=routes,
                    mqtt_port=self.mqtt_ports[number],
                )
            )
            self.run(needed("nats-server"), "-c", str(config))


RABBITMQ_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
mqtt.listeners.tcp.1 = 127.0.0.1:{server.port}
mqtt.listeners.ssl.1 = 127.0.0.1:{server.tls_port}
mqtt.allow_anonymous = true
web_mqtt.tcp.ip = 127.0.0.1
web_mqtt.tcp.port = {server.ws_port}
ssl_options.cacertfile = {server.cafile}
ssl_options.certfile = {server.certfile}
ssl_options.keyfile = {server.keyfile}
ssl_options.verify = verify_none
loopback_users.guest = true
log.console = true
log.console.level = warning
log.file = false
"""


class RabbitMq(Server):
    """RabbitMQ with its plugins for MQTT 3.1.1, a node that knows no other."""

    name = "rabbitmq-server"
    ws_path = "/ws"
    # Its virtual machine shares two cores with others; a test has 150 s.
    start_s = 140.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "plugins").write_text("[rabbitmq_mqtt,rabbitmq_web_mqtt].\n")
        config = RABBITMQ_CONFIG.format(amqp=free_port(), server=self)
        (folder / "rabbitmq.conf").write_text(config)
        self._environ = {
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_NODENAME": f"structiot-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }

    def launch(self) -> None:
        server = needed("rabbitmq-server")
        # Started first, or the node leaves one behind as a daemon.
        epmd = needed("epmd")
        port = self._environ["ERL_EPMD_PORT"]
        self.run(epmd, "-port", port, environ=self._environ)
        self.run(server, environ=self._environ)
