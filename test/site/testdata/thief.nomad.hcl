# A job of somebody else that gives its service a name of Gatehouse's. It has no sidecar, for which
# Nomad takes no upper-case names: the token is the same.
job "thief" {
  group "thief" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }

    network {
      mode = "bridge"
    }

    service {
      name = "SERVICE"
      port = 8083
    }

    task "wait" {
      driver = "exec"
      user   = "nobody"
      config {
        command = "/opt/gatehouse/bin/site.test"
      }
      env {
        SITE_ANSWER = "127.0.0.1:8083"
      }
      resources {
        cpu    = 20
        memory = 64
      }
    }
  }
}
