# Who operates Gatehouse: jobs, allocations and secrets of its namespace, and draining of hosts.
# Nothing of other namespaces.
#
#   nomad acl policy apply -description "Gatehouse: operators" gatehouse-operator nomad/acl/operator.policy.hcl

namespace "gatehouse" {
  policy = "write"

  variables {
    path "nomad/jobs/*" {
      capabilities = ["list", "read", "write", "destroy"]
    }
  }
}

host_volume "gatehouse-postgres" {
  capabilities = ["mount-readwrite"]
}

# To drain hosts.
node {
  policy = "write"
}

agent {
  policy = "read"
}
