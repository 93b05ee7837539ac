# What the sidecar of stock may do, and Nomad for it. Generated from the contracts; do not edit.

service "${service_prefix}stock" {
  policy = "write"
}

service "${service_prefix}stock-sidecar-proxy" {
  policy = "write"
}
