# Each cluster makes these two anew. With `eval "$(gatehouse cluster env)"` they are
# "$NOMAD_ADDR/.well-known/jwks.json" and "$NOMAD_CACERT".

variable "jwks_url" {
  description = "Where Consul's server reads the keys of Nomad's workload identities."
  type        = string
}

variable "jwks_ca_file" {
  description = "File with the certificate of the agents' CA, PEM."
  type        = string
}

variable "undo_denies" {
  description = "Write the definition's entries also over what `gatehouse mesh deny` has denied."
  type        = bool
  default     = false
}
