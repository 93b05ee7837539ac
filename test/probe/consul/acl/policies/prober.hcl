# What the sidecar of prober may do, and Nomad for it. Generated from the contracts; do not edit.

service "${service_prefix}prober" {
  policy = "write"
}

service "${service_prefix}prober-sidecar-proxy" {
  policy = "write"
}

# Whom it calls.
service "${service_prefix}probe" {
  policy = "read"
}

service "${service_prefix}probe-sidecar-proxy" {
  policy = "read"
}

# On which hosts those are: nobody knows their names here.
node_prefix "" {
  policy = "read"
}
