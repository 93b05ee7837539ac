# What each service may do in Consul, and which Nomad job is that service. The files are generated
# from the contracts; `gatehouse` writes the same.

locals {
  acl = "${path.module}/../../../consul/acl"

  policies = {
    for f in fileset("${local.acl}/policies", "*.hcl") :
    trimsuffix(f, ".hcl") => templatefile("${local.acl}/policies/${f}", { service_prefix = var.service_prefix })
  }

  rules = {
    for f in fileset("${local.acl}/binding-rules", "*.json") :
    trimsuffix(f, ".json") => jsondecode(templatefile("${local.acl}/binding-rules/${f}", { service_prefix = var.service_prefix }))
  }
}

resource "consul_acl_policy" "services" {
  for_each = local.policies

  name        = "${var.service_prefix}${each.key}"
  description = "Gatehouse: service ${each.key}"
  rules       = each.value
}

# To make the tokens of, one for each Nomad client.
resource "consul_acl_policy" "nomad_clients" {
  for_each = var.nomad_clients

  name        = "nomad-client-${each.key}"
  description = "Gatehouse: Nomad client ${each.key}"
  rules       = templatefile("${local.acl}/nomad-client.hcl", { service_prefix = var.service_prefix, node = each.key })
}

resource "consul_acl_binding_rule" "services" {
  for_each   = local.rules
  depends_on = [consul_acl_policy.services] # a login between the two would have no rights

  auth_method = local.auth_method
  description = each.value.Description
  selector    = each.value.Selector
  bind_type   = each.value.BindType
  bind_name   = each.value.BindName
}
