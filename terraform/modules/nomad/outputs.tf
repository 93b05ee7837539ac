output "namespace" {
  description = "Namespace of the jobs and their variables."
  value       = nomad_namespace.gatehouse.name
}

output "policies" {
  description = "Policies to make tokens of: of CI, which submits jobs, and of operators."
  value       = sort([for policy in nomad_acl_policy.roles : policy.name])
}
