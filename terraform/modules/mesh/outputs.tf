output "entries" {
  description = "Kind and name of every entry that this module keeps."
  value = sort(concat(
    [for entry in consul_config_entry.defaults : "${entry.kind}/${entry.name}"],
    [for entry in consul_config_entry.resolvers : "${entry.kind}/${entry.name}"],
    [for entry in consul_config_entry.intentions : "${entry.kind}/${entry.name}"],
    [for entry in consul_config_entry.own : "${entry.kind}/${entry.name}"],
  ))
}

output "denied" {
  description = "What `gatehouse mesh deny` has denied, with when, by whom and why."
  value       = local.denied

  precondition {
    condition     = var.undo_denies || length(local.denied) == 0
    error_message = "This would undo what was denied by hand: ${join("; ", local.denied)}. Take the calls out of the contract, or allow them again with `gatehouse mesh reset`, or say -var undo_denies=true."
  }
}
