# What `make lint` asks of the modules and environments. The rules are those that tflint brings along:
# no plugin is downloaded.

config {
  call_module_type = "local"
  format           = "compact"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}
