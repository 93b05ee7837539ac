# With providers that only pretend: `make terraform-check`.

mock_provider "nomad" {}

run "a_namespace_with_one_driver_and_two_policies" {
  assert {
    condition     = output.namespace == "gatehouse" && nomad_namespace.gatehouse.capabilities[0].enabled_task_drivers == tolist(["exec"])
    error_message = "The namespace ${output.namespace} admits other drivers."
  }

  assert {
    condition     = output.policies == tolist(["gatehouse-ci", "gatehouse-operator"])
    error_message = "The policies are ${join(", ", output.policies)}."
  }
}
