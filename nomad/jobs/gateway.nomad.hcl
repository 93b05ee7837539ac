# The gateway: the only door.
# `go test ./nomad` compares it with its contract. nomad/vars/dev.hcl says what the variables are.

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
  environment = merge(var.environment, {
    GATEHOUSE_MESH_TRUST_DOMAIN   = var.trust_domain
    GATEHOUSE_MESH_DATACENTER     = var.datacenter
    GATEHOUSE_MESH_SERVICE_PREFIX = var.service_prefix
  })
  # A stream counts as a request; Envoy admits 1,024. Who fails 5 times in a row rests for 5 s.
  limits   = { max_connections = 4096, max_pending_requests = 4096, max_concurrent_requests = 16384 }
  ejection = { interval = "2s", max_failures = 5, enforcing_consecutive_5xx = 100, base_ejection_time = "5s", max_ejection_percent = 50 }
}

job "gateway" {
  namespace = "gatehouse"

  group "gateway" {
    count = 2

    constraint { distinct_hosts = true } # each has the same port
    update {
      max_parallel      = 1 # and no canary, which would wait for the port of what it is to replace
      auto_revert       = true
      min_healthy_time  = "10s" # the balancer has found it by then
      progress_deadline = "0s"
    }
    restart {
      attempts = 10
      delay    = "1s"
    }

    network {
      mode = "bridge"
      dns {} # as the host has it, for who is outside of the mesh
      port "https" {
        static       = 8443
        to           = 8080
        host_network = var.public_network
      }
      dynamic "port" {
        for_each = { readyz = -1, metrics = -1, envoy_metrics = 9102 } # -1: Nomad chooses
        labels   = [port.key]
        content {
          to           = port.value
          host_network = var.ops_network
        }
      }
    }

    service {
      name = "${var.service_prefix}gateway"
      port = 8080
      meta {
        readyz_port        = "${NOMAD_HOST_PORT_readyz}"
        metrics_port       = "${NOMAD_HOST_PORT_metrics}"
        envoy_metrics_port = "${NOMAD_HOST_PORT_envoy_metrics}"
      }
      check {
        type     = "http"
        port     = "readyz"
        path     = "/readyz"
        interval = "2s"
        timeout  = "3s"
      }
      connect {
        sidecar_service {
          disable_default_tcp_check = true # /readyz is asked through the sidecar
          proxy {
            config {
              envoy_prometheus_bind_addr = "0.0.0.0:9102"
            }
            expose {
              dynamic "path" {
                for_each = ["readyz", "metrics"]
                content {
                  path            = "/${path.value}"
                  protocol        = "http"
                  local_path_port = 8480
                  listener_port   = path.value
                }
              }
            }
            dynamic "upstreams" {
              for_each = { audit = 20004, auth = 20002, authz = 20003, identity = 20001 }
              content {
                destination_name = "${var.service_prefix}${upstreams.key}"
                local_bind_port  = upstreams.value
                config {
                  protocol             = "grpc"
                  limits               = local.limits
                  passive_health_check = local.ejection
                }
              }
            }
          }
        }
        sidecar_task {
          driver = "exec"
          user   = "nobody"
          config {
            command  = "${local.programs}/envoy"
            args     = ["--config-path", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json", "--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "2", "--drain-strategy", "immediate", "--log-level", "warn"]
            cap_drop = ["all"]
          }
          resources {
            cpu    = 250
            memory = 256 # 2,000 streams
          }
          logs {
            max_files     = 4 # a line for each call: `gatehouse mesh denied` reads them
            max_file_size = 20
          }
        }
      }
    }

    # What Nomad makes of sidecar_task takes no artifact: then it is this task's.
    dynamic "task" {
      for_each = length(var.artifacts) > 0 ? ["${var.service_prefix}gateway"] : []
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
          memory = 256
        }
      }
    }

    task "serve" {
      driver = "exec"
      user   = "nobody"
      env = merge(local.environment, {
        GATEHOUSE_GATEWAY_LISTEN        = "0.0.0.0:8080"
        GATEHOUSE_GATEWAY_TLS_CERT_FILE = "${NOMAD_SECRETS_DIR}/gateway.crt"
        GATEHOUSE_GATEWAY_TLS_KEY_FILE  = "${NOMAD_SECRETS_DIR}/gateway.key"
        GATEHOUSE_DRAIN_DELAY           = "10s" # the balancer has seen 503 at /readyz by then
      })
      config {
        command  = "${local.programs}/gateway"
        args     = ["serve"]
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
      kill_timeout = "40s" # above the drain
      template {
        destination = "${NOMAD_SECRETS_DIR}/gateway.crt"
        data        = "{{ with nomadVar `nomad/jobs/gateway/gateway/serve` }}{{ .GATEHOUSE_GATEWAY_TLS_CERT }}{{ end }}"
        perms       = "0400"
        uid         = 65534 # nobody
        gid         = 65534
        change_mode = "noop" # the gateway sees a new certificate itself
      }
      template {
        destination = "${NOMAD_SECRETS_DIR}/gateway.key"
        data        = "{{ with nomadVar `nomad/jobs/gateway/gateway/serve` }}{{ .GATEHOUSE_GATEWAY_TLS_KEY }}{{ end }}"
        perms       = "0400"
        uid         = 65534 # nobody
        gid         = 65534
        change_mode = "noop" # the gateway sees a new certificate itself
      }
    }
  }
}
