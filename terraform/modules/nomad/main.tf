# What Nomad must know before Gatehouse's jobs run. Jobs themselves are not here: `nomad job run`
# rolls them, and two owners of one job would undo each other. Neither are secrets, which would be
# in clear in the state: `gatehouse secrets ensure` makes them.

locals {
  acl       = "${path.module}/../../../nomad/acl"
  namespace = jsondecode(file("${local.acl}/namespace.json"))
  policies  = toset([for f in fileset(local.acl, "*.policy.hcl") : trimsuffix(f, ".policy.hcl")])
}

resource "nomad_namespace" "gatehouse" {
  name        = local.namespace.Name
  description = local.namespace.Description

  capabilities {
    enabled_task_drivers = local.namespace.Capabilities.EnabledTaskDrivers
  }
}

resource "nomad_acl_policy" "roles" {
  for_each   = local.policies
  depends_on = [nomad_namespace.gatehouse]

  name        = "gatehouse-${each.key}"
  description = "Gatehouse: ${each.key}"
  rules_hcl   = file("${local.acl}/${each.key}.policy.hcl")
}
