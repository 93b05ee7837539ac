# A job of somebody else that calls that service, and tries Gatehouse's.
job "shop" {
  group "shop" {
    network {
      mode = "bridge"
    }

    service {
      name = "shop"
      port = 8081
      connect {
        sidecar_service {
          proxy {
            upstreams {
              destination_name = "postgres"
              local_bind_port  = 5000
            }
            upstreams {
              destination_name = "gatehouse-authz"
              local_bind_port  = 5001
            }
          }
        }
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

    task "ask" {
      driver = "exec"
      user   = "nobody"
      config {
        command = "/opt/gatehouse/bin/site.test"
      }
      env {
        SITE_ASK = "http://127.0.0.1:5000/ http://127.0.0.1:5001/gatehouse.authz.v1.AuthzService/Check"
      }
      resources {
        cpu    = 20
        memory = 64
      }
    }
  }
}
