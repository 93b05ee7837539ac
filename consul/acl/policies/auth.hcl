# What the sidecar of auth may do, and Nomad for it. Generated from the contracts; do not edit.

service "${service_prefix}auth" {
  policy = "write"
}

service "${service_prefix}auth-sidecar-proxy" {
  policy = "write"
}

# Whom it calls.
service "${service_prefix}audit" {
  policy = "read"
}

service "${service_prefix}audit-sidecar-proxy" {
  policy = "read"
}

service "${service_prefix}authz" {
  policy = "read"
}

service "${service_prefix}authz-sidecar-proxy" {
  policy = "read"
}

service "${service_prefix}identity" {
  policy = "read"
}

service "${service_prefix}identity-sidecar-proxy" {
  policy = "read"
}

service "${service_prefix}postgres" {
  policy = "read"
}

service "${service_prefix}postgres-sidecar-proxy" {
  policy = "read"
}

# On which hosts those are: nobody knows their names here.
node_prefix "" {
  policy = "read"
}
