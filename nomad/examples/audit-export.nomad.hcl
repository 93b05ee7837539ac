# An example: the trail is pushed to a syslog server. docs/audit-export.md tells of the receivers.
# It is a client of the gateway, outside of the mesh. Its secrets are a variable of Nomad's:
#
#   nomad var put -namespace gatehouse nomad/jobs/audit-export password=… ca=@logs-ca.pem
#
# The host volume holds the state: the client's configuration names it, and its folder is nobody's.

variable "gateway" { default = "https://gatehouse.example.com" }
variable "email" { default = "exporter@example.com" } # with can_read_audit on the platform
variable "receiver" { default = "syslog:logs.example.com:6514" }
variable "programs" { default = "/opt/gatehouse/bin" }

job "audit-export" {
  namespace = "gatehouse"

  group "export" {
    count = 1 # two with one state exclude each other

    volume "state" {
      type   = "host"
      source = "gatehouse-export"
    }
    restart {
      attempts = 10
      interval = "30m"
      delay    = "15s"
      mode     = "delay"
    }

    task "export" {
      driver = "exec"
      user   = "nobody"
      config {
        command = "${var.programs}/gatehouse"
        args = [
          "audit", "export", "--to", var.receiver, "--ca", "${NOMAD_SECRETS_DIR}/ca.pem",
          "--resume", "/export/${NOMAD_JOB_NAME}", "--source", var.gateway,
        ]
        cap_drop = ["all"]
      }
      env {
        GATEHOUSE_URL               = var.gateway
        GATEHOUSE_CLI_EMAIL         = var.email
        GATEHOUSE_CLI_PASSWORD_FILE = "${NOMAD_SECRETS_DIR}/password"
      }
      volume_mount {
        volume      = "state"
        destination = "/export"
      }
      dynamic "template" {
        for_each = { password = "password", ca = "ca.pem" }
        content {
          destination = "${NOMAD_SECRETS_DIR}/${template.value}"
          data        = "{{ with nomadVar `nomad/jobs/audit-export` }}{{ .${template.key} }}{{ end }}"
          perms       = "0400"
          uid         = 65534 # nobody
          gid         = 65534
        }
      }
      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
