# The development cluster (make cluster), whose Consul serves nobody else.

locals {
  service_prefix = "gatehouse-"
}

module "consul_acl" {
  source = "../../modules/consul-acl"

  service_prefix = local.service_prefix
  own_cluster    = true
  nomad_clients  = ["client-1", "client-2"]
  jwks_url       = var.jwks_url
  jwks_ca        = file(var.jwks_ca_file)
}

module "mesh" {
  source = "../../modules/mesh"

  service_prefix = local.service_prefix
  own_cluster    = true
  undo_denies    = var.undo_denies
}

module "nomad" {
  source = "../../modules/nomad"
}
