# What the sidecar of postgres may do, and Nomad for it. Generated from the contracts; do not edit.

service "${service_prefix}postgres" {
  policy = "write"
}

service "${service_prefix}postgres-sidecar-proxy" {
  policy = "write"
}
