# With providers that only pretend: `make terraform-check`.

mock_provider "consul" {
  mock_data "consul_config_entry" {
    defaults = {
      config_json = "{\"Meta\":{\"managed-by\":\"gatehouse\"}}"
    }
  }
}

variables {
  service_prefix = "test-"
}

run "names_have_the_prefix" {
  assert {
    condition     = alltrue([for entry in output.entries : strcontains(entry, "/test-")])
    error_message = "An entry has no prefix: ${join(", ", output.entries)}"
  }

  assert {
    condition     = length(output.entries) == length(fileset("${path.module}/../../../consul/config-entries", "*.json"))
    error_message = "There are ${length(output.entries)} entries."
  }

  assert {
    condition = alltrue(flatten([
      for entry in consul_config_entry.intentions : [for s in jsondecode(entry.config_json).Sources : s.Name == "*" || startswith(s.Name, "test-")]
    ]))
    error_message = "A source has no prefix."
  }

  assert {
    condition     = length(consul_config_entry.own) == 0
    error_message = "Entries of the whole mesh are the site's."
  }
}

run "nothing_else_after_it" {
  command = plan

  assert {
    condition     = length(output.denied) == 0
    error_message = "Nothing was denied."
  }
}

run "a_denial_is_not_undone" {
  command = plan

  override_data {
    target = data.consul_config_entry.intentions["authz"]
    values = {
      config_json = "{\"Meta\":{\"managed-by\":\"gatehouse\",\"denied test-identity\":\"2026-11-28T00:00:00Z by root: floods\"}}"
    }
  }

  expect_failures = [output.denied]
}

run "but_when_it_is_said" {
  command = plan

  variables {
    undo_denies = true
  }

  override_data {
    target = data.consul_config_entry.intentions["authz"]
    values = {
      config_json = "{\"Meta\":{\"managed-by\":\"gatehouse\",\"denied test-identity\":\"2026-11-28T00:00:00Z by root: floods\"}}"
    }
  }

  assert {
    condition     = length(output.denied) == 1
    error_message = "It is not told."
  }
}

run "the_sites_ingress_reaches_the_gateway_alone" {
  variables {
    ingress_sources = ["edge-envoy"]
  }

  assert {
    condition = [
      for program, entry in consul_config_entry.intentions : program if jsondecode(entry.config_json).Sources[0].Name == "edge-envoy"
    ] == ["gateway"]
    error_message = "The ingress is admitted elsewhere."
  }
}

run "everybody_is_no_ingress" {
  command = plan

  variables {
    ingress_sources = ["*"]
  }

  expect_failures = [var.ingress_sources]
}

run "no_prefix_on_a_shared_consul" {
  command = plan

  variables {
    service_prefix = ""
  }

  expect_failures = [var.service_prefix]
}

run "no_hyphen" {
  command = plan

  variables {
    service_prefix = "test"
  }

  expect_failures = [var.service_prefix]
}

run "own_cluster" {
  variables {
    service_prefix = ""
    own_cluster    = true
  }

  assert {
    condition     = contains(output.entries, "mesh/mesh") && contains(output.entries, "proxy-defaults/global") && contains(output.entries, "service-defaults/auth")
    error_message = "There are ${join(", ", output.entries)}."
  }
}
