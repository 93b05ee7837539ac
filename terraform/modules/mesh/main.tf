# Who may call whom, as config entries in Consul. The generated files name programs; here they get
# the names of their services, as registry.ReadEntries gives them in `gatehouse`.

locals {
  consul = "${path.module}/../../../consul"

  edges = toset([for p in jsondecode(file("${local.consul}/mesh.json")).programs : p.name if p.edge])

  files = {
    for f in fileset("${local.consul}/config-entries", "*.json") :
    f => jsondecode(file("${local.consul}/config-entries/${f}"))
  }

  # Kind and name are arguments of their own.
  bodies = {
    for f, entry in local.files : f => {
      for field, value in entry : field => value if !contains(["Kind", "Name"], field)
    }
  }

  # An extension finds the clusters that it patches by the names of services.
  defaults = {
    for f, entry in local.files : entry.Name => merge(local.bodies[f], {
      for field, extensions in entry : field => [
        for extension in extensions : merge(extension, {
          Arguments = merge(extension.Arguments, {
            for argument, patches in extension.Arguments : argument => [
              for patch in patches : merge(patch, {
                ResourceFilter = merge(patch.ResourceFilter, {
                  Services = [for s in patch.ResourceFilter.Services : { Name = "${var.service_prefix}${s.Name}" }]
                })
              })
            ] if argument == "Patches"
          })
        })
      ] if field == "EnvoyExtensions"
    }) if entry.Kind == "service-defaults"
  }

  resolvers = { for f, entry in local.files : entry.Name => local.bodies[f] if entry.Kind == "service-resolver" }

  # The site's own ingress comes before the denial of everybody else.
  ingress = [for s in var.ingress_sources : { Action = "allow", Name = s, Precedence = 9, Type = "consul" }]

  intentions = {
    for f, entry in local.files : entry.Name => merge(local.bodies[f], {
      Sources = concat(
        [for s in local.ingress : s if contains(local.edges, entry.Name)],
        [for s in entry.Sources : merge(s, { Name = s.Name == "*" ? "*" : "${var.service_prefix}${s.Name}" })],
      )
    }) if entry.Kind == "service-intentions"
  }
}

# Three resources and not one over all files: Consul answers 500 to intentions of a service whose
# protocol it does not know yet, and to the loss of a protocol that intentions need.

resource "consul_config_entry" "defaults" {
  for_each = local.defaults

  kind        = "service-defaults"
  name        = "${var.service_prefix}${each.key}"
  config_json = jsonencode(each.value)
}

resource "consul_config_entry" "resolvers" {
  for_each   = local.resolvers
  depends_on = [consul_config_entry.defaults]

  kind        = "service-resolver"
  name        = "${var.service_prefix}${each.key}"
  config_json = jsonencode(each.value)
}

resource "consul_config_entry" "intentions" {
  for_each   = local.intentions
  depends_on = [consul_config_entry.resolvers]

  kind        = "service-intentions"
  name        = "${var.service_prefix}${each.key}"
  config_json = jsonencode(each.value)
}

# What holds for every sidecar of the datacenter is the site's, and made where that is ours alone.

locals {
  own = {
    for f in ["mesh-entry.json", "proxy-defaults-entry.json"] :
    trimsuffix(f, "-entry.json") => jsondecode(file("${local.consul}/${f}")) if var.own_cluster
  }
}

resource "consul_config_entry" "own" {
  for_each = local.own

  kind        = each.value.Kind
  name        = try(each.value.Name, each.value.Kind) # of the kind mesh there is one, with this name
  config_json = jsonencode({ for field, value in each.value : field => value if !contains(["Kind", "Name"], field) })
}
