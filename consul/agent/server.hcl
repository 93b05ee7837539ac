# A Consul server. What differs between hosts stands in host.hcl beside it: names, addresses, keys,
# files (host.hcl.tmpl is the one of the development cluster).
#
#   consul agent -config-file server.hcl -config-file host.hcl

datacenter = "dc1"
server     = true

# Operators and Nomad's agents ask the API over HTTPS. Sidecars ask the agent of their own host, a
# client; here gRPC is for `gatehouse mesh verify`, which has certificates signed for keys that
# never leave it. Both want a client certificate.
ports {
  https    = 8501
  http     = -1
  grpc     = -1
  grpc_tls = 8503
  dns      = -1
  serf_wan = -1
}

# A certificate of the agents' own CA is asked for everywhere: a workload that reaches a port gets
# nothing, not even an error of the API. Only one that names a server speaks as a server.
tls {
  defaults {
    verify_incoming = true
    verify_outgoing = true
    tls_min_version = "TLSv1_2"
  }

  internal_rpc {
    verify_server_hostname = true
  }
}

# This endpoint hands out the private key of a running service to callers without its token: the
# agent's cache does not ask for one. Sidecars get their certificates over xDS.
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

# Three servers elect a leader within seconds even when one is lost; the default is for slow
# machines.
performance {
  raft_multiplier = 1
}

peering {
  enabled = false
}

# Prometheus asks at /v1/agent/metrics?format=prometheus, with a token that may read agents. The
# ages of the mesh's CA are told once an hour: a shorter time would lose them in between.
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
