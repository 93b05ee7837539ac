# The production site: a Consul and a Nomad that others use too. Values only; what they mean stands in the
# modules.

locals {
  service_prefix = "gatehouse-"
}

module "consul_acl" {
  source = "../../modules/consul-acl"

  service_prefix = local.service_prefix
  auth_method    = "nomad-workloads" # as `nomad setup consul` names it
  nomad_clients  = []                # where the site gives its clients tokens of its own
}

module "mesh" {
  source = "../../modules/mesh"

  service_prefix = local.service_prefix
  undo_denies    = var.undo_denies
}

module "nomad" {
  source = "../../modules/nomad"
}
