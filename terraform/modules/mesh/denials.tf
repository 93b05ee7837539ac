# `gatehouse mesh deny` changes the live entry and says so in its Meta. Terraform would write the
# definition over it, so a plan looks at what is there.

locals {
  # The ids go through a local: a data source that refers to a resource itself is read only after
  # that has changed. The id of an entry that is not there yet is unknown, and puts the reading off
  # until it is.
  kept = { for program, entry in consul_config_entry.intentions : program => trimprefix(entry.id, "service-intentions-") }
}

data "consul_config_entry" "intentions" {
  for_each = local.intentions

  kind = "service-intentions"
  name = try(local.kept[each.key], "${var.service_prefix}${each.key}") # `terraform import` knows only those that it has
}

locals {
  denied = flatten([
    for program, entry in data.consul_config_entry.intentions : [
      for mark, said in try(jsondecode(entry.config_json).Meta, {}) : "${trimprefix(mark, "denied ")} (${entry.name}): ${said}" if startswith(mark, "denied ")
    ]
  ])
}
