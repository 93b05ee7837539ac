variable "service_prefix" {
  description = "Goes before the name of every service in Consul, as in the module mesh."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9-]{0,21}-)?$", var.service_prefix))
    error_message = "A service prefix has at most 23 lower-case letters, digits and hyphens, begins with a letter or digit and ends with a hyphen."
  }

  validation {
    condition     = var.service_prefix != "" || var.own_cluster
    error_message = "Without a prefix, services have names that others may have: set service_prefix, or own_cluster where Consul serves nobody else."
  }
}

variable "own_cluster" {
  description = "Consul serves nobody but Gatehouse: also make the auth method."
  type        = bool
  default     = false
}

variable "auth_method" {
  description = "The JWT method by which Nomad's workloads log in to Consul: the site's own, or the name of that which own_cluster makes."
  type        = string
  default     = "nomad-workloads"
}

variable "nomad_clients" {
  description = "Names of the nodes whose Nomad clients get a policy for a Consul token of their own, which takes out services that have ended. Only where no jobs but Gatehouse's have services."
  type        = set(string)
  default     = []
}

variable "jwks_url" {
  description = "Where Consul's servers read the keys of Nomad's workload identities, such as https://nomad.example.com:4646/.well-known/jwks.json. For own_cluster only."
  type        = string
  default     = ""

  validation {
    condition     = var.own_cluster == (var.jwks_url != "")
    error_message = "jwks_url belongs to the auth method that own_cluster makes: set both or neither."
  }
}

variable "jwks_ca" {
  description = "Certificate of the CA, PEM, by which Consul knows jwks_url; that of the system when empty. For own_cluster only."
  type        = string
  default     = ""
}
