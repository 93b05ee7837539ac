# What the sidecar of probe may do, and Nomad for it. Generated from the contracts; do not edit.

service "${service_prefix}probe" {
  policy = "write"
}

service "${service_prefix}probe-sidecar-proxy" {
  policy = "write"
}
