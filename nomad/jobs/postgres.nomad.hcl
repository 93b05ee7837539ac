# PostgreSQL for development and small sites: one server, on the host that has its volume. With a
# server of one's own, which the URLs in the programs' Nomad variables name (sslmode=verify-full),
# this job does not run.

variable "datacenter" { default = "dc1" }
variable "trust_domain" {
  default = ""
  validation {
    condition     = var.trust_domain != ""
    error_message = "Set trust_domain (-var or NOMAD_VAR_trust_domain) to TrustDomain of Consul's /v1/connect/ca/roots; `gatehouse cluster env` does."
  }
}
variable "service_prefix" { default = "gatehouse-" }
variable "programs" { default = "/opt/gatehouse/bin" }
variable "artifacts" {
  type    = map(string)
  default = {}
}
variable "ops_network" { default = "private" }
variable "public_network" { default = "public" }
variable "environment" {
  type    = map(string)
  default = { GATEHOUSE_AUTH_SIGN_UP = "open", GATEHOUSE_GATEWAY_TRUSTED_PROXIES = "10.203.1.1", GATEHOUSE_TOKEN_ISSUER = "https://10.203.1.1" }
}

locals {
  programs = length(var.artifacts) > 0 ? "/local/gatehouse" : var.programs
}

job "postgres" {
  namespace = "gatehouse"

  group "postgres" {
    count = 1

    update {
      health_check      = "task_states"
      progress_deadline = "0s"
    }
    restart {
      attempts = 10
      delay    = "1s"
    }

    network {
      mode = "bridge"
      port "envoy_metrics" {
        to           = 9102
        host_network = var.ops_network
      }
    }

    volume "data" {
      type   = "host"
      source = "gatehouse-postgres"
    }

    service {
      name = "${var.service_prefix}postgres"
      port = 15432
      meta {
        envoy_metrics_port = "${NOMAD_HOST_PORT_envoy_metrics}"
      }
      connect {
        sidecar_service {
          disable_default_tcp_check = true # who could take over?
          proxy {
            config {
              protocol                   = "tcp"
              max_inbound_connections    = 4096
              envoy_prometheus_bind_addr = "0.0.0.0:9102"
            }
          }
        }
        sidecar_task {
          driver = "exec"
          user   = "nobody"
          config {
            command = "${local.programs}/envoy"
            # Connections outlive a change of the listener until pools have replaced them (5 m).
            args     = ["--config-path", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json", "--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "600", "--drain-strategy", "immediate", "--log-level", "warn"]
            cap_drop = ["all"]
          }
          logs {
            max_files     = 4
            max_file_size = 20
          }
        }
      }
    }

    # What Nomad makes of sidecar_task takes no artifact: then it is this task's.
    dynamic "task" {
      for_each = length(var.artifacts) > 0 ? ["${var.service_prefix}postgres"] : []
      labels   = ["connect-proxy-${task.value}"]
      content {
        kind           = "connect-proxy:${task.value}"
        driver         = "exec"
        shutdown_delay = "5s"
        config { command = "${local.programs}/envoy" }
        lifecycle {
          hook    = "prestart"
          sidecar = true
        }
        dynamic "artifact" {
          for_each = var.artifacts
          content {
            source      = artifact.key
            destination = "local/gatehouse"
            options { checksum = artifact.value }
          }
        }
        resources {
          cpu    = 250
          memory = 128
        }
      }
    }

    task "postgres" {
      driver = "exec"
      user   = "nobody"
      config {
        command  = "${local.programs}/gatehouse"
        args     = ["database", "serve", "--data", "/data/postgres", "--programs", "/opt/gatehouse/postgres/bin", "--instances", "6"]
        cap_drop = ["all"]
      }
      dynamic "artifact" {
        for_each = var.artifacts
        content {
          source      = artifact.key
          destination = "local/gatehouse"
          options { checksum = artifact.value }
        }
      }
      env = {
        POSTGRES_PASSWORD_FILE = "${NOMAD_SECRETS_DIR}/postgres.password"
      }
      kill_signal  = "SIGINT" # rolls back and closes
      kill_timeout = "60s"
      volume_mount {
        volume      = "data"
        destination = "/data"
      }
      template {
        destination = "${NOMAD_SECRETS_DIR}/postgres.password"
        data        = "{{ with nomadVar `nomad/jobs/postgres/postgres/postgres` }}{{ .POSTGRES_PASSWORD }}{{ end }}"
        perms       = "0400"
        uid         = 65534 # nobody
        gid         = 65534
        change_mode = "noop"
      }
      resources {
        cpu    = 200
        memory = 1024
      }
    }

    # Makes the roles and schemas of all programs, and makes them anew when a password has changed.
    task "prepare" {
      driver = "exec"
      user   = "nobody"
      config {
        command = "${local.programs}/gatehouse"
        args = ["database", "prepare", "--stay", "--own-server", "--passwords", "${NOMAD_SECRETS_DIR}/passwords.env",
          "--instances", "6", # of Auth, in a roll
        "--postgres-url", "postgres://postgres@127.0.0.1:15432/postgres?sslmode=disable"]
        cap_drop = ["all"]
      }
      dynamic "artifact" {
        for_each = var.artifacts
        content {
          source      = artifact.key
          destination = "local/gatehouse"
          options { checksum = artifact.value }
        }
      }
      lifecycle {
        hook    = "poststart"
        sidecar = true
      }
      template {
        destination = "${NOMAD_SECRETS_DIR}/passwords.env"
        data        = "{{ with nomadVar `nomad/jobs/postgres/postgres/prepare` }}{{ range .Tuples }}{{ .K }}={{ .V }}\n{{ end }}{{ end }}"
        perms       = "0400"
        uid         = 65534 # nobody
        gid         = 65534
        change_mode = "restart"
      }
    }
  }
}
