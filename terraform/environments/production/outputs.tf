output "policies" {
  description = "Nomad's policies to make tokens of, for CI and for operators."
  value       = module.nomad.policies
}
