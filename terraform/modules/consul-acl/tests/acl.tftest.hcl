# With providers that only pretend: `make terraform-check`.

mock_provider "consul" {
  mock_data "consul_acl_auth_method" {
    defaults = {
      type          = "jwt"
      max_token_ttl = "0s"
      config_json   = "{\"ClaimMappings\":{\"nomad_namespace\":\"nomad_namespace\",\"nomad_job_id\":\"nomad_job_id\",\"nomad_service\":\"nomad_service\"}}"
    }
  }
}

variables {
  service_prefix = "test-"
}

run "policies_and_rules_have_the_prefix" {
  assert {
    condition     = length(output.policies) > 4 && alltrue([for name in output.policies : startswith(name, "test-")])
    error_message = "The policies are ${join(", ", output.policies)}."
  }

  assert {
    condition = alltrue([
      for program, rule in consul_acl_binding_rule.services :
      rule.selector == "value.nomad_namespace==\"gatehouse\" and value.nomad_job_id==\"${program}\" and value.nomad_service==\"test-${program}\"" && rule.bind_name == "test-${program}"
    ])
    error_message = "A rule binds something else."
  }

  assert {
    condition     = length(consul_acl_auth_method.own) == 0 && output.auth_method == "nomad-workloads"
    error_message = "The method is the site's."
  }
}

run "a_method_whose_tokens_end" {
  command = plan

  override_data {
    target = data.consul_acl_auth_method.site[0]
    values = {
      max_token_ttl = "1h0m0s"
    }
  }

  expect_failures = [data.consul_acl_auth_method.site]
}

run "a_method_that_does_not_map_the_job" {
  command = plan

  override_data {
    target = data.consul_acl_auth_method.site[0]
    values = {
      config_json = "{\"ClaimMappings\":{\"nomad_namespace\":\"nomad_namespace\",\"nomad_service\":\"nomad_service\"}}"
    }
  }

  expect_failures = [data.consul_acl_auth_method.site]
}

run "a_method_of_another_type" {
  command = plan

  override_data {
    target = data.consul_acl_auth_method.site[0]
    values = {
      type = "kubernetes"
    }
  }

  expect_failures = [data.consul_acl_auth_method.site]
}

run "no_prefix_on_a_shared_consul" {
  command = plan

  variables {
    service_prefix = ""
  }

  expect_failures = [var.service_prefix]
}

run "keys_without_a_method_of_ours" {
  command = plan

  variables {
    jwks_url = "https://nomad.test:4646/.well-known/jwks.json"
  }

  expect_failures = [var.jwks_url]
}

run "own_cluster" {
  variables {
    own_cluster = true
    jwks_url    = "https://nomad.test:4646/.well-known/jwks.json"
    jwks_ca     = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
  }

  assert {
    condition     = jsondecode(consul_acl_auth_method.own[0].config_json).JWKSCACert == var.jwks_ca && jsondecode(consul_acl_auth_method.own[0].config_json).BoundAudiences[0] == "consul.io"
    error_message = "The method is ${consul_acl_auth_method.own[0].config_json}."
  }
}
