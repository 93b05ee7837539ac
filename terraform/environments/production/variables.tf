variable "undo_denies" {
  description = "Write the definition's entries also over what `gatehouse mesh deny` has denied."
  type        = bool
  default     = false
}
