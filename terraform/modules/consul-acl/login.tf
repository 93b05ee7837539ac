# How Nomad's workloads log in to Consul: a site has one method for all of its jobs.

locals {
  auth_method = var.own_cluster ? consul_acl_auth_method.own[0].name : data.consul_acl_auth_method.site[0].name

  method = jsondecode(templatefile("${local.acl}/auth-method.json", {
    jwks_url = var.jwks_url
    jwks_ca  = replace(var.jwks_ca, "\n", "\\n")
  }))
}

resource "consul_acl_auth_method" "own" {
  count = var.own_cluster ? 1 : 0

  name        = var.auth_method
  type        = local.method.Type
  description = local.method.Description
  config_json = jsonencode(local.method.Config)
}

data "consul_acl_auth_method" "site" {
  count = var.own_cluster ? 0 : 1

  name = var.auth_method

  lifecycle {
    postcondition {
      condition     = self.type == "jwt"
      error_message = "The auth method ${var.auth_method} is of the type ${self.type}: name the one of the type jwt by which Nomad's workloads log in."
    }

    postcondition {
      condition     = self.max_token_ttl == "0s"
      error_message = "The auth method ${var.auth_method} has MaxTokenTTL ${self.max_token_ttl}, and sidecars end with their tokens: set it to 0."
    }

    postcondition {
      condition = alltrue([
        for claim in keys(local.method.Config.ClaimMappings) : try(jsondecode(self.config_json).ClaimMappings[claim], "") == claim
      ])
      error_message = "The binding rules ask for ${join(", ", keys(local.method.Config.ClaimMappings))}, and the auth method ${var.auth_method} does not map each of these claims to its own name: add them to its ClaimMappings."
    }
  }
}
