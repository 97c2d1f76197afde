"""Requests for images, limits and logs."""

from hostile_containers.hostile import each

IMAGES = each(
    [
        {"image": f"{registry}/a:1"}
        for registry in (
            *("localhost", "localhost:5000", "127.0.0.1:5000", "127.1:80", "[::1]:5000"),
            *("169.254.169.254", "0.0.0.0:5000", "[::ffff:127.0.0.1]:80", "a.localhost:1"),
        )
    ],
    "registry on loopback or link-local",
    "allowed_registries",
)

LIMITS = (
    *each(
        [
            {"resources": {"pids_limit": 0}},
            {"resources": {"pids_limit": 65_537}},
            {"resources": {"pids_limit": 2**31 - 1}},
        ],
        "beyond the limit",
        "max_pids_limit",
    ),
    *each(
        [
            {"ulimits": [{"name": name, "soft": soft, "hard": hard}]}
            for name in ("rtprio", "nice", "rttime")
            for soft, hard in ((99, 99), (0, 99), (-1, -1), (0, -1))
        ],
        "real-time scheduling",
        "allow_realtime",
    ),
)

LOGS = (
    *each(
        [
            {"log_options": {name: value}}
            for name, values in {
                "tag": (
                    *('{{pad "x" 3000000000 0}}', "{{ pad .Name 1 9000000000 }}", "{{json .}}"),
                    *("{{.Name | printf `%999999999s`}}", "{{range .ContainerEnv}}{{.}}{{end}}"),
                    *("a{{{.Name}}", "{{- .Name}}", '{{define "T"}}{{template "T"}}{{end}}'),
                ),
                "max-buffer-size": ("17m", "1g", "16777217", "9999999999 G", "1t", "1.5g", "-1"),
                "max-file": ("1001", "+1000000000", "0" * 20 + "5000", "9" * 40),
            }.items()
            for value in values
        ],
        "cost of logging",
        "allowed_log_drivers",
    ),
    *each(
        [
            *(
                {"log_driver": driver}
                for driver in (
                    *("syslog", "gelf", "fluentd", "awslogs", "splunk", "gcplogs", "logentries"),
                    *("journald", "etwlogs", "loki", "evil/plugin:latest", "Syslog", "JSON-FILE"),
                    *("json-file ", "none ", "local\n"),
                )
            ),
            *(
                {"log_options": {name: value}}
                for name, value in {
                    "syslog-address": "tcp://192.0.2.1:514",
                    "gelf-address": "udp://192.0.2.1:12201",
                    "fluentd-address": "unix:///run/docker.sock",
                    "splunk-url": "https://192.0.2.1",
                    "awslogs-endpoint": "http://169.254.169.254",
                    "syslog-tls-key": "/etc/shadow",
                }.items()
            ),
            {"log_driver": "syslog", "log_options": {"syslog-address": "unixgram:///dev/log"}},
        ],
        "log driver not listed",
        "allowed_log_drivers",
    ),
)
