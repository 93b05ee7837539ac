# A Nomad client: a host that runs jobs, beside a Consul client. What differs between hosts stands
# in host.hcl beside it: names, addresses, networks, volumes, keys, files (host.hcl.tmpl is the one
# of the development cluster).
#
#   nomad agent -config client.hcl -config host.hcl

region     = "global"
datacenter = "dc1"

client {
  enabled = true

  # What a task finds in its root, as hard links: the programs, glibc, of which Envoy needs these
  # parts, the CAs of the internet and who is who. Nomad's own choice would be all of /usr. What a
  # host does not have is left out; other distributions than Debian have the libraries in /lib64.
  chroot_env = {
    "/opt/gatehouse/bin"      = "/opt/gatehouse/bin"
    "/opt/gatehouse/postgres" = "/opt/gatehouse/postgres" # on the database's host

    "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" = "/lib64/ld-linux-x86-64.so.2"
    "/lib/x86_64-linux-gnu/libc.so.6"            = "/lib/x86_64-linux-gnu/libc.so.6"
    "/lib/x86_64-linux-gnu/libdl.so.2"           = "/lib/x86_64-linux-gnu/libdl.so.2"
    "/lib/x86_64-linux-gnu/libm.so.6"            = "/lib/x86_64-linux-gnu/libm.so.6"
    "/lib/x86_64-linux-gnu/libpthread.so.0"      = "/lib/x86_64-linux-gnu/libpthread.so.0"
    "/lib/x86_64-linux-gnu/librt.so.1"           = "/lib/x86_64-linux-gnu/librt.so.1"

    "/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" = "/lib/ld-linux-aarch64.so.1"
    "/lib/aarch64-linux-gnu/libc.so.6"             = "/lib/aarch64-linux-gnu/libc.so.6"
    "/lib/aarch64-linux-gnu/libdl.so.2"            = "/lib/aarch64-linux-gnu/libdl.so.2"
    "/lib/aarch64-linux-gnu/libm.so.6"             = "/lib/aarch64-linux-gnu/libm.so.6"
    "/lib/aarch64-linux-gnu/libpthread.so.0"       = "/lib/aarch64-linux-gnu/libpthread.so.0"
    "/lib/aarch64-linux-gnu/librt.so.1"            = "/lib/aarch64-linux-gnu/librt.so.1"

    "/etc/ssl/certs/ca-certificates.crt" = "/etc/ssl/certs/ca-certificates.crt"
    "/etc/passwd"                        = "/etc/passwd"
    "/etc/group"                         = "/etc/group"
  }

  # Templates are run by the agent, with its certificate for Consul: caLeaf, which Nomad allows by
  # default, would hand a job the private key of any service on this host. The others are Nomad's
  # defaults.
  template {
    function_denylist = ["executeTemplate", "plugin", "writeToFile", "caLeaf"]
  }

  # How long a sidecar's start asks for its configuration before it fails, where Nomad has 60 s. When a
  # host has lost its memory the tokens of its sidecars are gone, and Nomad does not write them
  # again: their allocations must fail soon, so that Nomad starts others.
  meta = {
    "consul.service_preflight_check.timeout" = "5s"
  }

  # Above the longest kill_timeout of a job: PostgreSQL's.
  max_kill_timeout = "2m"
}

plugin "exec" {
  config {
    allow_caps = [] # tasks need no privilege of root
  }
}

# Tasks without isolation would be root on this host.
plugin "raw_exec" {
  config {
    enabled = false
  }
}

acl {
  enabled = true
}

# A certificate of the agents' own CA is asked for everywhere; operators have one too.
tls {
  http                   = true
  rpc                    = true
  verify_server_hostname = true
  verify_https_client    = true
  tls_min_version        = "tls12"
}

# The Consul client on this host. Nomad's own token, in host.hcl, takes out services that have ended
# (consul/acl/nomad-client.hcl); those that begin have their own, by their workload's identity.
consul {
  address      = "127.0.0.1:8501"
  ssl          = true
  verify_ssl   = true
  grpc_address = "127.0.0.1:8503"

  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }

  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }

  auto_advertise   = false
  client_auto_join = false
}

leave_on_interrupt   = false # a restarted agent takes up its tasks again
leave_on_terminate   = false
disable_update_check = true
log_level            = "WARN"
