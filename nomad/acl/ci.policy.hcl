# What rolls versions: it submits Gatehouse's jobs and watches them. It cannot read variables or
# enter an allocation, but who submits jobs decides what a task does with its secrets: keep its
# token like an operator's.
#
#   nomad acl policy apply -description "Gatehouse: CI" gatehouse-ci nomad/acl/ci.policy.hcl

namespace "gatehouse" {
  capabilities = ["list-jobs", "parse-job", "read-job", "submit-job", "scale-job", "read-logs"]
}

# PostgreSQL's job mounts it.
host_volume "gatehouse-postgres" {
  capabilities = ["mount-readwrite"]
}

agent {
  policy = "read"
}
