# A service of somebody else that has the name of one of Gatehouse's.
job "postgres" {
  group "postgres" {
    network {
      mode = "bridge"
    }

    service {
      name = "postgres"
      port = 8080
      connect {
        sidecar_service {}
        sidecar_task {
          driver = "exec"
          user   = "nobody"
          config {
            command = "/opt/gatehouse/bin/envoy"
            args    = ["--config-path", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
          }
          resources {
            cpu    = 50
            memory = 128
          }
        }
      }
    }

    task "answer" {
      driver = "exec"
      user   = "nobody"
      config {
        command = "/opt/gatehouse/bin/site.test"
      }
      env {
        SITE_ANSWER = "127.0.0.1:8080"
      }
      resources {
        cpu    = 20
        memory = 64
      }
    }
  }
}
