# Authz: who may do what.
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

job "authz" {
  namespace = "gatehouse"

  group "authz" {
    count          = 2
    shutdown_delay = "10s" # out of the catalog first
    spread { attribute = "${node.unique.id}" }
    update {
      canary            = 2 # all instances: after their promotion all of the old stop at once
      auto_promote      = true
      auto_revert       = true
      progress_deadline = "0s" # the first that fails ends the deployment
    }
    restart {
      attempts = 10
      delay    = "1s"
    }

    network {
      mode = "bridge"
      dns {} # as the host has it, for who is outside of the mesh
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
      name = "${var.service_prefix}authz"
      port = 8083
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
              protocol                   = "grpc"
              local_request_timeout_ms   = 0 # Envoy would end streams after 15 s
              envoy_prometheus_bind_addr = "0.0.0.0:9102"
              # For the program's limits and windows. Consul would give the ops port the same.
              envoy_local_cluster_json         = <<-JSON
                {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "local_app", "type": "STATIC", "connect_timeout": "2s",
                 "circuit_breakers": {"thresholds": [{"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 16384}]},
                 "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                   "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                   "explicit_http_config": {"http2_protocol_options": {"initial_stream_window_size": 65536, "initial_connection_window_size": 1073741824}}}},
                 "load_assignment": {"cluster_name": "local_app", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 8083}}}}]}]}}
              JSON
              envoy_extra_static_clusters_json = jsonencode({ name = "exposed_cluster_8483", type = "STATIC", load_assignment = { cluster_name = "exposed_cluster_8483", endpoints = [{ lb_endpoints = [{ endpoint = { address = { socket_address = { address = "127.0.0.1", port_value = 8483 } } } }] }] } })
            }
            expose {
              dynamic "path" {
                for_each = ["readyz", "metrics"]
                content {
                  path            = "/${path.value}"
                  protocol        = "http"
                  local_path_port = 8483
                  listener_port   = path.value
                }
              }
            }
            dynamic "upstreams" {
              for_each = { audit = 20064, auth = 20062 }
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
            upstreams {
              destination_name = "${var.service_prefix}postgres"
              local_bind_port  = 20079
              config {
                protocol             = "tcp"
                connect_timeout_ms   = 2000
                limits               = local.limits
                passive_health_check = local.ejection
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
          logs {
            max_files     = 4 # a line for each call: `gatehouse mesh denied` reads them
            max_file_size = 20
          }
        }
      }
    }

    # What Nomad makes of sidecar_task takes no artifact: then it is this task's.
    dynamic "task" {
      for_each = length(var.artifacts) > 0 ? ["${var.service_prefix}authz"] : []
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

    dynamic "task" {
      for_each = { migrate = "postgres-authz.url", serve = "postgres-authz.url" }
      labels   = [task.key]
      content {
        driver = "exec"
        user   = "nobody"
        env    = merge(local.environment, { GATEHOUSE_POSTGRES_URL_FILE = "${NOMAD_SECRETS_DIR}/${task.value}" })
        config {
          command  = "${local.programs}/authz"
          args     = [task.key]
          cap_drop = ["all"]
        }
        dynamic "lifecycle" {
          for_each = task.key == "migrate" ? ["prestart"] : []
          content { hook = lifecycle.value }
        }
        kill_timeout = "30s" # above the drain
        dynamic "artifact" {
          for_each = var.artifacts
          content {
            source      = artifact.key
            destination = "local/gatehouse"
            options { checksum = artifact.value }
          }
        }
        template {
          destination = "${NOMAD_SECRETS_DIR}/${task.value}"
          data        = "{{ with nomadVar `nomad/jobs/authz/authz/${task.key}` }}{{ .GATEHOUSE_POSTGRES_URL }}{{ end }}"
          perms       = "0400"
          uid         = 65534 # nobody
          gid         = 65534
          change_mode = "noop" # a roll brings it in, not a restart of all at once
        }
      }
    }
  }
}
