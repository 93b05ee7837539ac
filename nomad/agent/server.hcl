# A Nomad server. What differs between hosts stands in host.hcl beside it: names, addresses, keys,
# files (host.hcl.tmpl is the one of the development cluster).
#
#   nomad agent -config server.hcl -config host.hcl

region     = "global"
datacenter = "dc1"

server {
  enabled = true
}

acl {
  enabled = true
}

# RPC between agents asks for a certificate of the agents' own CA, and only one that names a server
# speaks as a server.
tls {
  http                   = true
  rpc                    = true
  verify_server_hostname = true
  tls_min_version        = "tls12"

  # Exception: Consul's servers read the keys of workload identities here (/.well-known/jwks.json)
  # and show no certificate. What answers without a token is listed in
  # docs/architecture/discovery.md; all else wants one.
  verify_https_client = false
}

# Services get their own token of Consul for their own identity; so would tasks that ask Consul in
# templates: without an identity of theirs Nomad would hand them the agent's token.
consul {
  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }

  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }

  # Servers are named in host.hcl, and nobody looks for Nomad in Consul: so the agents need no right
  # to register anything.
  auto_advertise   = false
  server_auto_join = false
}

disable_update_check = true
log_level            = "WARN"
