variable "service_prefix" {
  description = "Goes before the name of every service in Consul, so that it is nobody else's, such as \"gatehouse-\". Empty only where own_cluster is true."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9-]{0,21}-)?$", var.service_prefix))
    error_message = "A service prefix has at most 23 lower-case letters, digits and hyphens, begins with a letter or digit and ends with a hyphen."
  }

  validation {
    condition     = var.service_prefix != "" || var.own_cluster
    error_message = "Without a prefix, services have names that others may have, and their entries would be overwritten: set service_prefix, or own_cluster where Consul serves nobody else."
  }
}

variable "own_cluster" {
  description = "Consul serves nobody but Gatehouse: also write the entries that hold for every sidecar of the datacenter (mesh, proxy-defaults)."
  type        = bool
  default     = false
}

variable "ingress_sources" {
  description = "Services of the site that may call the gateway through the mesh, by their whole names in Consul: its own mesh ingress."
  type        = list(string)
  default     = []

  validation {
    condition     = !contains(var.ingress_sources, "*") && length(distinct(var.ingress_sources)) == length(var.ingress_sources)
    error_message = "Name each service that is admitted, once: \"*\" would admit everybody."
  }
}

variable "undo_denies" {
  description = "Write the definition's entries also over what `gatehouse mesh deny` has denied."
  type        = bool
  default     = false
}
