# A Consul client, on each host that runs Nomad's jobs. What differs between hosts stands in
# host.hcl beside it: names, addresses, keys, files (host.hcl.tmpl is the one of the development
# cluster).
#
#   consul agent -config-file client.hcl -config-file host.hcl

datacenter = "dc1"
server     = false

# Nomad's agent on this host asks the API and hands on the sidecars' xDS, both over loopback: no
# workload in a network of its own reaches them, and one in the host's needs a certificate.
client_addr = "127.0.0.1"

ports {
  https    = 8501
  grpc_tls = 8503
  http     = -1
  grpc     = -1
  dns      = -1
}

# A certificate of the agents' own CA is asked for, but where the exception below says so.
tls {
  defaults {
    verify_incoming = true
    verify_outgoing = true
    tls_min_version = "TLSv1_2"
  }

  internal_rpc {
    verify_server_hostname = true
  }

  # Exception: sidecars have no certificate of this CA and must not have one, since with it they
  # could ask the HTTPS API. Here the service's token decides.
  grpc {
    verify_incoming = false
  }
}

# This endpoint hands out the private key of a running service to callers without its token: the
# agent's cache does not ask for one. Sidecars get their certificates over xDS; what else asks here
# is a template with caLeaf, which Nomad refuses as well.
http_config {
  block_endpoints = ["/v1/agent/connect/ca/leaf"]
}

# Nothing is allowed that no token and no intention allows. There is no default token: a caller
# without one is anonymous and may do nothing.
acl {
  enabled                  = true
  default_policy           = "deny"
  down_policy              = "extend-cache" # what was allowed stays so while no server answers
  enable_token_persistence = true
}

default_intention_policy = "deny"

connect {
  enabled = true
}

# An agent that restarts comes back with its services: to leave would take them out of the catalog
# until then.
leave_on_terminate = false

# Prometheus asks at /v1/agent/metrics?format=prometheus, with a token that may read agents. The age
# of the agent's certificate is told once an hour: a shorter time would lose it in between.
telemetry {
  prometheus_retention_time = "4h"
  disable_hostname          = true # the scrape says which host it is
}

ui_config {
  enabled = false
}

retry_interval       = "2s" # a first join that is lost costs 30 s otherwise
disable_update_check = true
log_level            = "warn"
