# What the sidecar of gateway may do, and Nomad for it. Generated from the contracts; do not edit.

service "${service_prefix}gateway" {
  policy = "write"
}

service "${service_prefix}gateway-sidecar-proxy" {
  policy = "write"
}

# Whom it calls.
service "${service_prefix}shop" {
  policy = "read"
}

service "${service_prefix}shop-sidecar-proxy" {
  policy = "read"
}

service "${service_prefix}stock" {
  policy = "read"
}

service "${service_prefix}stock-sidecar-proxy" {
  policy = "read"
}

# On which hosts those are: nobody knows their names here.
node_prefix "" {
  policy = "read"
}
