output "auth_method" {
  description = "The method to which the binding rules belong."
  value       = local.auth_method
}

output "policies" {
  description = "Names of the policies of services."
  value       = sort([for policy in consul_acl_policy.services : policy.name])
}
